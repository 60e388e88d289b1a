"""Which invokers there are and how they are, from their pings and results. Pure.

Source: Apache OpenWhisk, `InvokerSupervision.scala`.
Deviates: an invoker of ours is usable from its first ping on, without a test action, and one that fails is still used
when no healthy one is left: with one invoker the alternative is no service at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Final

from action_runtime.wire.errors import DataflowError
from invoker_ext.contract.stock import PingMessage
from invoker_ext.contract.told import Told
from invoker_ext.door.places import far

SILENT_S: Final = 10.0
"""Without a ping for so long an invoker is offline; stock's number."""
TEST_S: Final = 60.0
"""Between two test actions for an invoker that is not healthy; stock's number."""
_RESULTS: Final = 10
_TOLERATED: Final = 3
_MAX_INVOKERS: Final = 10_000


class Health(Enum):
    """The values are what `invokers` shows, stock's words."""

    OFFLINE = "down"
    UNHEALTHY = "unhealthy"
    UNRESPONSIVE = "unresponsive"
    HEALTHY = "up"


class HealthEvent(Enum):
    """What happens to an invoker."""

    PINGED = "pinged"
    APPEARED = "appeared"
    """A ping of an invoker that is to be tested before it gets work: stock's."""
    LEFT = "left"
    """A ping that says so, or silence."""
    FAILED_OFTEN = "failed often"
    """More system errors among its last results than are tolerated."""
    TIMED_OUT_OFTEN = "timed out often"
    """More activations than are tolerated whose end it never told."""
    SUCCEEDED = "succeeded"


TRANSITIONS: Final[Mapping[tuple[Health, HealthEvent], Health]] = {
    (Health.OFFLINE, HealthEvent.PINGED): Health.HEALTHY,
    (Health.OFFLINE, HealthEvent.APPEARED): Health.UNHEALTHY,
    (Health.OFFLINE, HealthEvent.LEFT): Health.OFFLINE,
    (Health.OFFLINE, HealthEvent.SUCCEEDED): Health.OFFLINE,
    (Health.OFFLINE, HealthEvent.FAILED_OFTEN): Health.OFFLINE,
    (Health.OFFLINE, HealthEvent.TIMED_OUT_OFTEN): Health.OFFLINE,
    (Health.UNHEALTHY, HealthEvent.PINGED): Health.UNHEALTHY,
    (Health.UNHEALTHY, HealthEvent.APPEARED): Health.UNHEALTHY,
    (Health.UNHEALTHY, HealthEvent.LEFT): Health.OFFLINE,
    (Health.UNHEALTHY, HealthEvent.SUCCEEDED): Health.HEALTHY,
    (Health.UNHEALTHY, HealthEvent.FAILED_OFTEN): Health.UNHEALTHY,
    (Health.UNHEALTHY, HealthEvent.TIMED_OUT_OFTEN): Health.UNRESPONSIVE,
    (Health.UNRESPONSIVE, HealthEvent.PINGED): Health.UNRESPONSIVE,
    (Health.UNRESPONSIVE, HealthEvent.APPEARED): Health.UNRESPONSIVE,
    (Health.UNRESPONSIVE, HealthEvent.LEFT): Health.OFFLINE,
    (Health.UNRESPONSIVE, HealthEvent.SUCCEEDED): Health.HEALTHY,
    (Health.UNRESPONSIVE, HealthEvent.FAILED_OFTEN): Health.UNHEALTHY,
    (Health.UNRESPONSIVE, HealthEvent.TIMED_OUT_OFTEN): Health.UNRESPONSIVE,
    (Health.HEALTHY, HealthEvent.PINGED): Health.HEALTHY,
    (Health.HEALTHY, HealthEvent.APPEARED): Health.HEALTHY,
    (Health.HEALTHY, HealthEvent.LEFT): Health.OFFLINE,
    (Health.HEALTHY, HealthEvent.SUCCEEDED): Health.HEALTHY,
    (Health.HEALTHY, HealthEvent.FAILED_OFTEN): Health.UNHEALTHY,
    (Health.HEALTHY, HealthEvent.TIMED_OUT_OFTEN): Health.UNRESPONSIVE,
}


