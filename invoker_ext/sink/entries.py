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


@dataclass(slots=True)
class Small:
    """What small data are charged, which are counted only.

    Attributes:
        total_bytes: Of all.
        by_owner: Owner → bytes; nobody who has none.
    """

    total_bytes: int = 0
    by_owner: dict[str, int] = field(default_factory=dict)

    def add(self, owner: str, charge_bytes: int) -> None:
        """Charge an owner."""
        self.total_bytes += charge_bytes
        self.by_owner[owner] = self.by_owner.get(owner, 0) + charge_bytes

    def drop(self, owner: str, charge_bytes: int) -> None:
        """Charge an owner no more; what is left after an expiry may be less than what is let go of."""
        have = self.by_owner.get(owner, 0)
        if have > charge_bytes:
            self.by_owner[owner] = have - charge_bytes
            self.total_bytes -= charge_bytes
        elif have:
            del self.by_owner[owner]
            self.total_bytes -= have

    def expire(self, owner: str) -> None:
        """Charge an owner nothing more."""
        self.total_bytes -= self.by_owner.pop(owner, 0)

    def heavy(self) -> tuple[str, ...]:
        """Return who holds a fair share or more: the end of one that holds next to nothing would not help."""
        fair = self.total_bytes / len(self.by_owner) if self.by_owner else 0.0
        return tuple(owner for owner, held in self.by_owner.items() if held >= fair)


def pages(size_bytes: int) -> int:
    """Return the bytes of the whole pages that a value takes."""
    return (size_bytes + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES
