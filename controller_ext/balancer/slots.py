"""Which invoker gets a run, and what it is charged: stock home-invoker hashing over memory slots. Pure.

Source: Apache OpenWhisk, `ShardingContainerPoolBalancer.scala`.
Deviates: an overloaded fleet gets the run on the invoker with most room left, not on a random one; a run is charged for
one step, however many it has: invokers queue what is beyond.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, gcd
from typing import Final

MANAGED: Final = 0.9
BLACKBOX: Final = 0.1
"""Shares of invokers; stock's defaults."""


def java_hash(text: str) -> int:
    """Return `String.hashCode` of the JVM: 32 bits, signed, over UTF-16 units."""
    value = 0
    units = text.encode("utf-16-be")
    for at in range(0, len(units), 2):
        value = (31 * value + (units[at] << 8 | units[at + 1])) & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value


@lru_cache(maxsize=4096)
def home_hash(namespace: str, action: str) -> int:
    """Return the number from which an action's home invoker follows.

    Args:
        namespace: Of the invoker's caller.
        action: `namespace/[package/]name`.
    """
    return abs(java_hash(namespace) ^ java_hash(action))


@lru_cache(maxsize=64)
def steps(count: int) -> tuple[int, ...]:
    """Return the distances by which to go round `count` invokers: each visits all of them."""
    found: list[int] = []
    for step in range(1, count + 1):
        if gcd(step, count) == 1 and all(gcd(step, one) == 1 for one in found):
            found.append(step)
    return tuple(found)


def pools(count: int, managed: float = MANAGED, blackbox: float = BLACKBOX) -> tuple[range, range]:
    """Return which of `count` invokers run actions of known images, and which those whose image must be pulled first.

    Args:
        count: Of all indices, invokers that are away included; ≥ 1.
        managed: Share of the former: the first ones.
        blackbox: Share of the latter: the last ones, at least what the former leave. The two overlap if they are few.
    """
    first = max(1, ceil(count * managed))
    last = max(1, int(count * max(blackbox, 1.0 - managed)))
    return range(first), range(count - last, count)


class Slots:
    """Memory that each invoker has left, in MB; below zero when overloaded."""

    def __init__(self) -> None:
        self._total: list[int] = []
        self._free: list[int] = []

    def resize(self, invoker: int, memory_mb: int) -> None:
        """Note an invoker's memory; what is charged to it stays charged."""
        while len(self._total) <= invoker:
            self._total.append(0)
            self._free.append(0)
        self._free[invoker] += memory_mb - self._total[invoker]
        self._total[invoker] = memory_mb

    def take(self, usable: Sequence[int], home: int, memory_mb: int) -> int | None:
        """Choose an invoker and charge it.

        Args:
            usable: Indices of the invokers that may get work, ascending.
            home: Of `home_hash`.
            memory_mb: What to charge.

        Returns:
            Its index; None if none is usable.
        """
        if not usable:
            return None
        count = len(self._total)
        usable_set = frozenset(usable)
        distances = steps(count)
        step = distances[home % len(distances)]
        chosen = max(usable, key=lambda one: (self._free[one], -one))
        at = home % count
        for _ in range(count):
            if at in usable_set and self._free[at] >= memory_mb:
                chosen = at
                break
            at = (at + step) % count
        self._free[chosen] -= memory_mb
        return chosen

    def give_back(self, invoker: int, memory_mb: int) -> None:
        """Undo one `take`."""
        self._free[invoker] += memory_mb

    def free_mb(self, invoker: int) -> int:
        """Return what an invoker has left."""
        return self._free[invoker]
