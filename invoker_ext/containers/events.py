"""What the pool is told. `at` is monotonic seconds; the pool numbers containers, its shell numbers jobs (tickets)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from invoker_ext.containers.job import Failure


class ActionKey(NamedTuple):
    """Jobs with equal keys may share a container, one after the other or, if it can, several at a time."""

    namespace: str
    """The invoking one."""
    name: str
    revision: str | None
    version: str
    binding: str | None


@dataclass(slots=True, frozen=True)
class Need:
    """What a container must be for an action.

    Attributes:
        key: Whose.
        runtime: What the driver starts for its kind; kinds that share a runtime share started containers.
        memory_mb: Limit of the container.
        concurrency: How many of its functions one container runs at a time.
    """

    key: ActionKey
    runtime: str
    memory_mb: int
    concurrency: int = 1


@dataclass(slots=True, frozen=True)
class Submitted:
    """A job wants a container. `run`: the activation it belongs to."""

    ticket: int
    need: Need
    run: str
    at: float


@dataclass(slots=True, frozen=True)
class Withdrawn:
    """A job that waits is no longer wanted."""

    ticket: int
    key: ActionKey
    at: float


@dataclass(slots=True, frozen=True)
class Hinted:
    """A step of this action will fire soon."""

    need: Need
    at: float


@dataclass(slots=True, frozen=True)
class Started:
    """A container says hello."""

    container: int
    at: float


@dataclass(slots=True, frozen=True)
class Initialised:
    """The action's code is loaded; if a job was given, its function begins now."""

    container: int
    at: float


@dataclass(slots=True, frozen=True)
class Returned:
    """The function returned.

    Attributes:
        container: Which.
        keep: False: its state is in doubt; it goes once it is drained.
        pressure_s: Positive: do not reuse it for this long, or until it is drained.
        at: When.
    """

    container: int
    keep: bool
    pressure_s: float
    at: float


@dataclass(slots=True, frozen=True)
class Drained:
    """All outputs of one firing left. `held_bytes` of its inputs are kept alive by user code."""

    container: int
    held_bytes: int
    at: float


@dataclass(slots=True, frozen=True)
class Freed:
    """User code let go of more of the inputs it had kept."""

    container: int
    held_bytes: int


@dataclass(slots=True, frozen=True)
class Gone:
    """The container exists no more, whatever the reason; `error` and what it means if it never came up."""

    container: int
    at: float
    error: str | None = None
    failure: Failure = Failure.NOT_STARTED


@dataclass(slots=True, frozen=True)
class SinkBlocked:
    """Producers of these runs are blocked in `emit`; empty: no longer."""

    runs: frozenset[str]
    at: float


@dataclass(slots=True, frozen=True)
class Tick:
    """The time of the last WakeAt has come."""

    at: float


Event = Submitted | Returned | Drained | Initialised | Started | Gone | Tick | Hinted | Withdrawn | SinkBlocked | Freed
