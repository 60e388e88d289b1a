"""Looks for orphans from time to time, and frees them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from invoker_ext.sink.orphans import Orphans
from invoker_ext.sink.sink import Sink

logger = logging.getLogger(__name__)

SWEEPS: Final = 10
"""Looks within one time to live."""


class Sweeper:
    """A timer around `Orphans`. Lives on the loop."""

    def __init__(
        self, sink: Sink, is_live: Callable[[str], bool], ttl_s: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Prepare.

        Args:
            sink: Whose data are looked at.
            is_live: Whether a run, by its id, may still hold data.
            ttl_s: How long data may be without a run; > 0.
            loop: The sink's.
        """
        self._sink = sink
        self._is_live = is_live
        self._orphans = Orphans(ttl_s)
        self._every_s = ttl_s / SWEEPS
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look now, and again and again."""
        for orphan in self._orphans.overdue(self._sink.unmapped(), self._is_live, self._loop.time()):
            logger.warning("orphaned data freed", extra={"owner": orphan.owner, "bytes": orphan.size_bytes})
            self._sink.expire(orphan.owner)
        self._timer = self._loop.call_later(self._every_s, self.start)

    def stop(self) -> None:
        """Look no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
