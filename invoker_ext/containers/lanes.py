"""One action's queue and containers as the pool sees them, and when one more container pays. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from invoker_ext.containers.events import Need
from invoker_ext.containers.pressure import blended

_SLOWED: Final = 1.5
"""A function that takes this much longer than on idle cores is computing: another container would only slow it more."""

STILL_S: Final = 1.0
"""Longer than a queue in front of computing containers stands still, shorter than anybody should wait in vain."""


class Place(Enum):
    """Where the pool finds a container."""

    STARTING = "starting"
    """Not up yet. In `Lane.starting` of the action it was started for, if any."""
    SPARE = "spare"
    """Up, nothing loaded; anybody's. In `Pool.spares`."""
    LOADING = "loading"
    """Loads an action because of a hint; runs nothing."""
    BUSY = "busy"
    """Loads and runs, or runs, as many jobs as it may."""
    OPEN = "open"
    """Runs jobs and takes one more of its action at once. In `Lane.idle`."""
    IDLE = "idle"
    """Takes the next job of its action at once. In `Lane.idle`; may be undrained."""
    RESTING = "resting"
    """Runs nothing, but must not be reused yet: undrained, under pressure, or about to be removed."""
    REMOVING = "removing"
    """Asked to end; its memory counts until it is gone."""


PLACES: Final[Mapping[Place, frozenset[Place]]] = {
    Place.STARTING: frozenset({Place.SPARE, Place.LOADING, Place.BUSY, Place.REMOVING}),
    Place.SPARE: frozenset({Place.BUSY, Place.LOADING, Place.REMOVING}),
    Place.LOADING: frozenset({Place.IDLE, Place.REMOVING}),
    Place.BUSY: frozenset({Place.OPEN, Place.IDLE, Place.RESTING, Place.REMOVING}),
    Place.OPEN: frozenset({Place.BUSY, Place.IDLE, Place.RESTING}),
    Place.IDLE: frozenset({Place.OPEN, Place.BUSY, Place.RESTING, Place.REMOVING}),
    Place.RESTING: frozenset({Place.IDLE, Place.REMOVING}),
    Place.REMOVING: frozenset(),
}
"""From any of them a container may also be gone without warning."""
RUNNING: Final = frozenset({Place.BUSY, Place.OPEN})
"""Where functions run."""
TAKING: Final = frozenset({Place.IDLE, Place.OPEN})
"""Where the next job of the action is taken at once."""


class InvalidPlace(RuntimeError):
    """A container was moved to a place it cannot reach from where it is: a bug in the pool."""


@dataclass(slots=True, eq=False)
class Slot:
    """A container, as the pool sees it."""

    number: int
    runtime: str
    memory_mb: int
    since: float
    """When it came to this place."""
    place: Place = Place.STARTING
    lane: Lane | None = None
    """Whose it is; None: nobody's, it is a stem cell or a spare."""
    owner: str | None = None
    """Namespace that its memory is charged to."""
    hinted: bool = False
    """Load the action when it is up, even if no job waits."""
    running: int = 0
    """Jobs whose function runs, or waits for its code."""
    undrained: int = 0
    """Firings that have returned and not drained."""
    held_bytes: int = 0
    """Inputs that user code keeps alive."""
    rest_until: float = 0.0
    """Under pressure until then, or until drained."""
    retiring: bool = False
    """Remove it as soon as it is drained."""
    throttled: bool = False

    def move(self, place: Place, at: float) -> None:
        """Go to another place.

        Raises:
            InvalidPlace: There is no way from here to there.
        """
        if place not in PLACES[self.place]:
            raise InvalidPlace(f"container {self.number} cannot go from {self.place.value} to {place.value}")
        self.place = place
        self.since = at

    def owned(self) -> Lane:
        """Return whose it is.

        Raises:
            InvalidPlace: Nobody's, though it is in a place that only an owned one can be in.
        """
        if self.lane is None:
            raise InvalidPlace(f"container {self.number} is {self.place.value} but nobody's")
        return self.lane


