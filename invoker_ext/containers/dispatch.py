"""Who gets a container: the queues, the memory, and when one more is started or an idle one must go. Pure."""

from __future__ import annotations

import math
from typing import Final

from invoker_ext.containers.commands import Command, Remove, Run, Start, WakeAt
from invoker_ext.containers.events import ActionKey
from invoker_ext.containers.job import Warmth
from invoker_ext.containers.lanes import TAKING, Lane, Place, Slot
from invoker_ext.containers.limits import PoolLimits
from invoker_ext.containers.stems import Stems
from invoker_ext.containers.yard import Yard

_FIRST_START_S: Final = 0.1
"""Assumed time to start a container until one was measured."""
TICK_SLACK_S: Final = 0.002
"""Wakes this close to each other are one."""


class Dispatcher:
    """Shares the containers and the memory out among all who wait.

    Args:
        limits: Bounds.
        stems: How many spares are kept ready.
    """

    def __init__(self, limits: PoolLimits, stems: Stems) -> None:
        self.yard = Yard()
        self.lanes: dict[ActionKey, Lane] = {}
        self.queues: dict[ActionKey, Lane] = {}
        """Lanes in which somebody waits, longest first."""
        self.hungry: dict[ActionKey, float] = {}
        """Of those, the ones that found no memory, and since when."""
        self.blocked: frozenset[str] = frozenset()
        """Runs whose producers are blocked in `emit`."""
        self.start_s: float = _FIRST_START_S
        """Mean time from a Start to Started."""
        self.closed = False
        self.wake: float | None = None
        """Of the Tick that is to come."""
        self._limits = limits
        self._stems = stems
        self._out: list[Command] = []

    def say(self, command: Command) -> None:
        """Add a command."""
        self._out.append(command)

    def run(self, slot: Slot, ticket: int, warmth: Warmth, at: float) -> None:
        """Give a job to a container, which is in no list of those that take one."""
        slot.running += 1
        lane = slot.owned()
        if slot.place in TAKING and slot.running < lane.need.concurrency:
            self._open(slot, at)
        else:
            self._fill(slot, at)
        self._out.append(Run(slot.number, ticket, warmth))

    def idle(self, slot: Slot, at: float) -> None:
        """Let a container take the next jobs of its action, unless too much of it is still to leave."""
        if slot.undrained >= self._limits.undrained:
            return
        lane = slot.owned()
        if slot.running:
            self._open(slot, at)
        else:
            slot.move(Place.IDLE, at)
            lane.idle.append(slot)
        while lane.waiting and lane.idle:
            self.run(lane.idle.pop(), self.next(lane), Warmth.WARM, at)

    def returned(self, slot: Slot) -> None:
        """Take one function off a container that runs some; the caller places it."""
        slot.running -= 1
        if slot.place is Place.BUSY:
            self.yard.busy -= 1
        else:
            slot.owned().idle.remove(slot)

    def goes_on(self, slot: Slot, at: float) -> None:
        """Place a container in which functions go on: it takes more, unless it is to go or too much is to leave."""
        if slot.retiring or slot.undrained >= self._limits.undrained:
            self._fill(slot, at)
        else:
            self.idle(slot, at)

    def reopen(self, slot: Slot, at: float) -> None:
        """Let a container that runs fewer functions than it may take more, if nothing else speaks against it."""
        if slot.running < slot.owned().need.concurrency:
            self.yard.busy -= 1
            self.goes_on(slot, at)

    def _open(self, slot: Slot, at: float) -> None:
        if slot.place is not Place.OPEN:
            slot.move(Place.OPEN, at)
        slot.owned().idle.append(slot)

    def _fill(self, slot: Slot, at: float) -> None:
        if slot.place is not Place.BUSY:
            slot.move(Place.BUSY, at)
        self.yard.busy += 1

    def next(self, lane: Lane) -> int:
        """Take the first job out of a queue."""
        ticket = lane.waiting.popleft().ticket
        if not lane.waiting:
            self.nobody_waits(lane)
        return ticket

    def nobody_waits(self, lane: Lane) -> None:
        """Forget a queue that has become empty."""
        self.queues.pop(lane.need.key, None)
        self.hungry.pop(lane.need.key, None)

    def everybody(self, at: float) -> None:
        """Look at all queues again, because memory or time may have changed what is possible."""
        self.feed_hungry(at)
        for lane in list(self.queues.values()):
            if lane.need.key not in self.hungry:
                self.grow(lane, at)

    def feed_hungry(self, at: float) -> None:
        """Offer memory to those who lack it: the namespace that has least first, then the longest wait."""

        def turn(lane: Lane) -> tuple[int, float]:
            return self.yard.charged_mb(lane.need.key.namespace), lane.waiting[0].since

        for lane in sorted((self.lanes[key] for key in self.hungry), key=turn):
            self.grow(lane, at)

    def grow(self, lane: Lane, at: float) -> None:
        """Get more containers for those who wait, as long as that pays and memory is there."""
        cores = self._limits.cores
        while lane.waiting:
            urgent = self._is_urgent(lane)
            if not urgent and not lane.wants_another(at, self.start_s, cores):
                self.hungry.pop(lane.need.key, None)
                due = lane.due_at(self.start_s, cores)
                if due > at:
                    self.plan(due)
                return
            if not self._obtain(lane, at, urgent=urgent):
                return

    def _is_urgent(self, lane: Lane) -> bool:
        """Consumers of blocked producers: nothing moves until they run."""
        if not self.blocked or lane.starting:
            return False
        return any(one.run in self.blocked for one in lane.waiting)

    def _obtain(self, lane: Lane, at: float, *, urgent: bool) -> bool:
        """Give the lane one more container, or note that it hungers; False: not now."""
        need, limits = lane.need, self._limits
        spare = self.yard.matching_spare(need)
        if spare is not None:
            self.yard.claim(spare, lane, at)
            self.run(spare, self.next(lane), Warmth.PREWARM, at)
            self.replenish(at)
            return True
        if self.yard.starting >= limits.starts_at_once:
            return False  # looked at again when one of them is up
        room = limits.memory_mb - self.yard.used_mb + (limits.extra_memory_mb if urgent else 0)
        if room >= need.memory_mb:
            self.hungry.pop(need.key, None)
            self.start(need.runtime, need.memory_mb, lane, at)
            return True
        self.hungry.setdefault(need.key, at)
        self.plan(at + limits.pass_s)
        missing_mb = need.memory_mb - room - self.yard.leaving_mb
        for slot in self.yard.victims(lane, missing_mb, at - limits.fresh_s):
            self.remove(slot, at)
        return False

    def start(self, runtime: str, memory_mb: int, lane: Lane | None, at: float) -> Slot:
        """Start a container for an action, or for nobody yet."""
        slot = self.yard.start(runtime, memory_mb, at, lane)
        if lane is not None:
            self._stems.cold(runtime, memory_mb)
        self._out.append(Start(slot.number, runtime, memory_mb, slot.owner))
        return slot

    def must_yield(self, slot: Slot, at: float) -> bool:
        """Say whether a container must go, although its action has work, because others have waited long enough.

        Only those who have nothing, or less than their namespace's share, can force this, and only as much as
        they lack.
        """
        yard = self.yard
        share = self._limits.memory_mb // max(1, yard.namespaces)
        rich = yard.charged_mb(slot.owner) > share
        coming = self._limits.memory_mb - yard.used_mb + yard.leaving_mb + yard.retiring_mb
        for key, since in self.hungry.items():
            lane = self.lanes[key]
            if lane is slot.lane or at - since < self._limits.pass_s or lane.need.memory_mb <= coming:
                continue
            if not lane.slots or (rich and yard.charged_mb(key.namespace) < share):
                return True
        return False

    def remove(self, slot: Slot, at: float) -> None:
        """Ask a container to end."""
        lane = slot.lane
        self.yard.removing(slot, at)
        self._out.append(Remove(slot.number))
        self.drop_if_empty(lane)

    def drop_if_empty(self, lane: Lane | None) -> None:
        """Forget an action that has neither containers nor jobs."""
        if lane is not None and not lane.slots and not lane.waiting:
            self.lanes.pop(lane.need.key, None)

    def replenish(self, at: float) -> None:
        """Bring the stem cells back to their number, as far as room allows."""
        if self.closed or self.hungry:
            return
        for (runtime, memory_mb), count in self._stems.wanted.items():
            for _ in range(count - self.yard.count_spares(runtime, memory_mb)):
                if self.yard.used_mb + memory_mb <= self._limits.memory_mb:
                    self.start(runtime, memory_mb, None, at)

    def plan(self, at: float) -> None:
        """See to it that a Tick comes by then; infinite: nobody waits for one."""
        if at == math.inf:
            return
        if self.wake is None or at < self.wake - TICK_SLACK_S:
            self.wake = at
            self._out.append(WakeAt(at))

    def taken(self) -> list[Command]:
        """Return, and forget, the commands since the last call."""
        out, self._out = self._out, []
        return out
