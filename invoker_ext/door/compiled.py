"""Graphs of what runs name by their data, asked for at the door of their controller."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from action_runtime.wire.errors import DataflowError
from invoker_ext.contract.messages import Identity
from invoker_ext.door.async_client import AsyncDoorClient
from invoker_ext.door.errors import CallFailed, PeerUnreachable
from invoker_ext.door.far import Caller
from invoker_ext.door.hello import NotAllowed, Role
from invoker_ext.door.places import read_place

_log = logging.getLogger(__name__)

COMPILE_S: Final = 20.0
_MEMBERS: Final = ("name", "version", "graph", "parameters")


class NotCompiled(DataflowError):
    """No controller says what a name stands for; why is in the log."""

    code = "not-compiled"
    retryable = True

    def __init__(self) -> None:
        super().__init__("The controller could not be asked what an action that is named by data does; try again.")


async def ask_compiled(
    door: str, user: Identity, action: str, *, token: str, caller: Caller | None = None, timeout_s: float = COMPILE_S
) -> Mapping[str, Any]:
    """Return `name`, `version`, `graph` and `parameters` of an action, or `fault`.

    Args:
        door: Of the controller.
        user: In whose name.
        action: Its full name.
        token: The installation's secret.
        caller: Who we are to a controller of another host.
        timeout_s: For the answer.

    Raises:
        NotCompiled: There is no answer.
    """
    try:
        client = AsyncDoorClient(read_place(door), role=Role.INVOKER, token=token, caller=caller)
        told = await client.call("compile", timeout_s, user=user.to_json(), action=action)
    except (CallFailed, PeerUnreachable, NotAllowed, ValueError) as error:
        _log.warning("controller cannot be asked", extra={"action": action, "error": str(error)})
        raise NotCompiled from error
    if "fault" not in told and any(not isinstance(told.get(one), str) for one in _MEMBERS):
        _log.error("controller talks nonsense", extra={"door": door})
        raise NotCompiled
    return told
