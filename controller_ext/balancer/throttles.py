"""Stock throttles: invocations and fires in a clock minute, and activations in flight, per namespace. Pure.

Source: Apache OpenWhisk, `RateThrottler.scala`, `ActivationThrottler.scala`, `Entitlement.scala`.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from invoker_ext.contract.events import CONCURRENT_INVOCATIONS, CONCURRENT_LIMIT, TIMED_LIMIT

_MINUTE_MS: Final = 60_000
_OVERCOMMIT: Final = (6, 5)
"""What several controllers allow in all, of a limit: clients do not spread their requests evenly; stock's 1.2."""


def share(limit: int, controllers: int) -> int:
    """Return what one of so many controllers allows of a limit."""
    if controllers == 1 or limit == 0:
        return limit
    more, of = _OVERCOMMIT
    return max(1, -(-limit * more // of) // controllers)


class _Minute:
    """Counts what namespaces do in the present clock minute; forgets it as soon as the next one begins."""

    def __init__(self) -> None:
        self._minute = 0
        self._counts: Counter[str] = Counter()

    def check(self, namespace: str, allowed: int, now_ms: int) -> str | None:
        """Count one more; return why it is refused, None if it is not."""
        minute = now_ms // _MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        self._counts[namespace] += 1
        count = self._counts[namespace]
        if count <= allowed:
            return None
        return f"Too many requests in the last minute (count: {count}, allowed: {allowed})."


class Throttles:
    """Counts and decides. Invocations and fires are counted apart.

    Attributes:
        metric: What stock's user events tell of the last decision, and its value; None: nothing.
    """

    def __init__(self) -> None:
        self.metric: tuple[str, int] | None = None
        self._controllers = 1
        self._invocations = _Minute()
        self._fires = _Minute()
        self._in_flight: Counter[str] = Counter()

    def divide(self, controllers: int) -> None:
        """Note how many controllers share the limits."""
        self._controllers = controllers

    def check(self, namespace: str, per_minute: int, concurrent: int, now_ms: int) -> str | None:
        """Count one invocation; return why it is refused, None if it is not.

        Args:
            namespace: Its uuid.
            per_minute: How many it may make in a clock minute; the refused ones count too.
            concurrent: How many it may have in flight, this one included.
            now_ms: Wall clock, epoch milliseconds.
        """
        refusal = self._invocations.check(namespace, share(per_minute, self._controllers), now_ms)
        if refusal is not None:
            self.metric = (TIMED_LIMIT, 1)
            return refusal
        concurrent = share(concurrent, self._controllers)
        flying = self._in_flight[namespace]
        if flying >= concurrent:
            self.metric = (CONCURRENT_LIMIT, 1)
            return f"Too many concurrent requests in flight (count: {flying}, allowed: {concurrent})."
        self.metric = (CONCURRENT_INVOCATIONS, flying + 1)
        return None

    def check_fire(self, namespace: str, per_minute: int, now_ms: int) -> str | None:
        """Count one fire of a trigger; return why it is refused, None if it is not."""
        refusal = self._fires.check(namespace, share(per_minute, self._controllers), now_ms)
        self.metric = None if refusal is None else (TIMED_LIMIT, 1)
        return refusal

    def began(self, namespace: str) -> None:
        """Count an activation that is in flight from now on."""
        self._in_flight[namespace] += 1

    def ended(self, namespace: str) -> None:
        """Forget one that is not any more."""
        self._in_flight[namespace] -= 1
        if self._in_flight[namespace] <= 0:
            del self._in_flight[namespace]

    def in_flight(self) -> int:
        """Return how many activations are in flight, of all namespaces."""
        return self._in_flight.total()
