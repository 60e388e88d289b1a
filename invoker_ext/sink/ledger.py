"""What the sink decides: who gets room, who waits, what spills. Pure; knows no descriptor and no clock.

Each method is one event and returns the commands that follow from it, in order. Methods instead of event objects
because `hold_inline` is on the path of every small datum.

Fairness: an owner is `namespace/run`; what stands before the slash shares a bound. It counts only while more than one
namespace has or wants something, so a lone one may use the whole budget. Waiting requests are served in order; one
whose namespace is above its share is passed over, one that only lacks room is not, so nobody starves behind small ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from invoker_ext.sink.entries import PAGE_BYTES, Entry, Group, Small, pages
from invoker_ext.sink.errors import InvalidTransition
from invoker_ext.sink.terms import (
    INLINE_OVERHEAD_BYTES,
    NOTHING,
    TRANSITIONS,
    Command,
    Grant,
    Limits,
    Refuse,
    Spill,
    State,
    Stuck,
    Usage,
)


class Ledger:
    """The books of the sink. Not thread-safe; belongs to the loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._high_bytes = int(limits.budget_bytes * limits.high_share)
        self._low_bytes = int(limits.budget_bytes * limits.low_share)
        self._inline_floor = int(limits.budget_bytes * limits.inline_share)
        self._share_bytes = int(limits.budget_bytes * limits.group_share)
        self._entries: dict[int, Entry] = {}
        self._waiting: OrderedDict[int, None] = OrderedDict()
        self._groups: dict[str, Group] = {}
        self._small = Small()
        self._segment_bytes = 0
        self._reserved_bytes = 0
        self._spilling_bytes = 0
        self._spilled_bytes = 0
        self._segments = 0
        self._spill_trouble: str | None = None
        self._told_stuck: tuple[int, int] | None = None

    # --- events -------------------------------------------------------------------------------------------------

    def hold_inline(self, owner: str, size_bytes: int) -> Sequence[Command]:
        """A small datum is here; it is never refused. May make cold data spill."""
        self._small.add(owner, size_bytes + INLINE_OVERHEAD_BYTES)
        if self._small.total_bytes + self._segment_bytes > self._high_bytes:
            return self._settle(newcomer=owner)
        return NOTHING

    def free_inline(self, owner: str, size_bytes: int) -> Sequence[Command]:
        """A small datum is gone; nothing happens if it has expired."""
        self._small.drop(owner, size_bytes + INLINE_OVERHEAD_BYTES)
        return self._settle() if self._waiting else NOTHING

    def expire_inline(self, owner: str) -> Sequence[Command]:
        """Count the small data of an owner no more, whoever still refers to them."""
        self._small.expire(owner)
        return self._settle() if self._waiting else NOTHING

    def ask(self, key: int, owner: str, size_bytes: int) -> Sequence[Command]:
        """Somebody wants to write a segment: granted, refused, or neither, which means that it waits.

        Args:
            key: Names the datum from here on; never used twice.
            owner: `namespace/run`.
            size_bytes: Of the value; > 0.
        """
        charge = pages(size_bytes)
        if charge > self.largest_bytes:
            return (Refuse(key, self._too_large(size_bytes)),)
        entry = self._enter(key, owner, charge, State.WAITING)
        self._waiting[key] = None
        self._groups[entry.group].waiting += 1
        return self._settle()

    def hold(self, key: int, owner: str, size_bytes: int) -> Sequence[Command]:
        """A segment that the invoker itself has written is here; it is never refused."""
        entry = self._enter(key, owner, pages(size_bytes), State.HELD)
        self._segments += 1
        self._charge(entry)
        self._groups[entry.group].cold[key] = None
        return self._settle(newcomer=owner)

    def commit(self, key: int) -> Sequence[Command]:
        """A granted segment is sealed."""
        entry = self._move(key, State.HELD)
        self._reserved_bytes -= entry.charge_bytes
        self._groups[entry.group].cold[key] = None
        return self._eased()

    def pin(self, key: int) -> None:
        """A firing maps the datum: it may not spill. Pins count."""
        entry = self._entries[key]
        entry.pins += 1
        if entry.state is State.HELD:
            del self._groups[entry.group].cold[key]
        elif entry.state is State.SPILLING:
            self._spilling_bytes -= entry.charge_bytes
        else:
            return
        self._move(key, State.PINNED)

    def unpin(self, key: int) -> Sequence[Command]:
        """A firing has let go of the datum; with the last pin it is the first to spill."""
        entry = self._entries[key]
        if not entry.pins:
            raise InvalidTransition(f"a datum of {entry.owner} was let go of more often than it was pinned")
        entry.pins -= 1
        if entry.pins or entry.state is not State.PINNED:
            return NOTHING
        self._move(key, State.HELD)
        cold = self._groups[entry.group].cold
        cold[key] = None
        cold.move_to_end(key, last=False)
        return self._eased()

    def spilled(self, key: int) -> tuple[bool, Sequence[Command]]:
        """A copy is complete. Returns whether it is still wanted, and what follows; if not, drop the file."""
        entry = self._entries.get(key)
        if entry is None:
            return False, self._eased()
        entry.copying = False
        if entry.state is not State.SPILLING:
            return False, self._eased()
        self._move(key, State.SPILLED)
        self._spilling_bytes -= entry.charge_bytes
        self._spilled_bytes += entry.charge_bytes
        self._discharge(entry)
        return True, self._eased()

    def spill_failed(self, key: int, reason: str) -> Sequence[Command]:
        """A copy failed: the datum stays in memory, and nothing spills until `spill_again`."""
        self._spill_trouble = reason
        entry = self._entries.get(key)
        if entry is not None:
            entry.copying = False
            if entry.state is State.SPILLING:
                self._move(key, State.HELD)
                self._spilling_bytes -= entry.charge_bytes
                self._groups[entry.group].cold[key] = None
        return self._settle()

    def spill_again(self) -> Sequence[Command]:
        """Whatever was wrong with the disk may be over."""
        self._spill_trouble = None
        return self._settle()

    def free(self, key: int) -> Sequence[Command]:
        """A request is withdrawn, a grant given back, or the last reference dropped."""
        entry = self._entries.pop(key)
        state = entry.state
        self._transit(entry, State.FREED)
        if state is State.HELD:
            del self._groups[entry.group].cold[key]
        if state is State.WAITING:
            del self._waiting[key]
            self._groups[entry.group].waiting -= 1
            self._tidy(entry.group)
            return self._eased() if self._waiting else NOTHING
        self._segments -= 1
        if state is State.SPILLED:
            self._spilled_bytes -= entry.charge_bytes
            self._spill_trouble = None
        else:
            self._leave_memory(entry, state)
        return self._eased() if self._waiting else NOTHING

    # --- questions ----------------------------------------------------------------------------------------------

    def stuck(self) -> Stuck | None:
        """Return who waits and why, if the sink cannot make room by itself; if nobody does, who holds small data."""
        if self._spilling_bytes or self._reserved_bytes:
            return None
        if self._waiting:
            return Stuck(tuple(self._entries[key].owner for key in self._waiting), self._why())
        if self._over_by() <= 0 or not self._small.by_owner:
            return None
        return Stuck(self._small.heavy(), self._why(), self._urgent())

    @property
    def largest_bytes(self) -> int:
        """The largest value that can ever be granted room."""
        return (self._limits.budget_bytes - self._inline_floor) // PAGE_BYTES * PAGE_BYTES

    @property
    def room_bytes(self) -> int:
        """What the budget leaves for spares."""
        return self._limits.budget_bytes - self._segment_bytes - max(self._small.total_bytes, self._inline_floor)

    @property
    def usage(self) -> Usage:
        """What is held now. Costs a walk over all segments."""
        by_owner: dict[str, int] = {}
        for entry in self._entries.values():
            if entry.state is not State.WAITING:
                by_owner[entry.owner] = by_owner.get(entry.owner, 0) + entry.charge_bytes
        return Usage(
            inline_bytes=self._small.total_bytes,
            segment_bytes=self._segment_bytes,
            reserved_bytes=self._reserved_bytes,
            spilled_bytes=self._spilled_bytes,
            waiting=len(self._waiting),
            segments=self._segments,
            by_owner=by_owner,
        )

    def unmapped(self) -> dict[str, int]:
        """Return the bytes of each owner that no container maps, in memory and spilled. Costs a walk over all."""
        found = dict(self._small.by_owner)
        for entry in self._entries.values():
            if not entry.pins and entry.state is not State.WAITING:
                found[entry.owner] = found.get(entry.owner, 0) + entry.charge_bytes
        return found

    def unmapped_of(self, owner: str) -> list[int]:
        """Return the keys of an owner's segments that no container maps."""
        return [key for key, one in self._entries.items() if one.owner == owner and not one.pins]

    def state(self, key: int) -> State:
        """Return the stage of a datum; FREED for one that is not, or no longer, known."""
        entry = self._entries.get(key)
        return entry.state if entry else State.FREED

    # --- decisions ----------------------------------------------------------------------------------------------

    def _eased(self) -> Sequence[Command]:
        """Settle after somebody let go of something: if that was not enough, whoever is told of it is told again."""
        self._told_stuck = None
        return self._settle()

    def _settle(self, newcomer: str | None = None) -> Sequence[Command]:
        """Grant what fits, spill what should, say so if neither helps."""
        commands: list[Command] = []
        if self._waiting:
            self._grant(commands)
        if self._limits.spill_bytes and self._spill_trouble is None:
            self._choose(commands)
        if self._waiting:
            self._tell_stuck(commands)
        elif newcomer is not None and self._over_by() > 0 and not self._spilling_bytes:
            commands.append(Stuck((newcomer,), self._why(), self._urgent()))
        return commands

    def _grant(self, commands: list[Command]) -> None:
        for key in list(self._waiting):
            entry = self._entries[key]
            if self._above_share(entry) > 0:
                continue
            if self._missing(entry) > 0 or self._segments >= self._limits.segments:
                break
            del self._waiting[key]
            self._groups[entry.group].waiting -= 1
            self._move(key, State.RESERVED)
            self._segments += 1
            self._reserved_bytes += entry.charge_bytes
            self._charge(entry)
            commands.append(Grant(key))

    def _choose(self, commands: list[Command]) -> None:
        """Pick what spills: for the budget's sake from the largest group, for a share's sake from that group."""
        excess = self._segment_bytes + self._small.total_bytes - self._spilling_bytes
        need = excess - self._low_bytes if excess > self._high_bytes else 0
        for key in self._waiting:
            entry = self._entries[key]
            above = self._above_share(entry)
            if above > 0:
                self._pick(commands, above - self._spilling_bytes, entry.group)
                continue
            need = max(need, self._missing(entry) - self._spilling_bytes)
            break
        self._pick(commands, need, None)

    def _pick(self, commands: list[Command], need: int, only: str | None) -> None:
        while need > 0:
            groups = [self._groups[only]] if only else [one for one in self._groups.values() if one.cold]
            group = max(groups, key=lambda one: one.memory_bytes, default=None)
            key = next((k for k in group.cold if not self._entries[k].copying), None) if group else None
            if group is None or key is None:
                return
            charge = self._entries[key].charge_bytes
            if self._spilled_bytes + self._spilling_bytes + charge > self._limits.spill_bytes:
                return
            del group.cold[key]
            self._move(key, State.SPILLING).copying = True
            self._spilling_bytes += charge
            need -= charge
            commands.append(Spill(key))

    def _tell_stuck(self, commands: list[Command]) -> None:
        stuck = self.stuck()
        if stuck is None:
            self._told_stuck = None
            return
        now = (len(self._waiting), next(reversed(self._waiting)))
        if now != self._told_stuck:
            self._told_stuck = now
            commands.append(stuck)

    def _missing(self, entry: Entry) -> int:
        """Bytes that the budget lacks for a request."""
        return entry.charge_bytes - self.room_bytes

    def _above_share(self, entry: Entry) -> int:
        """Bytes by which a grant would lift a namespace above its share; ≤ 0 if it may be granted."""
        group = self._groups[entry.group]
        if len(self._groups) == 1 or not group.memory_bytes:
            return 0
        return group.memory_bytes + entry.charge_bytes - self._share_bytes

    def _over_by(self) -> int:
        return self._small.total_bytes + self._segment_bytes - self._limits.budget_bytes

    def _urgent(self) -> bool:
        return self._over_by() > self._inline_floor

    def _why(self) -> str:
        used = f"the sink's budget of {self._limits.budget_bytes} bytes is in use"
        if self._segments >= self._limits.segments:
            return f"all {self._limits.segments} segments of the sink are in use"
        if self._spill_trouble is not None:
            return f"{used} and spilling fails: {self._spill_trouble}"
        if not self._limits.spill_bytes:
            return f"{used} and spilling is switched off"
        return f"{used} and nothing more can spill"

    def _too_large(self, size_bytes: int) -> str:
        return (
            f"a value of {size_bytes} bytes can never fit the data sink, which takes at most {self.largest_bytes}"
            " bytes: write it in parts with open_output, or ask the operator for a larger budget"
        )

    # --- books --------------------------------------------------------------------------------------------------

    def _enter(self, key: int, owner: str, charge: int, state: State) -> Entry:
        name = owner.partition("/")[0]
        if name not in self._groups:
            self._groups[name] = Group()
        entry = self._entries[key] = Entry(owner, name, charge, state)
        return entry

    def _charge(self, entry: Entry) -> None:
        self._segment_bytes += entry.charge_bytes
        self._groups[entry.group].memory_bytes += entry.charge_bytes

    def _discharge(self, entry: Entry) -> None:
        self._segment_bytes -= entry.charge_bytes
        self._groups[entry.group].memory_bytes -= entry.charge_bytes
        self._tidy(entry.group)

    def _tidy(self, name: str) -> None:
        group = self._groups[name]
        if not group.memory_bytes and not group.waiting:
            del self._groups[name]

    def _move(self, key: int, state: State) -> Entry:
        entry = self._entries[key]
        self._transit(entry, state)
        return entry

    def _leave_memory(self, entry: Entry, state: State) -> None:
        if state is State.RESERVED:
            self._reserved_bytes -= entry.charge_bytes
        elif state is State.SPILLING:
            self._spilling_bytes -= entry.charge_bytes
        self._discharge(entry)

    @staticmethod
    def _transit(entry: Entry, state: State) -> None:
        if state not in TRANSITIONS[entry.state]:
            raise InvalidTransition(f"a datum of {entry.owner} cannot go from {entry.state.value} to {state.value}")
        entry.state = state
