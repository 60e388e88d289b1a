"""Which invoker gets a run, and what it is charged: stock home-invoker hashing over memory slots. Pure.

Source: Apache OpenWhisk, `ShardingContainerPoolBalancer.scala`, `NestedSemaphore.scala`.
Deviates: what is charged to an invoker stays charged when its memory or the number of controllers changes; a run is
charged for one step, however many it has: invokers queue what is beyond.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil, gcd
from typing import Final

MANAGED: Final = 0.9
BLACKBOX: Final = 0.1
"""Shares of invokers; stock's defaults."""
LEAST_MB: Final = 128
"""What each controller has of an invoker at least, however many they are: stock's smallest action."""

_USUAL_S: Final = 60.0
_FACTOR: Final = 2
_ADDON_S: Final = 60.0


def ends_within_s(timeout_s: float) -> float:
    """Return how long the end of an action is awaited, by its time limit, as stock does."""
    return max(timeout_s, _USUAL_S) * _FACTOR + _ADDON_S


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


@lru_cache(maxsize=64)
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


@dataclass(slots=True, frozen=True, kw_only=True)
class Charge:
    """What a run costs its invoker.

    Attributes:
        memory_mb: Of its largest step.
        home: Of `home_hash`.
        action: `namespace/[package/]name@version`: its activations share a slot if it allows several at a time.
        concurrency: How many of them.
        pulled: Its image must be pulled first.
    """

    memory_mb: int
    home: int
    action: str = ""
    concurrency: int = 1
    pulled: bool = False


@dataclass(slots=True)
class _Shared:
    """One action's places in containers of an invoker: `free` of them, and `open` activations that hold one."""

    free: int = 0
    open: int = 0


@dataclass(slots=True)
class _Invoker:
    memory_mb: int = 0
    total_mb: int = 0
    """Our share of its memory."""
    free_mb: int = 0
    shared: dict[str, _Shared] = field(default_factory=dict)


class Slots:
    """Memory that each invoker has left for us; below zero when overloaded."""

    def __init__(self, random_below: Callable[[int], int]) -> None:
        """Know no invoker.

        Args:
            random_below: Returns a number below the one given, each as likely; `random.randrange`.
        """
        self._random_below = random_below
        self._invokers: list[_Invoker] = []
        self._controllers = 1

    def resize(self, invoker: int, memory_mb: int) -> None:
        """Note an invoker's memory; what is charged to it stays charged."""
        one = self._invoker(invoker)
        if one.memory_mb != memory_mb:
            one.memory_mb = memory_mb
            self._share(one)

    def divide(self, controllers: int) -> None:
        """Note how many controllers share the invokers: each has an equal part of each one's memory."""
        self._controllers = controllers
        for one in self._invokers:
            if one.memory_mb:
                self._share(one)

    def take(self, usable: Sequence[int], charge: Charge) -> int | None:
        """Choose an invoker and charge it.

        Args:
            usable: Indices of the invokers that may get work, ascending.
            charge: For what.

        Returns:
            Its index; None if none of the pool is usable.
        """
        if not usable:
            return None
        pool = pools(len(self._invokers))[charge.pulled]
        among = frozenset(usable)
        distances = steps(len(pool))
        step = distances[charge.home % len(distances)]
        at = charge.home % len(pool)
        for _ in pool:
            if pool[at] in among and self._charged(pool[at], charge):
                return pool[at]
            at = (at + step) % len(pool)
        those = [one for one in usable if one in pool]
        if not those:
            return None
        # Overloaded: whoever it is has what is beyond its memory waiting.
        chosen = those[self._random_below(len(those))]
        self._charged(chosen, charge, force=True)
        return chosen

    def charge(self, invoker: int, charge: Charge) -> None:
        """Charge an invoker, which may not have been heard of yet, for what it has from before."""
        self._invoker(invoker)
        self._charged(invoker, charge, force=True)

    def give_back(self, invoker: int, charge: Charge) -> None:
        """Undo one `take` or `charge`."""
        one = self._invokers[invoker]
        if charge.concurrency == 1:
            one.free_mb += charge.memory_mb
            return
        shared = one.shared[charge.action]
        shared.open -= 1
        shared.free += 1
        if shared.free % charge.concurrency == 0:
            shared.free -= charge.concurrency
            one.free_mb += charge.memory_mb
        if shared.open == 0:
            del one.shared[charge.action]

    def free_mb(self, invoker: int) -> int:
        """Return what an invoker has left."""
        return self._invokers[invoker].free_mb

    def _invoker(self, number: int) -> _Invoker:
        while len(self._invokers) <= number:
            self._invokers.append(_Invoker())
        return self._invokers[number]

    def _share(self, one: _Invoker) -> None:
        total_mb = max(one.memory_mb // self._controllers, LEAST_MB)
        one.free_mb += total_mb - one.total_mb
        one.total_mb = total_mb

    def _charged(self, invoker: int, charge: Charge, *, force: bool = False) -> bool:
        """Charge an invoker if it has room, or is to be charged all the same; return whether it was."""
        one = self._invokers[invoker]
        shared = one.shared.get(charge.action) if charge.concurrency > 1 else None
        if shared is not None and shared.free > 0:
            shared.free -= 1
            shared.open += 1
            return True
        if not force and one.free_mb < charge.memory_mb:
            return False
        one.free_mb -= charge.memory_mb
        if charge.concurrency > 1:
            shared = shared or one.shared.setdefault(charge.action, _Shared())
            shared.free += charge.concurrency - 1
            shared.open += 1
        return True
