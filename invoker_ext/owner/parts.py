"""What the owner stands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from invoker_ext.bus import Bus
from invoker_ext.contract.messages import Identity, Spool
from invoker_ext.journal import Journal
from invoker_ext.owner.actions import Actions
from invoker_ext.owner.host import Functions, Sink
from invoker_ext.owner.teller import Messages
from invoker_ext.store import ActivationStore


class PullParameters(Protocol):
    """How spooled parameters come from the controller's door."""

    async def __call__(self, spool: Spool) -> bytes:
        """Return the spooled bytes; raises DataflowError where they cannot be had."""


class Compile(Protocol):
    """How what is named by data is compiled, at a controller's door."""

    async def __call__(self, door: str, user: Identity, action: str) -> Mapping[str, Any]:
        """Return `name`, `version`, `graph` and `parameters`, or `fault`; raises DataflowError where nobody answers."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Parts:
    """Everything an owner is given; all of it outlives the owner.

    Attributes:
        messages: To doors of controllers; None: they hear all on the bus.
        parameters: Folder for parameters that came by a spool; None: they stay with their controller until the end.
    """

    bus: Bus
    journal: Journal
    records: ActivationStore
    sink: Sink
    actions: Actions
    pull: PullParameters
    functions: Functions
    compile: Compile
    messages: Messages | None = None
    parameters: Path | None = None
