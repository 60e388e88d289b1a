"""The wait-match memory: data arrive at slots; a firing whose slots are all live or dead is matched.

Everything here is counted, nothing scanned: an arrival costs the same in a run of three firings and of ten thousand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from invoker_ext.contract.graph import EdgeKind
from invoker_ext.dataflow import sentences
from invoker_ext.dataflow.commands import STREAMED, Bound, Command, Evaluate, Feed, FeedEnd, Value
from invoker_ext.dataflow.entries import Entry, Gather, Group, Holder, Output, Question
from invoker_ext.dataflow.events import Evaluated
from invoker_ext.dataflow.keys import Firing, Tag
from invoker_ext.dataflow.plan import DEAD, PENDING, LeafPlan, SlotPlan, StepPlan
from invoker_ext.dataflow.release import Held, Ledger
from invoker_ext.dataflow.states import TERMINAL, State

if TYPE_CHECKING:
    from invoker_ext.dataflow.lineage import Lineage

_ASKED: Final = object()
"""The condition of this alternative is being evaluated."""


class Memory:
    """All firings of a run that are known by now.

    Attributes:
        entries: Firings, by name.
        groups: Groups, by step and prefix.
        ready: Matched or dead, in the order of their match; the machine takes them from here.
        questions: Conditions being evaluated, by ticket.
        unsettled: Firings that have not settled; the run ends with the last.
    """

    def __init__(self, ledger: Ledger, commands: list[Command]) -> None:
        self.entries: dict[Firing, Entry] = {}
        self.groups: dict[tuple[str, Tag], Group] = {}
        self.ready: deque[Entry] = deque()
        self.questions: dict[int, Question] = {}
        self.unsettled = 0
        self.lineage: Lineage | None = None
        """Only in a run that may reach over several hosts."""
        self._ledger = ledger
        self._commands = commands
        self._tickets = 0

    # -- firings and groups --------------------------------------------------------------------

    def entry(self, plan: StepPlan, tag: Tag) -> Entry:
        """Return a firing, made when it is first heard of: it waits for its inputs from then on."""
        firing = Firing(plan.name, tag)
        entry = self.entries.get(firing)
        if entry is None:
            group = self.group(plan, tag[:-1]) if tag else None
            entry = self.entries[firing] = Entry(plan, firing, group)
            self.unsettled += 1
            self._open(entry)
        return entry

    def group(self, plan: StepPlan, prefix: Tag) -> Group:
        """Return the group of all firings of a step below a tag."""
        key = (plan.name, prefix)
        group = self.groups.get(key)
        if group is None:
            parent = self.group(plan, prefix[:-1]) if prefix else None
            group = self.groups[key] = Group(plan, prefix, parent)
        return group

    def holder(self, leaf: LeafPlan, tag: Tag) -> Holder:
        """Return who waits at a leaf for what arrives under a tag."""
        plan = leaf.consumer
        return self.entry(plan, tag) if leaf.depth == plan.depth else self.group(plan, tag)

    def _open(self, entry: Entry) -> None:
        """Resolve what is known at once: constants, and what arrived for all items."""
        plan = entry.plan
        if plan.missing == 0:
            self._match(entry)
            return
        group = entry.group
        while group is not None:
            group.below.append(entry)
            for index, value in group.arrived.items():
                self._fill(entry, plan.leaves[index], value)
            group = group.parent

    # -- arrivals ------------------------------------------------------------------------------

    def arrive(self, holder: Holder, leaf: LeafPlan, value: Any, data: Iterable[Held] = ()) -> None:
        """Resolve a leaf: to a Value, to DEAD, or to the Output that is streamed.

        Args:
            holder: Who waits at the leaf.
            leaf: Which.
            value: What arrived.
            data: What the value is made of; claimed as long as the holder may read it.
        """
        if holder.takes:
            self._ledger.claim(holder.claims, data)
        if leaf.when is not None and value is not DEAD and not leaf.slot.choice:
            self._ask(holder, leaf, value, data)
        else:
            self._place(holder, leaf, value)

    def _place(self, holder: Holder, leaf: LeafPlan, value: Any) -> None:
        if isinstance(holder, Entry):
            self._fill(holder, leaf, value)
            return
        holder.arrived[leaf.index] = value
        for entry in holder.below:
            self._fill(entry, leaf, value)

    def _fill(self, entry: Entry, leaf: LeafPlan, value: Any) -> None:
        if not entry.takes:
            return
        entry.leaves[leaf.index] = value
        slot = leaf.slot
        if slot.choice:
            # An alternative may arrive after the choice was made.
            if not slot.constant and slot.index not in entry.chosen:
                self._choose(entry, slot)
        else:
            self._resolved(entry, value is DEAD and not slot.optional)

    def _choose(self, entry: Entry, slot: SlotPlan) -> None:
        """Look at the alternatives in order; one counts only when all before it are dead."""
        for place, leaf in enumerate(slot.leaves):
            value = entry.leaves[leaf.index]
            if value is DEAD:
                continue
            if value is PENDING or value is _ASKED:
                return
            if leaf.when is None:
                self._decide(entry, slot, place)
            else:
                entry.leaves[leaf.index] = _ASKED
                self._ask(entry, leaf, value)
            return
        self._decide(entry, slot, len(slot.leaves))

    def _decide(self, entry: Entry, slot: SlotPlan, place: int) -> None:
        entry.chosen[slot.index] = place
        self._resolved(entry, place == len(slot.leaves) and not slot.optional)

    def _resolved(self, entry: Entry, dead: bool) -> None:
        entry.missing -= 1
        if dead:
            entry.dead = True
        # Conditions are evaluated whatever the other inputs come to: else it would depend on the order of arrival
        # whether one that is wrong fails the run.
        if entry.missing == 0 or (entry.dead and not entry.plan.conditional):
            self._match(entry)

    def _match(self, entry: Entry) -> None:
        entry.takes = False
        self.ready.append(entry)

    # -- conditions ----------------------------------------------------------------------------

    def _ask(self, holder: Holder, leaf: LeafPlan, value: Value, data: Iterable[Held] = ()) -> None:
        self._tickets += 1
        question = self.questions[self._tickets] = Question(holder, leaf, value)
        self._ledger.claim(question.claims, data)
        if self.lineage is not None:
            if self.lineage.holds_up_question(self._tickets, question):
                return
            value = self.lineage.names.current(value)
        self._commands.append(Evaluate(self._tickets, leaf.when or "", value))

    def answer(self, event: Evaluated) -> None:
        """Resolve the leaf whose condition was evaluated; an unknown ticket was answered before.

        Raises:
            RunFails: The condition could not be evaluated.
        """
        question = self.questions.pop(event.ticket, None)
        if question is None:
            return
        holder, leaf = question.holder, question.leaf
        try:
            if event.error is not None:
                raise sentences.condition(leaf, event.error)
            value = question.value if event.holds else DEAD
            if leaf.slot.choice and isinstance(holder, Entry):
                holder.leaves[leaf.index] = value
                if event.holds:
                    self._decide(holder, leaf.slot, leaf.slot.leaves.index(leaf))
                else:
                    self._choose(holder, leaf.slot)
            else:
                self._place(holder, leaf, value)
        finally:
            self._ledger.unclaim(question.claims)

    # -- gather --------------------------------------------------------------------------------

    def collect(self, leaf: LeafPlan, tag: Tag, value: Any, data: Iterable[Held] = ()) -> None:
        """Add the value of one item, or DEAD, to the list that a gathering leaf waits for.

        Args:
            leaf: The leaf.
            tag: Of the firing whose output it is.
            value: What it produced.
            data: What the value is made of.
        """
        holder = self.holder(leaf, tag[:-1])
        gather = holder.gathers.get(leaf.index)
        if gather is None:
            gather = holder.gathers[leaf.index] = Gather()
        if value is not DEAD:
            gather.values[tag[-1]] = value
            if holder.takes:
                self._ledger.claim(holder.claims, data)
        gather.resolved += 1
        if gather.resolved == gather.expected:
            self._gathered(holder, leaf, gather)

    def _expect(self, leaf: LeafPlan, tag: Tag, count: int) -> None:
        holder = self.holder(leaf, tag)
        gather = holder.gathers.get(leaf.index)
        if gather is None:
            gather = holder.gathers[leaf.index] = Gather()
        gather.expected = count
        if gather.resolved == count:
            self._gathered(holder, leaf, gather)

    def _gathered(self, holder: Holder, leaf: LeafPlan, gather: Gather) -> None:
        values = gather.values
        self.arrive(holder, leaf, tuple(values[index] for index in sorted(values)))

    # -- levels --------------------------------------------------------------------------------

    def open_level(self, entry: Entry, counts: dict[str, int]) -> None:
        """Tell everybody below the items of a firing, and who gathers them, how many there are.

        Args:
            entry: The firing; it has settled.
            counts: Items of each output that somebody reads.

        Raises:
            RunFails: Outputs that a step reads side by side have different numbers of items.
        """
        plan, tag = entry.plan, entry.firing.tag
        for member, place in plan.members:
            widths = member.widths[place]
            found = {counts[output] for output in widths}
            if len(found) > 1:
                ordered = [(output, counts[output]) for output in sorted(widths)]
                raise sentences.unequal(entry.firing, ordered, member.title)
            count = found.pop()
            self._bound_group(self.group(member, tag), count)
            if place == member.depth - 1:
                for index in range(count):
                    self.entry(member, (*tag, index))
        for leaf, producer in plan.closers:
            self._expect(leaf, tag, counts[next(iter(producer.widths[-1]))])

    def close_level(self, entry: Entry) -> None:
        """Tell everybody below a dead firing that there are no items, and who gathers them that there is no list."""
        tag = entry.firing.tag
        for member, _ in entry.plan.members:
            self._bound_group(self.group(member, tag), 0)
        for leaf, _ in entry.plan.closers:
            self.arrive(self.holder(leaf, tag), leaf, DEAD)

    def _bound_group(self, group: Group, count: int) -> None:
        group.expected = count
        if group.finished == count:
            self._group_finished(group)

    def finish(self, entry: Entry) -> None:
        """Let go of what a terminal firing read and made.

        Raises:
            RunFails: Of what it made something is lost that somebody waits for, and it cannot be made again.
        """
        if self.lineage is not None:
            self.lineage.remember(entry)
        again, entry.again = entry.again, False
        self._ledger.unclaim(entry.claims)
        entry.claims.clear()
        entry.leaves.clear()
        entry.outputs.clear()
        entry.bound = ()
        group = entry.group
        if group is not None and not again:
            group.finished += 1
            if group.finished == group.expected:
                self._group_finished(group)
        if self.lineage is not None:
            self.lineage.reconsider(entry)

    def _group_finished(self, group: Group) -> None:
        while True:
            self._ledger.unclaim(group.claims)
            group.claims.clear()
            if group.parent is None:
                return
            group = group.parent
            group.finished += 1
            if group.finished != group.expected:
                return

    # -- what a matched firing reads -----------------------------------------------------------

    @staticmethod
    def bind(entry: Entry) -> tuple[Bound, ...]:
        """Return the inputs of a matched firing; dead optional ones are left out."""
        bound = []
        for slot in entry.plan.slots:
            leaves = slot.leaves
            place = entry.chosen.get(slot.index, 0) if slot.choice else 0
            if place == len(leaves):
                continue
            leaf = leaves[place]
            value = entry.leaves[leaf.index]
            if value is not DEAD:
                bound.append(Bound(slot.name, STREAMED if leaf.kind is EdgeKind.STREAM else value))
        return tuple(bound)

    # -- streams -------------------------------------------------------------------------------

    def feed(self, leaf: LeafPlan, tag: Tag, held: Held) -> None:
        """Hand a further part to the readers of a stream."""
        holder = self.holder(leaf, tag)
        if isinstance(holder, Group):
            if holder.takes:
                self._ledger.claim(holder.claims, (held,))
            readers = holder.below
        else:
            # A firing that drains may yet be executed again, and then reads from the start.
            if holder.state not in TERMINAL:
                self._ledger.claim(holder.claims, (held,))
            readers = [holder]
        for entry in readers:
            if entry.state is State.RUNNING:
                self._commands.append(Feed(entry.firing, leaf.slot.name, held.datum))

    def feed_end(self, leaf: LeafPlan, tag: Tag, error: str | None) -> None:
        """Tell the readers of a stream that it is over."""
        holder = self.holder(leaf, tag)
        for entry in holder.below if isinstance(holder, Group) else (holder,):
            if entry.state is State.RUNNING:
                self._commands.append(FeedEnd(entry.firing, leaf.slot.name, error))

    def replay(self, entry: Entry) -> None:
        """Hand a firing that has just been dispatched what its streams hold by now."""
        for leaf, output in open_streams(entry):
            for index in range(output.following):
                self._commands.append(Feed(entry.firing, leaf.slot.name, output.items[index].datum))
            if output.closed:
                self._commands.append(FeedEnd(entry.firing, leaf.slot.name, output.broken))


def open_streams(entry: Entry) -> Iterable[tuple[LeafPlan, Output]]:
    """Yield the streams that a matched firing reads."""
    for leaf in entry.plan.leaves:
        if leaf.kind is EdgeKind.STREAM:
            output = entry.leaves[leaf.index]
            if isinstance(output, Output):
                yield leaf, output
