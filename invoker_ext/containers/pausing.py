"""Pausing a container that has nothing to do, and waking it for the next job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from invoker_ext.containers.driver import Handle


class Pausing:
    """Whether one container is paused. Where the driver pauses nothing, nothing here ever happens.

    Args:
        loop: The invoker's.
        handle: Of the container.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, handle: Handle) -> None:
        self._loop = loop
        self._handle = handle
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False

    def idle(self) -> None:
        """It runs nothing and owes nothing: pause it after the grace."""
        self.stay()
        grace_s = self._handle.pause_grace_s
        if grace_s is not None:
            self._timer = self._loop.call_later(grace_s, self._pause)

    def stay(self) -> None:
        """Do not pause it any more. Idempotent."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def wake(self, then: Callable[[], None], failed: Callable[[], None]) -> None:
        """Go on once it is awake: at once if it was never paused.

        Args:
            then: What to do.
            failed: Called instead if it cannot be resumed.
        """
        self.stay()
        if not self._paused:
            then()
            return
        self._paused = False
        self._handle.resume(lambda awake: then() if awake else failed())

    def _pause(self) -> None:
        self._timer = None
        self._paused = True
        self._handle.pause()
