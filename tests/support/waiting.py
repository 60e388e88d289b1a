"""Waiting in tests: for a condition, with a deadline and a message, never for a time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Final

INTERVAL_S: Final = 0.005


def _late(message: str | Callable[[], str], within_s: float) -> AssertionError:
    text = message if isinstance(message, str) else message()
    return AssertionError(f"not within {within_s:g} s: {text}")


async def until(
    condition: Callable[[], object],
    within_s: float = 5.0,
    message: str | Callable[[], str] = "condition",
) -> None:
    """Wait on the running loop until `condition()` is true.

    Args:
        condition: Cheap and without side effects; asked every few milliseconds.
        within_s: How long to wait at most.
        message: What was waited for; a function is called only on failure.

    Raises:
        AssertionError: It was still false at the deadline.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise _late(message, within_s)
        await asyncio.sleep(INTERVAL_S)


def wait_until(
    condition: Callable[[], object],
    within_s: float = 5.0,
    message: str | Callable[[], str] = "condition",
) -> None:
    """Like `until`, for tests without a loop."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise _late(message, within_s)
        pause.wait(INTERVAL_S)