@dataclass(slots=True, frozen=True)
class Waiting:
    """A job in a queue."""

    ticket: int
    run: str
    since: float


@dataclass(slots=True, eq=False)
class Lane:
    """One action: its queue, its containers, what was learned about it."""

    need: Need
    waiting: deque[Waiting] = field(default_factory=deque)
    idle: list[Slot] = field(default_factory=list)
    """Those that take a job at once; last used last."""
    slots: dict[int, Slot] = field(default_factory=dict)
    """All containers that are, or will be, this action's; not those being removed."""
    starting: int = 0
    """How many of `slots` are not up yet."""
    grown_at: float = 0.0
    """When it last got a container."""
    function_s: float | None = None
    """Mean time of the function."""
    calm_s: float | None = None
    """The same, only from times when no more functions ran than there are cores."""
    load_s: float = 0.0
    """Mean time to load the action's code."""
    bandwidth_bytes_per_s: float | None = None
    """How fast outputs last left one of its containers; for those that have measured nothing yet."""

    def learn(self, function_s: float, calm: bool) -> None:
        """Take in the time of one more firing."""
        self.function_s = blended(self.function_s, function_s)
        if calm:
            self.calm_s = blended(self.calm_s, function_s)

    def estimated_wait_s(self) -> float:
        """Return how long the last in the queue will wait, by the mean time of the function; 0: not known."""
        if self.function_s is None or not self.slots:
            return 0.0
        return len(self.waiting) * self.function_s / (len(self.slots) * self.need.concurrency)

    def patience_s(self, start_s: float, cores: int) -> float:
        """Return the wait from which one more container pays: the time it needs to come up.

        Beyond one container a core it must promise more, since all share the cores.
        """
        return (start_s + self.load_s) * max(1.0, len(self.slots) / cores)

    def wants_another(self, at: float, start_s: float, cores: int) -> bool:
        """Say whether one more container pays now.

        The first one always does. With short functions a queue in front of a warm container is faster than
        many interpreters that come up and then share the cores, so the others must earn their start.

        Args:
            at: Now.
            start_s: Mean time from a start to HELLO on this host.
            cores: Of this host.
        """
        if not self.slots:
            return bool(self.waiting)
        # No more at a time than can start side by side: what the first of them change is seen before the next.
        lacking = -(-len(self.waiting) // self.need.concurrency)
        if self.starting >= min(lacking, max(2, cores)):
            return False
        if self.need.concurrency > 1 and self._coming() >= len(self.waiting):
            return False  # they need no container of their own
        if any(slot.rest_until > at for slot in self.slots.values()):
            return True  # positive pressure asks for another one
        if at >= self.due_at(start_s, cores):
            return True
        return not self.computes(cores) and self.estimated_wait_s() > self.patience_s(start_s, cores)

    def _coming(self) -> int:
        """Return how many jobs the containers will take, at once, that are on their way or load the code."""
        coming = (Place.STARTING, Place.LOADING, Place.BUSY)
        return sum(
            self.need.concurrency - slot.running
            for slot in self.slots.values()
            if slot.place in coming and not slot.retiring
        )

    def computes(self, cores: int) -> bool:
        """Say whether the cores are what this action waits for."""
        if self.function_s is None or self.calm_s is None or len(self.slots) < cores:
            return False
        return self.function_s > _SLOWED * self.calm_s

    def due_at(self, start_s: float, cores: int) -> float:
        """Return when `wants_another` turns true by waiting alone.

        Functions that seem to compute may in truth wait for those in the queue (the reader of a stream for its
        writer), so that even then a queue whose head has waited for STILL_S gets one more container.
        """
        patience_s = self.patience_s(start_s, cores)
        if self.computes(cores):
            patience_s = max(patience_s, STILL_S)
        return max(self.waiting[0].since, self.grown_at) + patience_s
