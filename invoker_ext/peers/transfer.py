"""One datum on its way from a peer to this host's sink. Pure: what has happened, and what may be done next."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from invoker_ext.peers.errors import InvalidTransition


class TransferState(Enum):
    """Where a transfer is."""

    ROOM = "room"  # waits for room in the sink
    QUEUED = "queued"  # waits for a connection, or for the peer to be back
    MOVING = "moving"
    DONE = "done"
    FAILED = "failed"


TRANSITIONS: Final[Mapping[TransferState, frozenset[TransferState]]] = {
    TransferState.ROOM: frozenset({TransferState.QUEUED, TransferState.FAILED}),
    TransferState.QUEUED: frozenset({TransferState.MOVING, TransferState.FAILED}),
    TransferState.MOVING: frozenset({TransferState.QUEUED, TransferState.DONE, TransferState.FAILED}),
    TransferState.DONE: frozenset(),
    TransferState.FAILED: frozenset(),
}


class Transfer:
    """State, place and tries.

    Attributes:
        state: See `TransferState`.
        at: Bytes that are here.
        cuts: How often it was cut.
    """

    def __init__(self, size_bytes: int, tries: int) -> None:
        """Begin without room.

        Args:
            size_bytes: Of the datum.
            tries: In a row that may bring no byte.
        """
        self.state = TransferState.ROOM
        self.at = 0
        self.cuts = 0
        self._size_bytes = size_bytes
        self._tries = tries
        self._left = tries

    def has_room(self) -> None:
        """The sink has room."""
        self._move(TransferState.QUEUED)

    def begins(self) -> None:
        """A connection works on it."""
        self._move(TransferState.MOVING)

    def was_cut(self, at: int) -> bool:
        """A connection broke; returns whether it may be tried again.

        Args:
            at: Bytes that are here now.
        """
        self.cuts += 1
        self._left = self._tries if at > self.at else self._left - 1
        self.at = at
        self._move(TransferState.QUEUED if self._left > 0 else TransferState.FAILED)
        return self._left > 0

    def is_whole(self) -> None:
        """All bytes are here."""
        self.at = self._size_bytes
        self._move(TransferState.DONE)

    def fails(self) -> None:
        """It is over; nothing happens if it was already."""
        if self.state not in (TransferState.DONE, TransferState.FAILED):
            self._move(TransferState.FAILED)

    def _move(self, state: TransferState) -> None:
        if state not in TRANSITIONS[self.state]:
            raise InvalidTransition(f"a transfer cannot go from {self.state.value} to {state.value}")
        self.state = state
