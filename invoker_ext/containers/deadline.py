"""One timer for all that a container must do in time, since most deadlines are met and replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from invoker_ext.containers.job import Failure


class Deadline:
    """The next deadline of a container.

    Args:
        loop: The invoker's.
        missed: Hears what it was that did not come in time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, missed: Callable[[Failure], None]) -> None:
        self._loop = loop
        self._missed = missed
        self._due: tuple[float, Failure] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, delay_s: float, failure: Failure) -> None:
        """Replace what was set. A timer that runs already and goes off earlier is kept: it looks again then."""
        due = self._loop.time() + delay_s
        self._due = (due, failure)
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._ring)

    def clear(self) -> None:
        """Take note that it was met."""
        self._due = None

    def close(self) -> None:
        """Let go of the timer, too. Idempotent."""
        self._due = None
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _ring(self) -> None:
        self._timer = None
        if self._due is None:
            return
        due, failure = self._due
        if self._loop.time() >= due:
            self._missed(failure)
        else:
            self._timer = self._loop.call_at(due, self._ring)
