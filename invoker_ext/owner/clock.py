"""Time of the owner: monotonic for order, epoch for records."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Relates monotonic seconds to the epoch; the relation is read anew at most once a second."""

    def __init__(self) -> None:
        self._offset_s = time.time() - time.monotonic()
        self._read = time.monotonic()

    def now(self) -> float:
        """Return monotonic seconds."""
        now = time.monotonic()
        if now - self._read > 1.0:
            self._offset_s = time.time() - now
            self._read = now
        return now

    def epoch_ms(self, at: float) -> float:
        """Return epoch milliseconds of a monotonic instant."""
        return (at + self._offset_s) * 1000

    def log_line(self, text: str, stream: str) -> str:
        """Return a line as stock's log store writes it."""
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
        return f"{stamp:<30s} {stream}: {text}"
