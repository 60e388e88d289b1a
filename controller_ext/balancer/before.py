"""What an earlier balancer had sent and not yet heard to be accepted: which invoker has it. Pure.

Whoever waits for such a run sends it again. It must come to the same invoker, which knows what it has; another one
would execute it a second time.
"""

from __future__ import annotations


class Before:
    """Runs, by id, until they are sent again or nobody has asked for so long."""

    def __init__(self) -> None:
        self._invokers: dict[str, int] = {}
        self._until = 0.0

    def note(self, run: str, invoker: int, until: float) -> None:
        """Note where a run is; all are noted at the start."""
        self._invokers[run] = invoker
        self._until = until

    def claim(self, run: str) -> int | None:
        """Return the invoker of a run that is sent again, and forget it; None: it is none of these."""
        return self._invokers.pop(run, None)

    def expire(self, now: float) -> list[str]:
        """Forget all once their time is over; return them."""
        if not self._invokers or now < self._until:
            return []
        forgotten = list(self._invokers)
        self._invokers.clear()
        return forgotten
