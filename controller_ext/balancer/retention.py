"""Removes old activation records and idempotency keys, a few at a time: whoever writes or reads records hardly waits.

One process does it for all: the balancer, of which there is one a controller.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from invoker_ext.store import ActivationStore, KeyStore, StoreUnavailable

logger = logging.getLogger(__name__)

EVERY_S: Final = 60.0
SLICE: Final = 200
"""Records removed in one transaction: about 10 ms in which nobody else writes."""
KEY_SLICES: Final = 10
"""Slices of idempotency keys that are looked at each time, in turn."""
MANY_OLD: Final = 0.1
"""With a greater share of old ones among the keys that it looks at, a sweep goes on: so few are old at any time."""
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
    """Sweeps the stores, which are its own, again and again; `run` lives on the loop, they are used in threads."""

    def __init__(
        self,
        store: ActivationStore,
        bounds: Bounds,
        *,
        keys: KeyStore | None = None,
        pause_s: float = PAUSE_S,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._store = store
        self._keys = keys
        self._bounds = bounds
        self._pause_s = pause_s
        self._now_ms = now_ms

    def close(self) -> None:
        """Close the stores; idempotent."""
        self._store.close()
        if self._keys is not None:
            self._keys.close()

    async def run(self) -> None:
        """Sweep until cancelled; a store that is away is swept the next time."""
        while True:
            try:
                removed = await self.sweep()
                await self.forget_keys()
            except StoreUnavailable as error:
                logger.warning("old records and keys cannot be removed for now", extra={"error": str(error)})
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

    async def forget_keys(self) -> int:
        """Look at some keys and remove the old ones, as long as there are many of them; return how many were removed.

        Raises:
            StoreUnavailable: The rest is still there.
        """
        removed = 0
        for slices in itertools.count(1):
            if self._keys is None:
                break
            looked, old = await asyncio.to_thread(self._keys.sweep, self._now_ms(), SLICE)
            removed += old
            if looked < SLICE or (slices >= KEY_SLICES and old < looked * MANY_OLD):
                break
            await asyncio.sleep(self._pause_s)
        return removed
