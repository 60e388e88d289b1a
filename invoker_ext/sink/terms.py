"""The words of the ledger: states of a datum, bounds, commands, figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

INLINE_OVERHEAD_BYTES: Final = 256
"""What Python keeps around a small datum (measured: 33 bytes of header, its head, its holder)."""


class State(Enum):
    """Where a datum is in its life."""

    WAITING = "waiting"  # asked for; in `_waiting`
    RESERVED = "reserved"  # granted; a container writes it
    HELD = "held"  # sealed, in memory, may spill; in its group's `cold`
    PINNED = "pinned"  # sealed, in memory, mapped by `pins` firings
    SPILLING = "spilling"  # as HELD, a copy to a file is under way
    SPILLED = "spilled"  # in a file
    FREED = "freed"  # in no collection


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.WAITING: frozenset({State.RESERVED, State.FREED}),
    State.RESERVED: frozenset({State.HELD, State.FREED}),
    State.HELD: frozenset({State.PINNED, State.SPILLING, State.FREED}),
    State.PINNED: frozenset({State.HELD, State.FREED}),
    State.SPILLING: frozenset({State.SPILLED, State.HELD, State.PINNED, State.FREED}),
    State.SPILLED: frozenset({State.FREED}),
    State.FREED: frozenset(),
}


@dataclass(slots=True, frozen=True, kw_only=True)
class Limits:
    """Bounds of the sink; all sizes in bytes.

    Attributes:
        budget_bytes: Of everything in memory.
        segments: Descriptors that data may hold, in memory or spilled.
        spill_bytes: Of everything in files; 0 switches spilling off.
        high_share: Of the budget; above it cold data spill,
        low_share: down to this one.
        group_share: Of the budget that one namespace may hold while others want some.
        inline_share: Of the budget that segments may not take, so that small data always find room.
    """

    budget_bytes: int
    segments: int
    spill_bytes: int = 0
    high_share: float = 0.8
    low_share: float = 0.7
    group_share: float = 0.5
    inline_share: float = 0.125


@dataclass(slots=True, frozen=True)
class Grant:
    """Hand a segment to who asked."""

    key: int


@dataclass(slots=True, frozen=True)
class Refuse:
    """Tell who asked that the request can never be met."""

    key: int
    reason: str


@dataclass(slots=True, frozen=True)
class Spill:
    """Copy the datum to a file; answer with `spilled` or `spill_failed`."""

    key: int


@dataclass(slots=True, frozen=True)
class Stuck:
    """The sink cannot make room by itself: only firings that let go of data can. Owners in the order they wait.

    Told with each request that comes to wait so, and again whenever somebody let go of something and it was not enough;
    and with each datum above the budget, for small data never wait: nobody does then, and the owners hold them.

    Attributes:
        owners: `namespace/run`, each.
        reason: A sentence without its end.
        urgent: Small data go on coming far above the budget: somebody must end now, whoever still computes.
    """

    owners: tuple[str, ...]
    reason: str
    urgent: bool = False


Command = Grant | Refuse | Spill | Stuck
NOTHING: Final[Sequence[Command]] = ()


@dataclass(slots=True, frozen=True, kw_only=True)
class Usage:
    """What the sink holds, in bytes unless said otherwise.

    Attributes:
        inline_bytes: Small data.
        segment_bytes: Segments in memory, reserved or committed.
        reserved_bytes: Of these, not committed yet.
        spilled_bytes: In files.
        waiting: Requests that wait for room.
        segments: Descriptors in use.
        by_owner: Segments of each `namespace/run`, in memory and spilled.
    """

    inline_bytes: int
    segment_bytes: int
    reserved_bytes: int
    spilled_bytes: int
    waiting: int
    segments: int
    by_owner: Mapping[str, int]
