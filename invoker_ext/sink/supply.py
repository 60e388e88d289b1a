"""Where the memory of segments comes from: spares, a spare that is being made, or an allocation of one's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Final

from invoker_ext.sink import segments
from invoker_ext.sink.errors import SinkFull
from invoker_ext.sink.spares import MAX_BYTES, MIN_BYTES, SOON_BYTES, Spares
from invoker_ext.sink.threads import Threads

_IDLE_S: Final = 30.0
"""Spares that nobody asked for in this time are given back."""
_CALM_S: Final = 1.0
"""So long after the last value that could take a large spare one is made."""

Found = Callable[[int, int], None]
"""Takes a descriptor, and owns it, and the bytes it has, which may be more than were asked for."""


class Supply:
    """Lives on the loop. Callbacks are called on it, possibly before the call that caused them returns."""

    def __init__(
        self, threads: Threads, loop: asyncio.AbstractEventLoop, spare_bytes: int, room_bytes: Callable[[], int]
    ) -> None:
        """Begin without spares.

        Args:
            threads: Allocate what takes long.
            loop: For the timer.
            spare_bytes: Bound of all spares.
            room_bytes: What the sink's budget leaves for them now.
        """
        self._threads = threads
        self._loop = loop
        self._room_bytes = room_bytes
        self._spares = Spares(spare_bytes, self._order, threads.shut)
        self._takes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._large_timer: asyncio.TimerHandle | None = None

    @property
    def spare_bytes(self) -> int:
        """Allocated ahead and not in use."""
        return self._spares.held_bytes

    def take(self, size_bytes: int) -> tuple[int, int] | None:
        """Return descriptor and size of a spare that holds so much, or None. For who writes at once."""
        spare = self._spares.take(size_bytes)
        self._refill(size_bytes, taken=spare is not None)
        return spare

    def find(self, size_bytes: int, found: Found, failed: Callable[[str], None], *, pages_later: bool = False) -> None:
        """Get memory: a spare; small amounts here; the next spare that is ready; else in the allocator's thread.

        Exactly one of the callbacks is called, unless the supply is closed before.

        Args:
            size_bytes: How much.
            found: Takes it.
            failed: Takes a sentence on why there is none.
            pages_later: A large piece may come without its pages, as `segments.unallocated` does.
        """
        spare = self._spares.take(size_bytes)
        if spare is not None:
            found(*spare)
        elif size_bytes < MIN_BYTES:
            self._make_here(segments.allocate, size_bytes, found, failed)
        elif pages_later and size_bytes > SOON_BYTES:
            self._make_here(segments.unallocated, size_bytes, found, failed)
        elif not self._spares.wait(size_bytes, partial(self._came, size_bytes, found, failed)):
            self._allocate(size_bytes, found, failed)
        self._refill(size_bytes, taken=spare is not None)

    def close(self) -> None:
        """Close all spares; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        if self._large_timer is not None:
            self._large_timer.cancel()
        self._spares.trim(0)

    @staticmethod
    def _make_here(make: Callable[[int], int], size_bytes: int, found: Found, failed: Callable[[str], None]) -> None:
        try:
            descriptor = make(size_bytes)
        except SinkFull as error:
            failed(str(error))
        else:
            found(descriptor, size_bytes)

    def _allocate(self, size_bytes: int, found: Found, failed: Callable[[str], None]) -> None:
        def done(future: Future[int]) -> None:
            error = future.exception()
            if error is None:
                found(future.result(), size_bytes)
            else:
                failed(str(error))

        self._threads.allocate(size_bytes, done)

    def _came(
        self, size_bytes: int, found: Found, failed: Callable[[str], None], spare: tuple[int, int] | None
    ) -> None:
        """Pass on the spare that was waited for; if it could not be made, a smaller piece may still be had."""
        if spare is not None:
            found(*spare)
        else:
            self._allocate(size_bytes, found, failed)

    def _refill(self, size_bytes: int, *, taken: bool) -> None:
        if taken:
            self._watch()
        self._spares.trim(self._room_bytes())
        if size_bytes <= SOON_BYTES:
            self._spares.replenish(size_bytes, self._room_bytes())
        elif size_bytes <= MAX_BYTES:
            if self._large_timer is not None:
                self._large_timer.cancel()
            self._large_timer = self._loop.call_later(_CALM_S, self._refill_large, size_bytes)

    def _refill_large(self, size_bytes: int) -> None:
        self._large_timer = None
        self._spares.replenish(size_bytes, self._room_bytes())

    def _order(self, kind: int) -> None:
        self._threads.allocate(kind, partial(self._made, kind))

    def _made(self, kind: int, future: Future[int]) -> None:
        if future.exception() is None:
            self._spares.put(future.result(), kind)
            self._spares.trim(self._room_bytes())
            self._watch()
        else:
            self._spares.failed(kind)

    def _watch(self) -> None:
        self._takes += 1
        if self._timer is None:
            self._timer = self._loop.call_later(_IDLE_S, self._idle, self._takes)

    def _idle(self, takes: int) -> None:
        self._timer = None
        if takes == self._takes:
            self._spares.trim(0)
        else:
            self._timer = self._loop.call_later(_IDLE_S, self._idle, self._takes)
