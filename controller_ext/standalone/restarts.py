"""When a process that died is started again, and when that is given up. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

MAX_DEATHS: Final = 5
WINDOW_S: Final = 30.0
_FIRST_DELAY_S: Final = 0.05
_LONGEST_DELAY_S: Final = 2.0


class RestartPolicy:
    """For one process: at once after a first death, in growing steps after more, never after MAX_DEATHS in WINDOW_S."""

    def __init__(self) -> None:
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)

    def died(self, now: float) -> float | None:
        """Note a death.

        Args:
            now: Monotonic seconds.

        Returns:
            Seconds to wait before the next start; None: it is a crash loop.
        """
        while self._deaths and now - self._deaths[0] > WINDOW_S:
            self._deaths.popleft()
        self._deaths.append(now)
        count = len(self._deaths)
        if count >= MAX_DEATHS:
            return None
        return 0.0 if count == 1 else min(_FIRST_DELAY_S * 2 ** (count - 2), _LONGEST_DELAY_S)
