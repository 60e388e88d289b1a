"""The thread in which bulk connections live, and the way between its loop and the invoker's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar

from action_runtime.wire.errors import PeerLost

T = TypeVar("T")

NAME: Final = "peer-bulk"


class BulkThread:
    """A loop of asyncio's own make (uvloop knows no sendfile). Made, started and closed on the invoker's loop."""

    def __init__(self) -> None:
        self._home = asyncio.get_running_loop()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._ended = self._home.create_future()
        self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)

    def start(self) -> None:
        """Start; blocks until its loop runs, well under a millisecond."""
        self._thread.start()
        self._ready.wait()

    async def close(self) -> None:
        """Cancel all that runs there and end the thread; idempotent."""
        if self._loop is None or not self._thread.is_alive():
            return
        assert self._stop is not None
        self.call(self._stop.set)
        await self._ended
        self._thread.join()

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function there, soon. From any thread; nothing happens unless the thread runs."""
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # its loop is closed
            if not self._loop.is_closed():
                raise

    def call_home(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function on the invoker's loop, soon. From the thread."""
        self._home.call_soon_threadsafe(function, *arguments)

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine there and return its result. When this returns or raises, it has ended, also if cancelled.

        Raises:
            PeerLost: The thread does not run.
        """
        if not self._thread.is_alive():
            raise PeerLost("this host leaves")
        outcome: asyncio.Future[T] = self._home.create_future()
        tasks: list[asyncio.Task[T]] = []

        def report(task: asyncio.Task[T]) -> None:
            self.call_home(_copy, task, outcome)

        def begin() -> None:
            task = asyncio.get_running_loop().create_task(work(), name="peer-transfer")
            tasks.append(task)
            task.add_done_callback(report)

        def end() -> None:
            for task in tasks:
                task.cancel()

        self.call(begin)
        try:
            return await asyncio.shield(outcome)
        except asyncio.CancelledError:
            self.call(end)
            while not outcome.done():  # however often it is cancelled: what it works on is about to be closed
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([outcome])
            if not outcome.cancelled():
                outcome.exception()
            raise

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._live())
        self.call_home(self._ended.set_result, None)

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._ready.set()
        await self._stop.wait()


def _copy(task: asyncio.Task[T], outcome: asyncio.Future[T]) -> None:
    if outcome.done():
        return
    if task.cancelled():
        outcome.cancel()
    elif (error := task.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())
