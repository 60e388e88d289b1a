"""The states of a firing, and the whole truth about which may follow which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final, NamedTuple

from action_runtime.wire.errors import Blame, DataflowError
from invoker_ext.dataflow.keys import Firing


class State(Enum):
    """Where a firing is in its life."""

    __hash__ = object.__hash__  # Enum's own is Python code, and every transition looks states up.

    WAITING = "waiting"
    """Some input is neither there nor dead."""
    RUNNING = "running"
    """An attempt has been dispatched and its function has not returned."""
    BACKOFF = "backoff"
    """An attempt failed, the next one waits for its time."""
    RECOVERING = "recovering"
    """What it reads was lost with a host and is made again; it is executed (again) when all of it is there."""
    DRAINING = "draining"
    """The function has returned for good; outputs may still leave, inputs may still be mapped."""
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    """A required input is dead."""
    DROPPED = "dropped"
    """The run ended before it fired."""


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    # DONE at once: the result of the run. FAILED at once: a step that cannot run.
    State.WAITING: frozenset({State.RUNNING, State.RECOVERING, State.DONE, State.FAILED, State.SKIPPED, State.DROPPED}),
    # RUNNING again: the attempt was lost and the firing has been dispatched anew.
    State.RUNNING: frozenset({State.RUNNING, State.RECOVERING, State.BACKOFF, State.DRAINING, State.FAILED}),
    # DRAINING: the run ended while outputs of the failed attempt were still leaving.
    State.BACKOFF: frozenset({State.RUNNING, State.RECOVERING, State.DRAINING, State.FAILED}),
    # RUNNING: the container died with outputs that are needed.
    State.DRAINING: frozenset({State.DONE, State.FAILED, State.RUNNING, State.RECOVERING}),
    # DRAINING, DONE, FAILED, DROPPED: the run ended meanwhile.
    State.RECOVERING: frozenset({State.RUNNING, State.DRAINING, State.DONE, State.FAILED, State.DROPPED}),
    # RUNNING: what it made was lost with a host.
    State.DONE: frozenset({State.RUNNING, State.RECOVERING}),
    State.FAILED: frozenset(),
    State.SKIPPED: frozenset(),
    State.DROPPED: frozenset(),
}

TERMINAL: Final = frozenset({State.DONE, State.FAILED, State.SKIPPED, State.DROPPED})
"""Where a firing stays, unless what it made is lost."""

BETWEEN: Final = frozenset({State.BACKOFF, State.RECOVERING})
"""The present attempt is over; what it returned does not count, if it returned at all."""


class Transition(NamedTuple):
    """One line of a firing's story.

    Attributes:
        at: Monotonic seconds of the event that caused it.
        before: State that was left.
        after: State that was entered.
        cause: What happened, a few words.
    """

    at: float
    before: State
    after: State
    cause: str

    def __str__(self) -> str:
        return f"{self.at:.6f} {self.before.value} -> {self.after.value} ({self.cause})"


class InvalidTransition(DataflowError):
    """A bug of the platform: a state that may not follow. Carries the story of the firing."""

    code = "invalid-transition"
    blame = Blame.PLATFORM

    def __init__(self, firing: Firing, before: str, after: str, story: Iterable[Transition] = ()) -> None:
        super().__init__(f"{firing}: {before} -> {after}; " + "; ".join(str(one) for one in story))
        self.firing = firing
