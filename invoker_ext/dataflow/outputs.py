"""What a firing produces, and whom it is handed to.

Three rules decide when an output counts:
- What was *emitted* counts at once, so that consumers start while the producer still runs.
- What was *returned* counts once the function has returned without an error: the fields of a failed attempt are none.
- If somebody handles the failure of a step (`$error`), nothing of it counts before its success is known, but for
  streams: else it would depend on the order of events whether a consumer saw an output of a step that failed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from action_runtime.wire.values import ERROR, WHOLE
from invoker_ext.dataflow import sentences
from invoker_ext.dataflow.commands import Chunks, Constant
from invoker_ext.dataflow.entries import Entry, Output
from invoker_ext.dataflow.events import Committed, Datum, How, Outcome, Started
from invoker_ext.dataflow.keys import DataKey
from invoker_ext.dataflow.matching import Memory
from invoker_ext.dataflow.plan import DEAD, OutputPlan
from invoker_ext.dataflow.release import Held, Ledger
from invoker_ext.dataflow.states import BETWEEN

_EMITTED: Final = (How.EMIT, How.CHUNK)
_IN_PARTS: Final = (How.CHUNK, How.SPREAD)
_NO_LIST: Final = (How.FIELD, How.WHOLE)


class Outputs:
    """Takes what firings produce and hands it to the memory."""

    def __init__(self, memory: Memory, ledger: Ledger) -> None:
        self._memory = memory
        self._ledger = ledger

    # -- while the function runs ---------------------------------------------------------------

    def commit(self, entry: Entry, event: Committed) -> None:
        """Take a datum; the first commit of a key wins, every other comes back at once.

        Raises:
            RunFails: The output was emitted and returned, emitted twice for a plain edge, or has too many items.
        """
        key = event.key
        plan = entry.plan.outputs.get(key.output)
        if plan is None or not self._counts(entry, event):
            self._ledger.refuse(key, event.datum)
            return
        output = entry.outputs.get(key.output)
        if output is None:
            output = entry.outputs[key.output] = Output(plan)
        if not self._takes(output, event):
            self._ledger.refuse(key, event.datum)
            self._check(entry, output, event)
            return
        output.how = event.how
        held = output.items[key.index] = self._ledger.admit(key, event.datum, elsewhere=event.elsewhere)
        if entry.outcome is Outcome.SUCCESS:
            self._hand_out(entry, output, ((key.index, held),))
            if len(output.items) == output.count:
                self._close(entry, output)
        elif entry.settled:
            self._pump(entry, output)
            if output.following == output.count:
                self._break_off(entry, output)
        elif event.how in _EMITTED:
            if entry.plan.handled:
                self._pump(entry, output)
            else:
                self._hand_out(entry, output, ((key.index, held),))

    @staticmethod
    def _counts(entry: Entry, event: Committed) -> bool:
        """Return whether the firing is in a state in which such a datum can still be of use."""
        if event.key.output == ERROR or (entry.state in BETWEEN and event.how not in _EMITTED):
            return False
        if not entry.settled or entry.outcome is Outcome.SUCCESS:
            return True
        # Of a step that failed, only what is being streamed still counts.
        output = entry.outputs.get(event.key.output)
        return output is not None and not output.closed

    @staticmethod
    def _takes(output: Output, event: Committed) -> bool:
        index = event.key.index
        if output.how is not None and output.how is not event.how:
            return False
        return index not in output.items and (output.count is None or index < output.count)

    @staticmethod
    def _check(entry: Entry, output: Output, event: Committed) -> None:
        """Raise if a datum that was not taken says that the step broke a rule."""
        if output.broken is not None:
            return
        if output.how is not event.how:
            raise sentences.clash(entry.firing, event.key.output)
        if output.count is not None and event.key.index >= output.count:
            raise sentences.repeated(entry.firing, event.key.output, output.count, event.key.index + 1)

    def discard_returned(self, entry: Entry) -> None:
        """Forget what a failed attempt returned; what it emitted stands, the next attempt repeats it."""
        for output in entry.outputs.values():
            if output.how is not None and output.how not in _EMITTED:
                for held in output.items.values():
                    self._ledger.let_go(held)
                output.items.clear()
                output.how = None

    # -- when it has returned ------------------------------------------------------------------

    def succeed(self, entry: Entry, counts: Mapping[str, tuple[How, int]]) -> None:
        """Close what the function produced, now that the numbers are known.

        Raises:
            RunFails: Something that somebody needs was not produced, or not in the form they need.
        """
        items: dict[str, int] = {}
        for name, plan in entry.plan.outputs.items():
            if name == ERROR:
                self._dead(entry, plan)
                continue
            how, count = counts.get(name) or ((How.WHOLE, 1) if name == WHOLE else (None, 0))
            items[name] = count
            output = entry.outputs.get(name)
            if how is None or (how is How.EMIT and count == 0):
                self._absent(entry, plan, output)
                continue
            if output is None:
                output = entry.outputs[name] = Output(plan)
            self._agree(entry, output, how, count)
            self._ready(entry, output)
        self._memory.open_level(entry, items)

    def repeat(self, entry: Entry, counts: Mapping[str, tuple[How, int]]) -> None:
        """Compare what a function produced that was executed again after it had returned once.

        Raises:
            RunFails: It is not the same number of items.
        """
        for name, output in entry.outputs.items():
            how, count = counts.get(name) or ((How.WHOLE, 1) if name == WHOLE else (None, 0))
            if output.count is not None and (count != output.count or how is not output.how):
                raise sentences.repeated(entry.firing, name, output.count, count)

    def _agree(self, entry: Entry, output: Output, how: How, count: int) -> None:
        """Hold what was counted against what was committed and what its readers need."""
        name, plan = output.plan.name, output.plan
        if output.how is not None and output.how is not how:
            raise sentences.clash(entry.firing, name)
        there = max(output.items, default=-1) + 1
        if there > count:
            raise sentences.repeated(entry.firing, name, there, count)
        if how in _NO_LIST and (plan.each or plan.lists):
            raise sentences.not_a_list(entry.firing, name, (plan.each or plan.lists)[0])
        if how is How.EMIT and count > 1 and plan.single:
            raise sentences.not_one(entry.firing, name, plan.single[0])
        output.how, output.count = how, count

    def _ready(self, entry: Entry, output: Output) -> None:
        """Hand out what was kept back until the function returned, and close the output if nothing is missing."""
        if output.how not in _EMITTED or entry.plan.handled:
            self._hand_out(entry, output, list(output.items.items()))
        if len(output.items) == output.count:
            self._close(entry, output)

    def _absent(self, entry: Entry, plan: OutputPlan, output: Output | None) -> None:
        if output is not None:
            if output.items:
                raise sentences.repeated(entry.firing, plan.name, max(output.items) + 1, 0)
            output.closed = True
        if plan.needs:
            raise sentences.missing(entry.firing, plan.name, plan.needs[0])
        for leaf in plan.lists:
            self._memory.arrive(self._memory.holder(leaf, entry.firing.tag), leaf, ())
        for leaf in plan.streams:
            self._memory.arrive(self._memory.holder(leaf, entry.firing.tag), leaf, DEAD)
        self._value(entry, plan, DEAD)

    # -- when it has failed, or never ran ------------------------------------------------------

    def die(self, entry: Entry, error: Datum | str | None, counts: Mapping[str, tuple[How, int]] | None = None) -> None:
        """Make every output of a skipped or failed firing dead, but for `$error` of a failed one.

        Args:
            entry: The firing; it has settled.
            error: Its error value, or a sentence instead; None: it was skipped.
            counts: What it had produced when it failed.
        """
        for name, plan in entry.plan.outputs.items():
            if name == ERROR and error is not None:
                self._error(entry, plan, error)
            else:
                count = counts[name][1] if counts and name in counts else 0
                self._dead(entry, plan, count, f"step '{entry.firing}' failed")
        self._memory.close_level(entry)

    def _error(self, entry: Entry, plan: OutputPlan, error: Datum | str) -> None:
        if isinstance(error, str):
            self._value(entry, plan, Constant(json.dumps(error)))
            return
        held = self._ledger.admit(DataKey(*entry.firing, ERROR), error)
        self._value(entry, plan, error, (held,))
        self._ledger.let_go(held)

    def _dead(self, entry: Entry, plan: OutputPlan, count: int = 0, broken: str = "") -> None:
        self._value(entry, plan, DEAD)
        for leaf in plan.lists:
            self._memory.arrive(self._memory.holder(leaf, entry.firing.tag), leaf, DEAD)
        output = entry.outputs.get(plan.name)
        if plan.streams:
            if output is None:
                output = entry.outputs[plan.name] = Output(plan)
            output.broken, output.count = broken, count
            if output.following >= count:
                self._break_off(entry, output)
        elif output is not None:
            self._finish(output)

    def _break_off(self, entry: Entry, output: Output) -> None:
        """End a stream whose producer failed: dead if nothing of it ever came."""
        tag = entry.firing.tag
        self._finish(output)
        for leaf in output.plan.streams:
            if output.following == 0:
                self._memory.arrive(self._memory.holder(leaf, tag), leaf, DEAD)
            else:
                self._memory.feed_end(leaf, tag, output.broken)

    def abandon(self, entry: Entry) -> None:
        """End the streams of a failed firing that can get no further parts."""
        for output in entry.outputs.values():
            if output.broken is not None and not output.closed:
                self._break_off(entry, output)

    @staticmethod
    def incomplete(entry: Entry) -> bool:
        """Return whether an output that somebody reads has not come whole."""
        return any(not output.closed for output in entry.outputs.values())

    # -- the run's parameters ------------------------------------------------------------------

    def start(self, entry: Entry, event: Started) -> None:
        """Hand out the run's parameters, which are the outputs of the pseudo step RUN.

        Raises:
            RunFails: A parameter that somebody needs is missing, or not a list.
        """
        counts: dict[str, tuple[How, int]] = {}
        for name, datum in event.parameters.items():
            plan = entry.plan.outputs.get(name)
            spread = name in event.items and plan is not None and bool(plan.each or plan.lists or plan.streams)
            # A parameter that came whole and as items has two data of index 0; the whole is named -1.
            key = DataKey(*entry.firing, name, -1 if name in event.items else 0)
            if plan is None or (spread and not plan.single):
                self._ledger.refuse(key, datum)
                continue
            held = self._ledger.admit(key, datum)
            output = entry.outputs[name] = Output(plan)
            if spread:
                if self._memory.lineage is not None:
                    self._memory.lineage.hold((held,))
                self._value(entry, plan, datum, (held,))
                self._ledger.let_go(held)
                output.served = True
            else:
                output.items[0] = held
                counts[name] = (How.WHOLE if name == WHOLE else How.FIELD, 1)
        for name, data in event.items.items():
            self._start_items(entry, name, data, counts)
        if self._memory.lineage is not None:
            self._memory.lineage.hold([held for output in entry.outputs.values() for held in output.items.values()])
        self.succeed(entry, counts)
        if self.incomplete(entry):
            raise sentences.RunFails(Outcome.PLATFORM_ERROR, sentences.UNDELIVERED)

    def _start_items(
        self, entry: Entry, name: str, data: tuple[Datum, ...], counts: dict[str, tuple[How, int]]
    ) -> None:
        plan = entry.plan.outputs.get(name)
        output = entry.outputs.get(name)
        if plan is None or (output is not None and not output.served):
            for index, datum in enumerate(data):
                self._ledger.refuse(DataKey(*entry.firing, name, index), datum)
            return
        if output is None:
            output = entry.outputs[name] = Output(plan)
        for index, datum in enumerate(data):
            output.items[index] = self._ledger.admit(DataKey(*entry.firing, name, index), datum)
        counts[name] = (How.SPREAD, len(data))

    # -- handing over --------------------------------------------------------------------------

    def _hand_out(self, entry: Entry, output: Output, items: Collection[tuple[int, Held]]) -> None:
        """Give items to all who read the output item by item, or as a value that is a single item."""
        plan, memory, tag = output.plan, self._memory, entry.firing.tag
        for index, held in items:
            for leaf in plan.each:
                memory.arrive(memory.holder(leaf, (*tag, index)), leaf, held.datum, (held,))
            if plan.single and output.how not in _IN_PARTS:
                if index:
                    raise sentences.not_one(entry.firing, plan.name, plan.single[0])
                self._value(entry, plan, held.datum, (held,))
        if plan.streams:
            # Last: it lets go of all that came, so everybody else must have been served.
            self._pump(entry, output)
        elif not self._keeps(entry, output):
            for _, held in items:
                self._ledger.let_go(held)

    def _pump(self, entry: Entry, output: Output) -> None:
        """Give the readers of a stream what has come without a gap."""
        plan, memory, tag = output.plan, self._memory, entry.firing.tag
        if not plan.streams:
            return
        keeps = self._keeps(entry, output)
        while (held := output.items.get(output.following)) is not None:
            first = output.following == 0
            output.following += 1
            for leaf in plan.streams:
                if first:
                    memory.arrive(memory.holder(leaf, tag), leaf, output, (held,))
                else:
                    memory.feed(leaf, tag, held)
            if not keeps:
                self._ledger.let_go(held)

    @staticmethod
    def _keeps(entry: Entry, output: Output) -> bool:
        """Return whether items have readers left when those who read item by item have been served."""
        plan = output.plan
        if plan.lists or (plan.single and output.how in _IN_PARTS and not output.served):
            return True
        return entry.plan.handled and entry.outcome is not Outcome.SUCCESS

    def _close(self, entry: Entry, output: Output) -> None:
        """Serve those who wait for the whole output: all of it is there."""
        plan, memory, tag = output.plan, self._memory, entry.firing.tag
        data = output.items.values()
        if plan.single and output.how in _IN_PARTS and not output.served:
            parts = output.parts()
            self._value(entry, plan, Chunks(parts) if output.how is How.CHUNK else parts, data)
        for leaf in plan.lists:
            memory.arrive(memory.holder(leaf, tag), leaf, output.parts(), data)
        if plan.streams and output.count == 0:
            for leaf in plan.streams:
                memory.arrive(memory.holder(leaf, tag), leaf, output)
        self._finish(output)
        for leaf in plan.streams:
            memory.feed_end(leaf, tag, None)

    def _finish(self, output: Output) -> None:
        output.closed = True
        for held in output.items.values():
            self._ledger.let_go(held)

    def _value(self, entry: Entry, plan: OutputPlan, value: Any, data: Iterable[Held] = ()) -> None:
        """Resolve all who read the output as one value."""
        memory, tag = self._memory, entry.firing.tag
        for leaf in plan.values:
            memory.arrive(memory.holder(leaf, tag), leaf, value, data)
        for leaf in plan.gathers:
            memory.collect(leaf, tag, value, data)