class Result(Enum):
    """How an activation ended, as far as it says something about its invoker."""

    SUCCESS = "success"
    """Errors of the action are none of the invoker's."""
    SYSTEM_ERROR = "system error"
    TIMEOUT = "timeout"
    """Its end was not told in time."""


class MalformedPing(DataflowError):
    """A message on topic `health` is not a PingMessage."""

    code = "malformed-ping"


@dataclass(slots=True, frozen=True)
class Ping:
    """What counts of a stock PingMessage.

    Attributes:
        instance: The invoker's index.
        memory_mb: For actions.
        name: For people: unique name, or displayed name, or the index.
        enabled: False: it takes no work any more.
        takes_runs: It is one of ours; another gets plain actions only, and is tested first.
        address: Where it listens for other hosts, `HOST:PORT`; None: it does not.
    """

    instance: int
    memory_mb: int
    name: str
    enabled: bool
    takes_runs: bool = True
    address: str | None = None

    @staticmethod
    def read(payload: bytes | memoryview) -> Ping:
        """Read a message of topic `health`; raises MalformedPing."""
        try:
            ping = PingMessage.decode(payload)
        except ValueError as error:
            raise MalformedPing(str(error)) from error
        invoker = ping.invoker
        if invoker.instance >= _MAX_INVOKERS:
            raise MalformedPing(f"an invoker's index is {invoker.instance}")
        name = invoker.unique_name or invoker.displayed_name or str(invoker.instance)
        memory_mb = invoker.memory_bytes // (1024 * 1024)
        told = Told.of(invoker.tags)
        address = None if told is None else told.address
        if address is not None:
            try:
                far(address)
            except ValueError as error:
                raise MalformedPing(f"the address of invoker {invoker.instance} {error}") from error
        return Ping(invoker.instance, memory_mb, name, ping.enabled, invoker.takes_runs, address)


@dataclass(slots=True)
class _Invoker:
    health: Health = Health.OFFLINE
    name: str = ""
    takes_runs: bool = True
    address: str | None = None
    heard: float = inf
    """When it last was; never: it is not lost either."""
    test_at: float = 0.0
    """When it is tested next, unless it is healthy or offline."""
    results: deque[Result] = field(default_factory=lambda: deque(maxlen=_RESULTS))


