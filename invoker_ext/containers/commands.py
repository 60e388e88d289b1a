"""What the pool asks of its shell. Data, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass

from invoker_ext.containers.events import ActionKey
from invoker_ext.containers.job import Failure, Warmth


@dataclass(slots=True, frozen=True)
class Start:
    """Start a container; answered by Started or Gone. `namespace`: on whose behalf, None: nobody's yet."""

    container: int
    runtime: str
    memory_mb: int
    namespace: str | None


@dataclass(slots=True, frozen=True)
class Run:
    """Run the job; unless warm, initialise first. Answered by (Initialised,) Returned and Drained, or Gone."""

    container: int
    ticket: int
    warmth: Warmth


@dataclass(slots=True, frozen=True)
class Initialise:
    """Load the action that was hinted at; answered by Initialised, or Gone."""

    container: int
    key: ActionKey


@dataclass(slots=True, frozen=True)
class Remove:
    """End the container; answered by Gone."""

    container: int


@dataclass(slots=True, frozen=True)
class Throttle:
    """Let `emit` in this container wait for an empty outbox, or no longer."""

    container: int
    on: bool


@dataclass(slots=True, frozen=True)
class Refuse:
    """The job can never be run here. `reason`: what its listener is told with the failure."""

    ticket: int
    reason: str
    failure: Failure = Failure.NOT_STARTED


@dataclass(slots=True, frozen=True)
class WakeAt:
    """Send a Tick at this time; replaces the last one."""

    at: float


Command = Run | Start | Remove | Initialise | WakeAt | Throttle | Refuse
