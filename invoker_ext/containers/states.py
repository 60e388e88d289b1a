"""The life of one container, as its own shell sees it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final


class State(Enum):
    """Where a container is."""

    STARTING = "starting"
    """Asked for; has not said hello."""
    STARTED = "started"
    """Up, no code loaded."""
    INITIALISING = "initialising"
    """Loads an action's code; a job may wait for it."""
    READY = "ready"
    """Runs nothing, owes nothing."""
    RUNNING = "running"
    """A function runs; earlier firings may still be draining."""
    DRAINING = "draining"
    """No function runs, outputs are still to come."""
    REMOVING = "removing"
    """Being ended; what it still ran fails."""
    GONE = "gone"
    """Nothing of it is left."""


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.STARTING: frozenset({State.STARTED, State.REMOVING, State.GONE}),
    State.STARTED: frozenset({State.INITIALISING, State.REMOVING, State.GONE}),
    State.INITIALISING: frozenset({State.READY, State.REMOVING, State.GONE}),
    State.READY: frozenset({State.RUNNING, State.REMOVING, State.GONE}),
    State.RUNNING: frozenset({State.DRAINING, State.REMOVING, State.GONE}),
    State.DRAINING: frozenset({State.READY, State.RUNNING, State.REMOVING, State.GONE}),
    State.REMOVING: frozenset({State.GONE}),
    State.GONE: frozenset(),
}


class InvalidTransition(RuntimeError):
    """A container was asked to do what its state does not allow: a bug of the pool or its shell."""


def check(old: State, new: State, name: str) -> State:
    """Return the new state.

    Raises:
        InvalidTransition: The table has no way from the old one to it.
    """
    if new not in TRANSITIONS[old]:
        raise InvalidTransition(f"container {name} cannot go from {old.value} to {new.value}")
    return new


class Progress(Enum):
    """Whether anything goes on while requests for room in the sink wait."""

    SURE = "sure"
    """A container starts, or a function computes."""
    DOUBTFUL = "doubtful"
    """All that run have taken what came of their streams: they compute on it, or wait for parts that have no room."""
    NONE = "none"