class Fleet:
    """All invokers ever heard of, by index."""

    def __init__(self) -> None:
        self._invokers: list[_Invoker] = []
        self._usable: tuple[int, ...] = ()
        self._usable_for_runs: tuple[int, ...] = ()
        self._only_stock = False

    def pinged(self, ping: Ping, now: float) -> bool:
        """Take a ping; return True if the invoker's health changed.

        Args:
            ping: What came.
            now: Monotonic seconds.
        """
        invoker = self._invoker(ping.instance)
        invoker.heard = now
        invoker.name = ping.name
        invoker.takes_runs = ping.takes_runs
        invoker.address = ping.address
        if not ping.enabled:
            return self._move(invoker, HealthEvent.LEFT)
        return self._move(invoker, HealthEvent.PINGED if ping.takes_runs else HealthEvent.APPEARED)

    def expect(self, instance: int, now: float) -> None:
        """Count the silence of an invoker that an earlier balancer knew: one that does not come back is lost."""
        self._invoker(instance).heard = now

    def _invoker(self, instance: int) -> _Invoker:
        while len(self._invokers) <= instance:
            self._invokers.append(_Invoker(name=str(len(self._invokers))))
        return self._invokers[instance]

    def ended(self, instance: int, result: Result, now: float) -> bool:
        """Take the result of an activation; return True if the invoker's health changed.

        Args:
            instance: The invoker's index.
            result: What came of the activation.
            now: Monotonic seconds.
        """
        if instance >= len(self._invokers):
            return False
        invoker = self._invokers[instance]
        invoker.results.append(result)
        if invoker.health is not Health.OFFLINE:
            invoker.heard = now
        if invoker.health is Health.OFFLINE or (invoker.health is Health.HEALTHY and result is Result.SUCCESS):
            return False
        if result is Result.SUCCESS:
            invoker.test_at = 0.0  # as stock: what comes of one that is not healthy is followed by a test at once
        return self._move(invoker, _judge(invoker.results))

    def silent(self, now: float) -> bool:
        """Note who has not been heard of for SILENT_S; return True if anybody's health changed."""
        changed = False
        for invoker in self._invokers:
            if invoker.health is not Health.OFFLINE and now - invoker.heard > SILENT_S:
                changed = self._move(invoker, HealthEvent.LEFT) or changed
        return changed

    def excuse(self, now: float) -> None:
        """Count everybody's silence from now on: nobody could have been heard."""
        for invoker in self._invokers:
            invoker.heard = now

    def lost(self, now: float, after_s: float) -> frozenset[int]:
        """Return the invokers of ours that are offline and were last heard of so long ago, or longer."""
        return frozenset(
            index
            for index, one in enumerate(self._invokers)
            if one.takes_runs and one.health is Health.OFFLINE and now - one.heard >= after_s
        )

    def tests_due(self, now: float) -> list[int]:
        """Return the invokers that are to be tested now: at once when they are not healthy, then each minute."""
        due: list[int] = []
        for index, invoker in enumerate(self._invokers):
            sick = invoker.health in (Health.UNHEALTHY, Health.UNRESPONSIVE)
            if sick and now >= invoker.test_at:
                invoker.test_at = now + TEST_S
                due.append(index)
        return due

    def usable(self, *, runs: bool = False) -> tuple[int, ...]:
        """Return the indices of invokers that may get work: the healthy ones, or else those of ours that are there.

        Args:
            runs: Only such as take runs; stock's take plain actions alone.
        """
        return self._usable_for_runs if runs else self._usable

    @property
    def only_stock(self) -> bool:
        """Whether there are healthy invokers, and all of them take plain actions alone."""
        return self._only_stock

    def doors(self) -> list[str]:
        """Return the names of the peer doors of those that are there and listen for other hosts."""
        there = [one.address for one in self._invokers if one.health is not Health.OFFLINE]
        return [far(address) for address in there if address is not None]

    def door(self, index: int) -> str | None:
        """Return the name of the peer door of an invoker; None: it has not pinged, or listens for no other hosts."""
        address = self._invokers[index].address if index < len(self._invokers) else None
        return None if address is None else far(address)

    def states(self) -> dict[str, str]:
        """Return `{"invoker0/NAME": "up"}`, stock's `GET /invokers`."""
        return {f"invoker{index}/{one.name}": one.health.value for index, one in enumerate(self._invokers)}

    def _move(self, invoker: _Invoker, event: HealthEvent) -> bool:
        before = invoker.health
        invoker.health = TRANSITIONS[before, event]
        if invoker.health is before:
            return False
        if invoker.health is Health.OFFLINE:
            invoker.results.clear()
        invoker.test_at = 0.0
        ours = self._those(lambda one: one.takes_runs and one.health is not Health.OFFLINE)
        healthy = self._those(lambda one: one.health is Health.HEALTHY)
        for_runs = tuple(index for index in healthy if self._invokers[index].takes_runs)
        self._usable = healthy or ours
        self._usable_for_runs = for_runs or ours
        self._only_stock = bool(healthy) and not for_runs
        return True

    def _those(self, counts: Callable[[_Invoker], bool]) -> tuple[int, ...]:
        return tuple(index for index, one in enumerate(self._invokers) if counts(one))


def _judge(results: Sequence[Result]) -> HealthEvent:
    """Judge an invoker as stock does: by the last result while there are few, then by how many are bad."""
    few = len(results) <= _TOLERATED
    for bad, event in _BAD.items():
        if (results[-1] is bad) if few else results.count(bad) > _TOLERATED:
            return event
    return HealthEvent.SUCCEEDED


_BAD: Final = {
    Result.SYSTEM_ERROR: HealthEvent.FAILED_OFTEN,
    Result.TIMEOUT: HealthEvent.TIMED_OUT_OFTEN,
}
