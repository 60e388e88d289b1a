"""Which container runs which job: warm, spare or new; what is evicted, and who waits. Pure.

Memory is what is shared out, as in stock: the limits of all containers that exist, also of those on their way
out, never exceed the bound. A job takes, in this order, an idle container of its action, a spare of its runtime
and size, a new one, a new one after eviction of idle ones (least recently used first), or its turn in its
action's queue. Two signals free a container: *returned* lets it take the next job of its action, *drained* lets
it be removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, assert_never

from invoker_ext.containers.commands import Command, Initialise, Refuse, Throttle
from invoker_ext.containers.dispatch import TICK_SLACK_S, Dispatcher
from invoker_ext.containers.events import (
    Drained,
    Event,
    Freed,
    Gone,
    Hinted,
    Initialised,
    Returned,
    SinkBlocked,
    Started,
    Submitted,
    Tick,
    Withdrawn,
)
from invoker_ext.containers.job import Warmth
from invoker_ext.containers.lanes import RUNNING, Lane, Place, Slot, Waiting
from invoker_ext.containers.limits import PoolLimits
from invoker_ext.containers.pressure import blended
from invoker_ext.containers.stems import Kind, Stems
from invoker_ext.contract.manifest import Reactive

_LEAVABLE: Final = frozenset({Place.IDLE, Place.SPARE, Place.RESTING, Place.STARTING, Place.LOADING})


class Pool:
    """All containers of one invoker.

    Args:
        limits: Bounds.
        stems: (runtime, memory) → how many spares are kept ready, at first.
        reactive: Of those whose number follows cold starts.
    """

    def __init__(
        self,
        limits: PoolLimits,
        stems: Mapping[Kind, int] | None = None,
        reactive: Mapping[Kind, Reactive] | None = None,
    ) -> None:
        self._limits = limits
        self._stems = Stems(stems or {}, reactive or {})
        self._desk = Dispatcher(limits, self._stems)
        self.yard = self._desk.yard
        self.lanes = self._desk.lanes

    def open(self, at: float) -> list[Command]:
        """Start the stem cells."""
        self._stems.begin(at)
        self._desk.plan(self._stems.check_at)
        self._desk.replenish(at)
        return self._desk.taken()

    def close(self, at: float) -> list[Command]:
        """Remove what runs nothing, and from now on whatever has drained; start only for those who wait."""
        self._desk.closed = True
        for slot in list(self.yard.slots.values()):
            awaited = slot.lane is not None and slot.lane.waiting
            if slot.place in _LEAVABLE and not awaited:
                self._retire(slot, at)
        return self._desk.taken()

    def handle(self, event: Event) -> list[Command]:
        """Take one event, return what is to be done, in this order.

        Raises:
            InvalidPlace: The shell reported what cannot have happened.
            KeyError: The shell named a container that the pool does not know.
        """
        match event:
            case Submitted():
                self._submitted(event)
            case Returned():
                self._returned(event)
            case Drained():
                self._drained(event)
            case Initialised():
                self._initialised(event)
            case Started():
                self._started(event)
            case Gone():
                self._gone(event)
            case _:
                self._handle_rare(event)
        return self._desk.taken()

    def _handle_rare(self, event: Tick | Hinted | Withdrawn | SinkBlocked | Freed) -> None:
        match event:
            case Tick():
                self._ticked(event.at)
            case Hinted():
                self._hinted(event)
            case Withdrawn():
                self._withdrawn(event)
            case SinkBlocked():
                self._sink_blocked(event)
            case Freed():
                self.yard.slots[event.container].held_bytes = event.held_bytes
            case _:
                assert_never(event)

    @property
    def waiting(self) -> int:
        """Jobs in all queues."""
        return sum(len(lane.waiting) for lane in self._desk.queues.values())

    @property
    def room_mb(self) -> int:
        """Memory that neither a function nor a job in a queue needs; less than 0: jobs wait for it."""
        waiting_mb = sum(len(lane.waiting) * lane.need.memory_mb for lane in self._desk.queues.values())
        busy_mb = sum(slot.memory_mb for slot in self.yard.slots.values() if slot.place in RUNNING)
        return self._limits.memory_mb - busy_mb - waiting_mb

    def counts(self) -> dict[Place, int]:
        """Return how many containers are in each place."""
        counts = dict.fromkeys(Place, 0)
        for slot in self.yard.slots.values():
            counts[slot.place] += 1
        return counts

    def validate(self) -> None:
        """Check every invariant; for tests.

        Raises:
            AssertionError: One does not hold.
        """
        self.yard.validate(self.lanes.values())
        limits = self._limits
        assert self.yard.used_mb <= limits.memory_mb + limits.extra_memory_mb
        assert self._desk.queues == {key: lane for key, lane in self.lanes.items() if lane.waiting}
        assert set(self._desk.hungry) <= set(self._desk.queues)
        for lane in self.lanes.values():
            assert lane.slots or lane.waiting
            assert not (lane.idle and lane.waiting)

    # -- events -----------------------------------------------------------------------------------

    def _submitted(self, event: Submitted) -> None:
        need = event.need
        lane = self.lanes.get(need.key)
        if lane is None:
            if need.memory_mb > self._limits.memory_mb:
                text = f"The action needs {need.memory_mb} MB, all containers of this host together may have "
                self._desk.say(Refuse(event.ticket, f"{text}{self._limits.memory_mb} MB."))
                return
            lane = self.lanes[need.key] = Lane(need)
        if lane.idle and not lane.waiting:
            self._desk.run(lane.idle.pop(), event.ticket, Warmth.WARM, event.at)
            return
        lane.waiting.append(Waiting(event.ticket, event.run, event.at))
        self._desk.queues[need.key] = lane
        self._desk.grow(lane, event.at)

    def _returned(self, event: Returned) -> None:
        slot, at = self.yard.slots[event.container], event.at
        slot.undrained += 1
        if slot.place not in RUNNING:
            return  # it is being removed
        lane = slot.owned()
        if lane.need.concurrency == 1:
            lane.learn(at - slot.since, self.yard.busy <= self._limits.cores)
        self._desk.returned(slot)
        slot.retiring = slot.retiring or not event.keep or (self._desk.closed and not lane.waiting)
        if self._desk.hungry and lane.waiting and self._desk.must_yield(slot, at):
            slot.retiring = True
        if slot.running:
            self._desk.goes_on(slot, at)
        elif slot.retiring or slot.undrained >= self._limits.undrained:
            slot.move(Place.RESTING, at)
        elif event.pressure_s > 0 and self._limits.pressure:
            slot.rest_until = at + event.pressure_s
            slot.move(Place.RESTING, at)
            self._desk.plan(slot.rest_until)
        else:
            self._desk.idle(slot, at)
        if lane.waiting:
            self._desk.grow(lane, at)
            if slot.rest_until > at and lane.need.key in self._desk.hungry:
                self._throttle(slot, on=True)

    def _drained(self, event: Drained) -> None:
        slot, at = self.yard.slots[event.container], event.at
        slot.undrained -= 1
        slot.held_bytes = event.held_bytes
        slot.rest_until = 0.0
        if slot.throttled and not slot.undrained:
            self._throttle(slot, on=False)
        if slot.place is Place.RESTING:
            if not slot.retiring:
                self._desk.idle(slot, at)
            elif not slot.undrained:
                self._desk.remove(slot, at)
        elif slot.place is Place.BUSY:
            self._desk.reopen(slot, at)
        if slot.place is Place.IDLE and not slot.undrained:
            if slot.held_bytes and self._desk.blocked:
                self._desk.remove(slot, at)
            self._desk.plan(at + self._limits.keep_alive_s)
        if self._desk.hungry:
            self._desk.feed_hungry(at)

    def _started(self, event: Started) -> None:
        slot, at = self.yard.slots[event.container], event.at
        if slot.place is not Place.STARTING:
            return  # it is being removed
        self._desk.start_s = blended(self._desk.start_s, at - slot.since)
        self.yard.started(slot)
        lane = slot.lane
        if lane is not None and lane.waiting:
            self._desk.run(slot, self._desk.next(lane), Warmth.COLD, at)
        elif lane is not None and slot.hinted:
            slot.move(Place.LOADING, at)
            self._desk.say(Initialise(slot.number, lane.need.key))
        else:
            self.yard.spare(slot, at)
            self._desk.drop_if_empty(lane)
            self._desk.plan(self._stale_at(slot))
        self._desk.everybody(at)

    def _initialised(self, event: Initialised) -> None:
        slot, at = self.yard.slots[event.container], event.at
        lane = slot.lane
        if lane is None or slot.place not in (Place.BUSY, Place.LOADING):
            return  # it is being removed
        lane.load_s = blended(lane.load_s or None, at - slot.since)
        if slot.place is Place.BUSY:
            slot.since = at  # the function begins: loading does not count as its time
            self._desk.reopen(slot, at)
            return
        self._desk.idle(slot, at)
        self._desk.plan(at + self._limits.keep_alive_s)
        self._desk.feed_hungry(at)

    def _gone(self, event: Gone) -> None:
        slot, at = self.yard.gone(event.container), event.at
        lane = slot.lane
        if event.error is not None and lane is not None and not lane.slots and lane.waiting:
            self._desk.say(Refuse(self._desk.next(lane), event.error, event.failure))
        self._desk.drop_if_empty(lane)
        self._desk.everybody(at)
        if event.error is None:
            self._desk.replenish(at)

    def _ticked(self, at: float) -> None:
        self._desk.wake = None
        checked = self._stems.check(at)
        for slot in list(self.yard.slots.values()):
            match slot.place:
                case Place.RESTING if not slot.retiring and 0 < slot.rest_until <= at:
                    slot.rest_until = 0.0
                    self._desk.idle(slot, at)
                case Place.IDLE if not slot.undrained and self._is_stale(slot, at):
                    self._desk.remove(slot, at)
                case Place.SPARE if at >= self._stale_at(slot):
                    self._expire_spare(slot, at)
                case _:
                    pass
        self._desk.everybody(at)
        if checked:
            self._desk.replenish(at)
        self._plan_next(at)

    def _hinted(self, event: Hinted) -> None:
        need, at, limits = event.need, event.at, self._limits
        if need.key in self.lanes or self._desk.closed or self._desk.hungry:
            return
        spare = self.yard.matching_spare(need)
        if spare is not None:
            lane = self.lanes[need.key] = Lane(need)
            self.yard.claim(spare, lane, at)
            spare.move(Place.LOADING, at)
            self._desk.say(Initialise(spare.number, need.key))
            self._desk.replenish(at)
        elif self.yard.starting < limits.starts_at_once and need.memory_mb <= limits.memory_mb - self.yard.used_mb:
            lane = self.lanes[need.key] = Lane(need)
            self._desk.start(need.runtime, need.memory_mb, lane, at).hinted = True

    def _withdrawn(self, event: Withdrawn) -> None:
        lane = self.lanes.get(event.key)
        if lane is None:
            return
        left = [one for one in lane.waiting if one.ticket != event.ticket]
        lane.waiting.clear()
        lane.waiting.extend(left)
        if not left:
            self._desk.nobody_waits(lane)
        self._desk.drop_if_empty(lane)

    def _sink_blocked(self, event: SinkBlocked) -> None:
        self._desk.blocked = event.runs
        if not event.runs:
            return
        for slot in list(self.yard.slots.values()):
            if slot.held_bytes and slot.place is Place.IDLE and not slot.undrained:
                self._desk.remove(slot, event.at)
        self._desk.everybody(event.at)

    # -- leaving ----------------------------------------------------------------------------------

    def _retire(self, slot: Slot, at: float) -> None:
        """Remove a container that runs nothing, at once or when it is drained."""
        slot.retiring = True
        if not slot.undrained:
            self._desk.remove(slot, at)
        elif slot.place is Place.IDLE:
            slot.owned().idle.remove(slot)
            slot.move(Place.RESTING, at)

    def _is_stale(self, slot: Slot, at: float) -> bool:
        return at - slot.since >= self._limits.keep_alive_s

    def _stale_at(self, slot: Slot) -> float:
        """Return when a spare that is too many goes."""
        ttl_s = self._stems.ttl_s(slot.runtime, slot.memory_mb)
        return slot.since + (self._limits.keep_alive_s if ttl_s is None else ttl_s)

    def _expire_spare(self, slot: Slot, at: float) -> None:
        kept = self._stems.wanted.get((slot.runtime, slot.memory_mb), 0)
        if self.yard.count_spares(slot.runtime, slot.memory_mb) > kept:
            self._desk.remove(slot, at)
        else:
            slot.since = at

    # -- time -------------------------------------------------------------------------------------

    def _plan_next(self, at: float) -> None:
        """Plan the tick that the slots need, after one has come."""
        self._desk.plan(self._stems.check_at)
        for slot in self.yard.slots.values():
            if slot.place is Place.SPARE:
                self._desk.plan(max(at + TICK_SLACK_S, self._stale_at(slot)))
            elif slot.place is Place.IDLE and not slot.undrained:
                self._desk.plan(max(at + TICK_SLACK_S, slot.since + self._limits.keep_alive_s))
            elif slot.place is Place.RESTING and slot.rest_until > at:
                self._desk.plan(slot.rest_until)

    def _throttle(self, slot: Slot, *, on: bool) -> None:
        if slot.throttled is not on:
            slot.throttled = on
            self._desk.say(Throttle(slot.number, on))
