"""The books of the pool: every container, its memory, whom it is charged to, and which are spare. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from invoker_ext.containers.events import Need
from invoker_ext.containers.lanes import RUNNING, TAKING, Lane, Place, Slot


class Yard:
    """All containers of the pool; every number is kept, none is counted anew on the hot path."""

    def __init__(self) -> None:
        self.slots: dict[int, Slot] = {}
        self.spares: dict[int, Slot] = {}
        self.used_mb = 0
        """Of all slots, also of those that are being removed."""
        self.leaving_mb = 0
        """Of those that are being removed."""
        self.starting = 0
        self.busy = 0
        self._charged: dict[str, int] = {}
        self._numbers = 0

    def start(self, runtime: str, memory_mb: int, at: float, lane: Lane | None) -> Slot:
        """Book a new container that starts for an action, or for nobody yet."""
        self._numbers += 1
        slot = Slot(self._numbers, runtime, memory_mb, at)
        self.slots[slot.number] = slot
        self.used_mb += memory_mb
        self.starting += 1
        if lane is not None:
            self._adopt(slot, lane)
            lane.starting += 1
            lane.grown_at = at
        return slot

    def started(self, slot: Slot) -> None:
        """Book that a container is up; the caller moves it on."""
        self.starting -= 1
        if slot.lane is not None:
            slot.lane.starting -= 1

    def spare(self, slot: Slot, at: float) -> None:
        """Let go of a container in which nothing is loaded: it is anybody's."""
        self._disown(slot)
        slot.lane = None
        slot.hinted = False
        slot.move(Place.SPARE, at)
        self.spares[slot.number] = slot

    def claim(self, slot: Slot, lane: Lane, at: float) -> None:
        """Give a spare to an action; the caller moves it on."""
        del self.spares[slot.number]
        self._adopt(slot, lane)
        lane.grown_at = at

    def removing(self, slot: Slot, at: float) -> None:
        """Book that a container was asked to end: it is nobody's, but its memory still counts."""
        self._withdraw(slot)
        slot.lane = None
        slot.move(Place.REMOVING, at)
        self.leaving_mb += slot.memory_mb

    def gone(self, number: int) -> Slot:
        """Book that a container exists no more.

        Raises:
            KeyError: There is none of that number.
        """
        slot = self.slots.pop(number)
        self.used_mb -= slot.memory_mb
        if slot.place is Place.REMOVING:
            self.leaving_mb -= slot.memory_mb
        else:
            self._withdraw(slot)
        return slot

    def matching_spare(self, need: Need) -> Slot | None:
        """Return a spare of the same runtime and exactly the same size, as stock matches its stem cells."""
        for slot in self.spares.values():
            if slot.runtime == need.runtime and slot.memory_mb == need.memory_mb:
                return slot
        return None

    def count_spares(self, runtime: str, memory_mb: int) -> int:
        """Return how many of a runtime and size nobody has claimed, up or coming up."""
        return sum(
            slot.lane is None and slot.place in (Place.STARTING, Place.SPARE)
            for slot in self.slots.values()
            if slot.runtime == runtime and slot.memory_mb == memory_mb
        )

    def charged_mb(self, namespace: str | None) -> int:
        """Return the memory of the containers that run on behalf of a namespace."""
        return self._charged.get(namespace or "", 0)

    @property
    def namespaces(self) -> int:
        """How many namespaces have containers."""
        return len(self._charged)

    @property
    def retiring_mb(self) -> int:
        """Memory of containers that will be removed once they are drained."""
        return sum(slot.memory_mb for slot in self.slots.values() if slot.retiring and slot.place is not Place.REMOVING)

    def victims(self, lane: Lane, missing_mb: int, fresh_until: float) -> list[Slot]:
        """Return idle containers whose removal frees enough; none if all of them together do not.

        Those with held bytes go first, then the least recently used. Undrained ones are never among them.

        Args:
            lane: Who needs the room; its own are spared.
            missing_mb: How much.
            fresh_until: For an action that has a container already, those used after this time are spared too.
        """
        victims: list[Slot] = []
        evictable = self._evictable(lane, fresh_until)
        for slot in sorted(evictable, key=lambda one: (not one.held_bytes, one.since)):
            if missing_mb <= 0:
                break
            victims.append(slot)
            missing_mb -= slot.memory_mb
        return victims if missing_mb <= 0 else []

    def _evictable(self, lane: Lane, fresh_until: float) -> Iterator[Slot]:
        first = not lane.slots
        for slot in self.slots.values():
            if slot.undrained or slot.lane is lane:
                continue
            idle = slot.place is Place.IDLE and (first or slot.since <= fresh_until)
            if idle or slot.place is Place.SPARE:
                yield slot

    def _withdraw(self, slot: Slot) -> None:
        """Take a container out of every collection but `slots`."""
        if slot.place is Place.STARTING:
            self.started(slot)
        elif slot.place is Place.BUSY:
            self.busy -= 1
        elif slot.place in TAKING and slot.lane is not None:
            slot.lane.idle.remove(slot)
        self.spares.pop(slot.number, None)
        self._disown(slot)

    def _adopt(self, slot: Slot, lane: Lane) -> None:
        slot.lane = lane
        lane.slots[slot.number] = slot
        slot.owner = lane.need.key.namespace
        self._charged[slot.owner] = self._charged.get(slot.owner, 0) + slot.memory_mb

    def _disown(self, slot: Slot) -> None:
        if slot.lane is not None:
            slot.lane.slots.pop(slot.number, None)
        if slot.owner is not None:
            self._charged[slot.owner] -= slot.memory_mb
            if not self._charged[slot.owner]:
                del self._charged[slot.owner]
            slot.owner = None

    def validate(self, lanes: Iterable[Lane]) -> None:
        """Check every invariant of the books; for tests.

        Raises:
            AssertionError: One does not hold.
        """
        slots = self.slots.values()
        assert self.used_mb == sum(slot.memory_mb for slot in slots)
        assert self.leaving_mb == sum(s.memory_mb for s in slots if s.place is Place.REMOVING)
        assert self.starting == sum(slot.place is Place.STARTING for slot in slots)
        assert self.busy == sum(slot.place is Place.BUSY for slot in slots)
        assert set(self.spares) == {slot.number for slot in slots if slot.place is Place.SPARE}
        assert sum(self._charged.values()) == sum(s.memory_mb for s in slots if s.owner is not None)
        for slot in slots:
            assert slot.undrained >= 0
            assert (slot.running > 0) == (slot.place in RUNNING) or slot.place is Place.REMOVING
            assert slot.lane is None or slot.running <= slot.lane.need.concurrency
            assert slot.place is not Place.OPEN or slot.running < slot.owned().need.concurrency
            assert slot.place is not Place.REMOVING or slot.owner is None
        for lane in lanes:
            assert lane.starting == sum(s.place is Place.STARTING for s in lane.slots.values())
            assert {id(s) for s in lane.idle} == {id(s) for s in lane.slots.values() if s.place in TAKING}
            assert all(slot.lane is lane for slot in lane.slots.values())
