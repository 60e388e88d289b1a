"""What the machine of a run is told. Every event carries the firing or datum it is about; `at` is monotonic seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from invoker_ext.dataflow.keys import DataKey, Firing


class Datum(Protocol):
    """A ref, opaque to the machine: it is handed back in commands as it came."""

    @property
    def size_bytes(self) -> int:
        """Bytes of the value."""


class How(Enum):
    """How an output was produced; the wire's words (PROTOCOL.md)."""

    EMIT = "emit"
    CHUNK = "chunk"
    FIELD = "field"
    SPREAD = "spread"
    WHOLE = "whole"


class Outcome(Enum):
    """How an attempt ended; the values are OpenWhisk's status codes."""

    SUCCESS = 0
    APPLICATION_ERROR = 1
    DEVELOPER_ERROR = 2
    PLATFORM_ERROR = 3


@dataclass(slots=True, frozen=True)
class Started:
    """The run is accepted; first event. `wants.run_members` says which parameters are needed, and how.

    `parameters` holds WHOLE and one datum a member that an edge names (members the run does not have are missing). A
    list member that an `each`, `gather` or `stream` edge reads is in `items`, and need not be in `parameters` then.
    `spans`: it may reach over several hosts, so that what was made may be lost and must be made again.
    """

    parameters: Mapping[str, Datum]
    items: Mapping[str, tuple[Datum, ...]]
    at: float
    spans: bool = False


@dataclass(slots=True, frozen=True)
class Began:
    """The function of this attempt began: from here on re-execution counts."""

    firing: Firing
    attempt: int
    at: float


@dataclass(slots=True, frozen=True)
class Committed:
    """A datum is whole in the sink. A repeated commit of a key changes nothing, unless the datum was lost.

    `elsewhere`: it is in that of another host, and may be lost with it.
    """

    key: DataKey
    attempt: int
    how: How
    datum: Datum
    at: float
    elsewhere: bool = False


@dataclass(slots=True, frozen=True)
class Returned:
    """The function returned. `counts` closes every output that was produced; commits may still come.

    `error` is the datum of the `error` value if the outcome is one, for `$error` edges and the run's result. `clashes`
    names outputs that were both emitted and returned, where the commits alone do not show it.
    """

    firing: Firing
    attempt: int
    outcome: Outcome
    counts: Mapping[str, tuple[How, int]]
    error: Datum | None
    at: float
    clashes: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Drained:
    """All outputs of the attempt have been committed and its inputs are let go.

    `refusal`: why the sink refused an output that was still leaving when the function returned.
    """

    firing: Firing
    attempt: int
    at: float
    refusal: str | None = None


@dataclass(slots=True, frozen=True)
class Lost:
    """The container or host of the attempt died before it drained. `began`: its function had begun.

    `outcome` and `reason` are what the firing comes to if it may not be executed again; None: what stock says of a
    container that died.
    """

    firing: Firing
    attempt: int
    began: bool
    at: float
    outcome: Outcome | None = None
    reason: str | None = None


@dataclass(slots=True, frozen=True)
class DataLost:
    """Data that other hosts held are gone. Tell it before the loss of the attempts that ran there."""

    keys: tuple[DataKey, ...]
    at: float


@dataclass(slots=True, frozen=True)
class Squeezed:
    """There is no room for data that are kept only in case of a loss."""

    at: float


@dataclass(slots=True, frozen=True)
class Brought:
    """Answer to a Bring command. `error`: some of it cannot be had; of what is lost, DataLost was told before."""

    at: float
    error: str | None = None


@dataclass(slots=True, frozen=True)
class Evaluated:
    """Answer to an Evaluate command. `error` text if the condition could not be evaluated, which fails the run."""

    ticket: int
    holds: bool
    error: str | None
    at: float


@dataclass(slots=True, frozen=True)
class RetryDue:
    """The delay of a Retry command is over."""

    firing: Firing
    attempt: int
    at: float


@dataclass(slots=True, frozen=True)
class Cancelled:
    """Somebody asked for the end of the run."""

    reason: str
    at: float


@dataclass(slots=True, frozen=True)
class DeadlineReached:
    """The run's own `timeout_s` is over."""

    at: float


@dataclass(slots=True, frozen=True)
class PlatformFailed:
    """Something outside of the graph makes the run impossible (sink full for good, store lost a graph, …)."""

    reason: str
    at: float


Event = (
    Started | Began | Committed | Returned | Drained | Lost | DataLost | Squeezed | Brought | Evaluated | RetryDue
    | Cancelled | DeadlineReached | PlatformFailed
)  # fmt: skip
