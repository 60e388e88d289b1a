"""Removes old activation records, a few at a time, so that whoever writes or reads records hardly waits.

One process does it for all: the balancer, of which there is one a controller.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from invoker_ext.store import ActivationStore, StoreUnavailable

logger = logging.getLogger(__name__)

EVERY_S: Final = 60.0
SLICE: Final = 200
"""Records removed in one transaction: about 10 ms in which nobody else writes."""
PAUSE_S: Final = 0.05
"""Between two slices; with SLICE it bounds the removal to some 3,000 records a second."""
UNBORN_S: Final = 86_400.0
"""How long a result may lie in the store ahead of its record: longer than an outage that an operator sleeps through."""


@dataclass(slots=True, frozen=True)
class Bounds:
    """What is kept.

    Attributes:
        age_s: Records that started longer ago are removed; 0: none for their age.
        most: Records of a namespace; the oldest beyond are removed; 0: any number is kept.
    """

    age_s: float
    most: int


class Retention:
    """Sweeps the store again and again; `run` lives on the loop, the store is used in threads."""

    def __init__(
        self,
        store: ActivationStore,
        bounds: Bounds,
        *,
        pause_s: float = PAUSE_S,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._store = store
        self._bounds = bounds
        self._pause_s = pause_s
        self._now_ms = now_ms

    async def run(self) -> None:
        """Sweep until cancelled; a store that is away is swept the next time."""
        while True:
            try:
                removed = await self.sweep()
            except StoreUnavailable as error:
                logger.warning("activation records cannot be removed for now", extra={"error": str(error)})
            else:
                if removed:
                    logger.info("activation records removed", extra={"records": removed})
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> int:
        """Remove all that is beyond the bounds by now; return how many records.

        Raises:
            StoreUnavailable: The rest is still there.
        """
        age_s, most = self._bounds.age_s, self._bounds.most
        if not age_s and not most:
            return 0
        now_ms = self._now_ms()
        before_ms = now_ms - int(age_s * 1000) if age_s else None
        removed = 0
        while count := await asyncio.to_thread(self._store.expire, before_ms, most or None, SLICE):
            removed += count
            await asyncio.sleep(self._pause_s)
        # Where records do not get old, results without one do not either.
        unborn_s = min(UNBORN_S, age_s) if age_s else UNBORN_S
        await asyncio.to_thread(self._store.reclaim, now_ms - int(unborn_s * 1000))
        return removed
