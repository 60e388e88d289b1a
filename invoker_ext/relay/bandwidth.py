"""How fast the outputs of a container leave it. Pure: the caller says when."""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_S: Final = 10.0
"""Long enough for some outputs, short enough to notice that a host became busy."""


class Bandwidth:
    """Bytes moved over the time in which something was to be moved; a container without outputs is not slow."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, int, float]] = deque()  # when, bytes, busy seconds before it
        self._bytes = 0
        self._busy_s = 0.0
        self._since: float | None = None
        self._last: float | None = None

    def began(self, at: float) -> None:
        """Something is to be moved; nothing happens if there was before."""
        if self._since is None:
            self._since = at

    def moved(self, at: float, size_bytes: int, more: bool) -> None:
        """Take note of bytes that arrived.

        Args:
            at: Monotonic seconds; never goes back.
            size_bytes: How many.
            more: Whether something is still to be moved.
        """
        busy_s = at - self._since if self._since is not None else 0.0
        self._since = at if more else None
        self._samples.append((at, size_bytes, busy_s))
        self._bytes += size_bytes
        self._busy_s += busy_s
        self._forget(at)
        if self._busy_s > 0.0:
            self._last = self._bytes / self._busy_s

    def stopped(self) -> None:
        """Nothing is to be moved any more, and what was did not arrive."""
        self._since = None

    def bytes_per_s(self, at: float) -> float | None:
        """Return the bandwidth of the last window, or the last known one; None if nothing was ever moved.

        While something is to be moved and does not arrive, the value sinks.
        """
        self._forget(at)
        waiting_s = at - self._since if self._since is not None else 0.0
        if self._bytes and self._busy_s + waiting_s > 0.0:
            return self._bytes / (self._busy_s + waiting_s)
        return self._last

    def _forget(self, at: float) -> None:
        while self._samples and self._samples[0][0] < at - self._window_s:
            _, size_bytes, busy_s = self._samples.popleft()
            self._bytes -= size_bytes
            self._busy_s -= busy_s
        if not self._samples:
            self._busy_s = 0.0  # no rounding errors left over
