"""Which invokers there are and how they are, from their pings and results. Pure.

Source: internals §1.7 (Apache OpenWhisk InvokerSupervision).
Deviates: an invoker is usable from its first ping on, without a test action, and one that fails is still used when no
better one is left; it is healthy again after a success. With one invoker the alternative is no service at all.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from action_runtime.wire.errors import DataflowError

SILENT_S: Final = 10.0
"""Without a ping for so long an invoker is offline; stock's number."""
_RESULTS: Final = 10
_TOLERATED: Final = 3
_MAX_INVOKERS: Final = 10_000


class Health(Enum):
    """The values are what `invokers` shows, stock's words."""

    OFFLINE = "down"
    UNHEALTHY = "unhealthy"
    HEALTHY = "up"


class HealthEvent(Enum):
    """What happens to an invoker."""

    PINGED = "pinged"
    LEFT = "left"
    """A ping that says so, or silence."""
    FAILED_OFTEN = "failed often"
    """More system errors among its last results than are tolerated."""
    SUCCEEDED = "succeeded"


TRANSITIONS: Final[Mapping[tuple[Health, HealthEvent], Health]] = {
    (Health.OFFLINE, HealthEvent.PINGED): Health.HEALTHY,
    (Health.OFFLINE, HealthEvent.LEFT): Health.OFFLINE,
    (Health.OFFLINE, HealthEvent.SUCCEEDED): Health.OFFLINE,
    (Health.OFFLINE, HealthEvent.FAILED_OFTEN): Health.OFFLINE,
    (Health.UNHEALTHY, HealthEvent.PINGED): Health.UNHEALTHY,
    (Health.UNHEALTHY, HealthEvent.LEFT): Health.OFFLINE,
    (Health.UNHEALTHY, HealthEvent.SUCCEEDED): Health.HEALTHY,
    (Health.UNHEALTHY, HealthEvent.FAILED_OFTEN): Health.UNHEALTHY,
    (Health.HEALTHY, HealthEvent.PINGED): Health.HEALTHY,
    (Health.HEALTHY, HealthEvent.LEFT): Health.OFFLINE,
    (Health.HEALTHY, HealthEvent.SUCCEEDED): Health.HEALTHY,
    (Health.HEALTHY, HealthEvent.FAILED_OFTEN): Health.UNHEALTHY,
}


class MalformedPing(DataflowError):
    """A message on topic `health` is not a PingMessage."""

    code = "malformed-ping"


@dataclass(slots=True, frozen=True)
class Ping:
    """A stock PingMessage, read.

    Attributes:
        instance: The invoker's index.
        memory_mb: For actions.
        name: For people: unique name, or displayed name, or the index.
        enabled: False: it takes no work any more.
    """

    instance: int
    memory_mb: int
    name: str
    enabled: bool

    @staticmethod
    def from_json(document: dict[str, Any]) -> Ping:
        """Read `{"name": InvokerInstanceId, "isEnabled": bool}`; raises MalformedPing."""
        try:
            invoker = document["name"]
            instance = invoker["instance"]
            size = re.fullmatch(r"(\d+) ?B", invoker["userMemory"])
            if type(instance) is not int or not 0 <= instance < _MAX_INVOKERS or size is None:
                raise MalformedPing("a ping's instance or memory is malformed")
            name = invoker.get("uniqueName") or invoker.get("displayedName") or str(instance)
            return Ping(instance, int(size[1]) // (1024 * 1024), str(name), document.get("isEnabled", True) is True)
        except (KeyError, TypeError) as error:
            raise MalformedPing(f"not a ping: {error!r}") from error


@dataclass(slots=True)
class _Invoker:
    health: Health = Health.OFFLINE
    name: str = ""
    heard: float = 0.0
    results: deque[bool] = field(default_factory=lambda: deque(maxlen=_RESULTS))


class Fleet:
    """All invokers ever heard of, by index."""

    def __init__(self) -> None:
        self._invokers: list[_Invoker] = []
        self._usable: tuple[int, ...] = ()

    def pinged(self, ping: Ping, now: float) -> bool:
        """Take a ping; return True if the invoker's health changed.

        Args:
            ping: What came.
            now: Monotonic seconds.
        """
        while len(self._invokers) <= ping.instance:
            self._invokers.append(_Invoker(name=str(len(self._invokers))))
        invoker = self._invokers[ping.instance]
        invoker.heard = now
        invoker.name = ping.name
        return self._move(invoker, HealthEvent.PINGED if ping.enabled else HealthEvent.LEFT)

    def ended(self, instance: int, system_error: bool) -> bool:
        """Take the result of an activation; return True if the invoker's health changed."""
        if instance >= len(self._invokers):
            return False
        invoker = self._invokers[instance]
        invoker.results.append(not system_error)
        if not system_error:
            return invoker.health is Health.UNHEALTHY and self._move(invoker, HealthEvent.SUCCEEDED)
        if invoker.results.count(False) > _TOLERATED:
            return self._move(invoker, HealthEvent.FAILED_OFTEN)
        return False

    def silent(self, now: float) -> bool:
        """Note who has not been heard of for SILENT_S; return True if anybody's health changed."""
        changed = False
        for invoker in self._invokers:
            if invoker.health is not Health.OFFLINE and now - invoker.heard > SILENT_S:
                changed = self._move(invoker, HealthEvent.LEFT) or changed
        return changed

    def usable(self) -> tuple[int, ...]:
        """Return the indices of invokers that may get work: the healthy ones, or else the unhealthy ones."""
        return self._usable

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
        for wanted in (Health.HEALTHY, Health.UNHEALTHY):
            self._usable = tuple(i for i, one in enumerate(self._invokers) if one.health is wanted)
            if self._usable:
                break
        return True
