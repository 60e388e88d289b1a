"""The lines of the ledger's books: what a datum and a namespace are charged. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from invoker_ext.sink.terms import State

PAGE_BYTES: Final = 4096


@dataclass(slots=True)
class Group:
    """What one namespace holds.

    Attributes:
        memory_bytes: Of its segments in memory, granted or committed.
        waiting: Its requests that wait for room.
        cold: Keys of its data that may spill, coldest first.
    """

    memory_bytes: int = 0
    waiting: int = 0
    cold: OrderedDict[int, None] = field(default_factory=OrderedDict)


@dataclass(slots=True)
class Entry:
    """One datum that is, or will be, a segment.

    Attributes:
        owner: `namespace/run`.
        group: Its namespace.
        charge_bytes: Whole pages.
        state: Where it is in its life.
        pins: Firings that map it.
        copying: A copy to a file is under way, wanted or not.
    """

    owner: str
    group: str
    charge_bytes: int
    state: State
    pins: int = 0
    copying: bool = False


def pages(size_bytes: int) -> int:
    """Return the bytes of the whole pages that a value takes."""
    return (size_bytes + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES
