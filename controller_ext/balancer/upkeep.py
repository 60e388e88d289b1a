"""Tasks that run as long as their process: what ends one is logged, and it is started again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

logger = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
GOOD_S: Final = 300.0
"""Who has run for so long may fail again as if it were the first time."""


def keep_up(name: str, work: Callable[[], Awaitable[None]], first_pause_s: float = FIRST_PAUSE_S) -> asyncio.Task[None]:
    """Return a task that does some work for good, until it is cancelled.

    Args:
        name: Of the task, for the log.
        work: Called anew each time that it has ended, after a pause that doubles up to LONGEST_PAUSE_S.
        first_pause_s: How long the first pause is.
    """
    return asyncio.create_task(_keep_up(name, work, first_pause_s), name=name)


async def _keep_up(name: str, work: Callable[[], Awaitable[None]], first_pause_s: float) -> None:
    pause_s = first_pause_s
    while True:
        began_s = time.monotonic()
        try:
            await work()
            logger.error("task ended by itself", extra={"task": name, "pause_s": pause_s})
        except Exception:  # a supervisor: a bug in one duty must not end it for good
            logger.exception("task ended by a bug", extra={"task": name, "pause_s": pause_s})
        if time.monotonic() - began_s >= GOOD_S:
            pause_s = first_pause_s
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
