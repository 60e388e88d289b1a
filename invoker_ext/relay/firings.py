"""What a session knows of each firing its container runs: how far it is and which data the container maps for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum
from typing import Final

from action_runtime.wire.errors import ProtocolViolation
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.sink import Sink


class Phase(Enum):
    """How far a firing is, as its container tells."""

    RUNNING = "running"  # may emit and return
    RETURNED = "returned"  # may still emit
    DRAINED = "drained"  # may only let go of its inputs


TRANSITIONS: Final[Mapping[Phase, frozenset[Phase]]] = {
    Phase.RUNNING: frozenset({Phase.RETURNED}),
    Phase.RETURNED: frozenset({Phase.DRAINED}),
    Phase.DRAINED: frozenset(),
}


class OpenFiring:
    """One firing on one container.

    Attributes:
        run: Activation id of its run, for fairness and figures.
        phase: How far it is.
        refusal: Why the sink refused an output of it, if it did.
    """

    __slots__ = ("_lent", "_streams", "phase", "refusal", "run")

    def __init__(self, run: str) -> None:
        self.run = run
        self.phase = Phase.RUNNING
        self.refusal: str | None = None
        self._lent: list[Stored] = []
        self._streams: dict[str, deque[Stored]] = {}

    def move(self, phase: Phase) -> None:
        """Go to a later phase.

        Raises:
            ProtocolViolation: The container skips one or goes back.
        """
        if phase not in TRANSITIONS[self.phase]:
            raise ProtocolViolation(f"a firing that is {self.phase.value} cannot be {phase.value} next")
        self.phase = phase

    def lend(self, sink: Sink, stored: Stored) -> None:
        """Pin a datum that the container will map until it has let go of all its inputs."""
        sink.pin(stored)
        self._lent.append(stored)

    def lend_part(self, sink: Sink, name: str, stored: Stored) -> None:
        """Pin one part of a streamed input until user code has taken it."""
        sink.pin(stored)
        self._streams.setdefault(name, deque()).append(stored)

    def unread(self, name: str) -> int:
        """Return how many parts of a streamed input user code has not taken yet."""
        return len(self._streams.get(name, ()))

    def taken(self, sink: Sink, name: str, count: int) -> None:
        """User code has taken parts.

        Raises:
            ProtocolViolation: More than were sent.
        """
        parts = self._streams.get(name, deque())
        if not 0 < count <= len(parts):
            raise ProtocolViolation(f"{count} parts of a streamed input were taken, {len(parts)} are there")
        for _ in range(count):
            sink.unpin(parts.popleft())

    def take_back(self, sink: Sink) -> None:
        """Unpin everything: the container has no map any more, or is gone."""
        lent, self._lent = self._lent, []
        streams, self._streams = self._streams, {}
        for stored in lent:
            sink.unpin(stored)
        for parts in streams.values():
            for stored in parts:
                sink.unpin(stored)
