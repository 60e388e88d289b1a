"""What the sink does off the loop: allocating, giving pages back, copying to disk. A named thread each."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from invoker_ext.sink.segments import allocate
from invoker_ext.sink.spill import copy_to_file

Done = Callable[["Future[int]"], None]
"""Takes, on the loop, a future that is done and whose result is a descriptor; owns the descriptor."""

_SHUT_ELSEWHERE_BYTES: Final = 1024 * 1024
"""From this size on giving pages back (0.13 ms a MiB) is not done on the loop."""


class Threads:
    """Runs jobs whose result is a descriptor. What they touch is theirs alone, so there is no lock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._allocator = ThreadPoolExecutor(1, "sink-allocate")
        self._freer = ThreadPoolExecutor(1, "sink-free")
        self._spiller = ThreadPoolExecutor(1, "sink-spill")
        self._stopping = threading.Event()
        self._under_way: set[Future[int]] = set()

    def allocate(self, size_bytes: int, done: Done) -> None:
        """Allocate a memfd; the future may hold `SinkFull`."""
        self._start(self._allocator, partial(allocate, size_bytes), done)

    def spill(self, descriptor: int, size_bytes: int, folder: Path, done: Done) -> None:
        """Copy a segment to a file; the future may hold `SpillFailed`."""
        # A descriptor of its own: the datum may be released, and its number used again, while the thread copies.
        source = os.dup(descriptor)
        self._start(self._spiller, partial(copy_to_file, source, size_bytes, folder, self._stopping), done)

    def shut(self, descriptor: int, size_bytes: int) -> None:
        """Close a descriptor whose pages may go with it: here if they are few, else in a thread."""
        if size_bytes >= _SHUT_ELSEWHERE_BYTES and not self._stopping.is_set():
            self._freer.submit(os.close, descriptor)
        else:
            os.close(descriptor)

    def close(self) -> None:
        """End the threads and close what they made that nobody took. Blocks until they have ended."""
        self._stopping.set()
        for pool in (self._allocator, self._freer, self._spiller):
            pool.shutdown(wait=True)
        for future in self._under_way:
            if future.exception() is None:
                os.close(future.result())
        self._under_way.clear()

    def _start(self, pool: ThreadPoolExecutor, job: Callable[[], int], done: Done) -> None:
        future = pool.submit(job)
        self._under_way.add(future)
        future.add_done_callback(lambda one: self._loop.call_soon_threadsafe(self._finish, one, done))

    def _finish(self, future: Future[int], done: Done) -> None:
        if future in self._under_way:  # else `close` has taken care of it
            self._under_way.remove(future)
            done(future)
