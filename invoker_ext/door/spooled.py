"""Spooled parameters as their run's owner gets them: pulled at the controller's door and compared with their digest."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
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
OP: Final = "spool"
"""Of the call at an invoker's door that brings one ahead."""
EARLY_BYTES: Final = 16 << 20
"""Of spools that were sent ahead and not asked for yet."""
DOORS: Final = 64
"""To which connections are kept."""
_HASHED_HERE_BYTES: Final = 1024 * 1024
"""Hashed on the loop, in about half a millisecond, which a thread would cost as well; more goes to one."""


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


class SpoolPuller:
    """Pulls at the doors of controllers, and keeps connections to them. Lives on the loop.

    Args:
        token: The installation's secret.
        caller: Who we are to controllers of other hosts.
        timeout_s: For all of one spool.
    """

    def __init__(self, token: str, caller: Caller | None = None, timeout_s: float = PULL_S) -> None:
        self._token = token
        self._caller = caller
        self._timeout_s = timeout_s
        self._clients: OrderedDict[str, AsyncDoorClient] = OrderedDict()
        self._early: OrderedDict[str, bytes | memoryview] = OrderedDict()
        """Spools that were sent ahead, by name, oldest first."""
        self._early_bytes = 0

    def came(self, name: str, content: bytes | memoryview) -> None:
        """Take a spool that its controller has sent ahead, and keep it for a while; of too many the oldest goes."""
        if name in self._early:
            return
        self._early[name] = content
        self._early_bytes += len(content)
        while self._early_bytes > EARLY_BYTES:
            self._early_bytes -= len(self._early.popitem(last=False)[1])

    async def pull(self, spool: Spool) -> bytes:
        """Return spooled parameters; those that came by themselves are not asked for.

        The texts of its errors are for the user of the run: they name no place on a host.

        Args:
            spool: Where they are, and what they must be.

        Raises:
            SpoolLost: They are gone, or the door does not answer.
            SpoolDamaged: Their digest is another.
        """
        early = self._early.pop(spool.name, None)
        if early is not None:
            self._early_bytes -= len(early)
            if await _digest(early) == spool.digest:
                return bytes(early)
        pieces: list[bytes | memoryview] = []
        try:
            await self._client(spool.door).pull(spool.name, spool.size_bytes, pieces.append, self._timeout_s)
        except (CallFailed, PeerUnreachable, NotAllowed, ValueError) as error:
            _log.warning("spool cannot be pulled", extra={"spool": spool.name, "error": str(error)})
            raise SpoolLost from error
        raw = b"".join(pieces)
        if await _digest(raw) != spool.digest:
            _log.error("spool is damaged", extra={"spool": spool.name, "door": spool.door})
            raise SpoolDamaged
        return raw

    def close(self) -> None:
        """Disconnect; idempotent."""
        while self._clients:
            self._clients.popitem()[1].close()

    def _client(self, door: str) -> AsyncDoorClient:
        client = self._clients.get(door)
        if client is None:
            client = AsyncDoorClient(read_place(door), role=Role.INVOKER, token=self._token, caller=self._caller)
            self._clients[door] = client
            if len(self._clients) > DOORS:  # those of controllers that were started anew elsewhere
                self._clients.popitem(last=False)[1].close()
        return client


async def _digest(raw: bytes | memoryview) -> str:
    if len(raw) <= _HASHED_HERE_BYTES:
        return hashlib.sha256(raw).hexdigest()
    return (await asyncio.to_thread(hashlib.sha256, raw)).hexdigest()
