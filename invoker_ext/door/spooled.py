"""Spooled parameters as their run's owner gets them: pulled at the controller's door and compared with their digest."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import Final

from action_runtime.wire.errors import DataflowError
from invoker_ext.contract.messages import Spool
from invoker_ext.door.async_client import AsyncDoorClient
from invoker_ext.door.errors import CallFailed, PeerUnreachable
from invoker_ext.door.far import Caller
from invoker_ext.door.hello import NotAllowed, Role
from invoker_ext.door.places import read_place

_log = logging.getLogger(__name__)

PULL_S: Final = 60.0
"""For a spool of the largest size from a busy disk."""
_HASHED_HERE_BYTES: Final = 256 * 1024
"""Hashed on the loop, in well under a millisecond; more goes to a thread."""


class SpoolLost(DataflowError):
    """Large parameters did not come; why is in the log."""

    code = "spool-lost"
    retryable = True

    def __init__(self) -> None:
        super().__init__("The parameters of this run could not be fetched from the controller; invoke it again.")


class SpoolDamaged(DataflowError):
    """Large parameters are not those that were put in."""

    code = "spool-damaged"

    def __init__(self) -> None:
        super().__init__(
            "The parameters of this run were damaged on the controller's disk; invoke it again, "
            "and have the operator check that disk if it happens once more."
        )


async def pull_spooled(spool: Spool, token: str, timeout_s: float = PULL_S, *, caller: Caller | None = None) -> bytes:
    """Return spooled parameters.

    The texts of its errors are for the user of the run: they name no place on a host.

    Args:
        spool: Where they are, and what they must be.
        token: The installation's secret.
        timeout_s: For the whole.
        caller: Who we are to a controller of another host.

    Raises:
        SpoolLost: They are gone, or the door does not answer.
        SpoolDamaged: Their digest is another.
    """
    pieces: list[bytes] = []
    try:
        client = AsyncDoorClient(read_place(spool.door), role=Role.INVOKER, token=token, caller=caller)
        await client.pull(spool.name, spool.size_bytes, pieces.append, timeout_s)
    except (CallFailed, PeerUnreachable, NotAllowed, ValueError) as error:
        _log.warning("spool cannot be pulled", extra={"spool": spool.name, "error": str(error)})
        raise SpoolLost from error
    raw = b"".join(pieces)
    if await _digest(raw) != spool.digest:
        _log.error("spool is damaged", extra={"spool": spool.name, "door": spool.door})
        raise SpoolDamaged
    return raw


async def _digest(raw: bytes) -> str:
    if len(raw) <= _HASHED_HERE_BYTES:
        return hashlib.sha256(raw).hexdigest()
    return (await asyncio.to_thread(hashlib.sha256, raw)).hexdigest()
