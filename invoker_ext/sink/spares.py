"""Segments allocated ahead: for 64 MiB allocation is 16 ms of the 35 ms that a hand-over takes.

A seal cannot be taken back, so a segment serves once and spares must always be made anew. What is kept follows what
was asked for: a size class that was never asked for keeps none, so an idle server holds no memory here. A class is an
eighth of an octave, so cutting a spare to its value frees at most an eighth of it.

A large spare (above SOON_BYTES) is made only when its like was not asked for in a while: at once, its allocation would
take the processor from the hand-over that used the last one.
"""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

MIN_BYTES: Final = 256 * 1024
"""Below, allocating takes less than 0.1 ms and happens in place."""
SOON_BYTES: Final = 72 * 1024 * 1024
"""A value of 64 MiB and something fits; up to here a spare is replaced as soon as it is taken."""
MAX_BYTES: Final = 288 * 1024 * 1024
"""A value of 256 MiB and something fits; cutting the largest class to its value takes 4 ms."""
_STEPS: Final = 8
_KEPT_PER_CLASS: Final = 32


def size_class(size_bytes: int) -> int:
    """Return the smallest class that holds the size: a multiple of an eighth of the power of two below it."""
    step = max(1 << (max(size_bytes - 1, 1).bit_length() - 1), 4096 * _STEPS) // _STEPS
    return (size_bytes + step - 1) // step * step


Waiting = Callable[[tuple[int, int] | None], None]


class Spares:
    """The stock of allocated, unsealed segments. Lives on the loop; `order` makes one elsewhere and calls `put`.

    Demand of a class: one spare more for each miss while none is on its way, so a producer with four reserves in flight
    soon finds four.
    """

    def __init__(
        self, bound_bytes: int, order: Callable[[int], None], shut: Callable[[int, int], None] | None = None
    ) -> None:
        """Begin with none.

        Args:
            bound_bytes: Of all spares, those on order included.
            order: Start to allocate a segment of a class size; `put` or `failed` must follow.
            shut: Takes descriptor and size of one that is given back; None: closed in place.
        """
        self._bound_bytes = bound_bytes
        self._order = order
        self._shut = shut or (lambda descriptor, _: os.close(descriptor))
        self._stock: OrderedDict[int, list[int]] = OrderedDict()  # class → descriptors; least recently used first
        self._wanted: dict[int, int] = {}
        self._ordered: dict[int, int] = {}
        self._waiting: dict[int, deque[Waiting]] = {}  # never more than are on order
        self.held_bytes = 0
        self._ordered_bytes = 0

    def take(self, size_bytes: int) -> tuple[int, int] | None:
        """Return descriptor and size of a spare that holds the size, or None. `replenish` should follow."""
        if not MIN_BYTES <= size_bytes <= MAX_BYTES:
            return None
        kind = size_class(size_bytes)
        stock = self._stock.get(kind)
        if stock:
            self._stock.move_to_end(kind)
            self.held_bytes -= kind
            return stock.pop(), kind
        if not self._coming(kind):
            self._wanted[kind] = min(self._wanted.get(kind, 0) + 1, _KEPT_PER_CLASS)
        return None

    def wait(self, size_bytes: int, waiting: Waiting) -> bool:
        """Promise the next spare of this size that is on its way, if there is one: it is ready before a new one is.

        Args:
            size_bytes: Of the value.
            waiting: Called once, with descriptor and size of the spare, or with None if it could not be made.
        """
        kind = size_class(size_bytes)
        if size_bytes > MAX_BYTES or not self._coming(kind):
            return False
        self._waiting.setdefault(kind, deque()).append(waiting)
        return True

    def replenish(self, size_bytes: int, room_bytes: int) -> None:
        """Order a spare for the next value of about this size, if its class has fewer than were missed.

        Args:
            size_bytes: Of the value that was just served.
            room_bytes: What the budget leaves for spares after it.
        """
        if not MIN_BYTES <= size_bytes <= MAX_BYTES:
            return
        kind = size_class(size_bytes)
        bound = min(self._bound_bytes, room_bytes)
        have = len(self._stock.get(kind, ())) + self._coming(kind)
        if kind > bound or have >= self._wanted.get(kind, 1):
            return
        self.trim(bound - kind - self._ordered_bytes)
        if self.held_bytes + self._ordered_bytes + kind > bound:
            return
        self._ordered[kind] = self._ordered.get(kind, 0) + 1
        self._ordered_bytes += kind
        self._order(kind)

    def put(self, descriptor: int, kind: int) -> None:
        """Take in a spare that was ordered. The descriptor is owned from here on."""
        self._arrived(kind)
        if waiting := self._waiting.get(kind):
            waiting.popleft()((descriptor, kind))
            return
        self._stock.setdefault(kind, []).append(descriptor)
        self._stock.move_to_end(kind)
        self.held_bytes += kind

    def failed(self, kind: int) -> None:
        """An order could not be met; asked again only when one is missed again."""
        self._arrived(kind)
        self._wanted.pop(kind, None)
        if waiting := self._waiting.get(kind):
            waiting.popleft()(None)

    def trim(self, bound_bytes: int) -> None:
        """Close the least recently used spares until at most `bound_bytes` are held."""
        while self.held_bytes > max(bound_bytes, 0):
            kind, stock = next(iter(self._stock.items()))
            if stock:
                self._shut(stock.pop(), kind)
                self.held_bytes -= kind
            if not stock:
                del self._stock[kind]
                self._wanted.pop(kind, None)

    def _coming(self, kind: int) -> int:
        """Return how many are on their way that nobody waits for."""
        return self._ordered.get(kind, 0) - len(self._waiting.get(kind, ()))

    def _arrived(self, kind: int) -> None:
        left = self._ordered[kind] - 1
        if left:
            self._ordered[kind] = left
        else:
            del self._ordered[kind]
        self._ordered_bytes -= kind
