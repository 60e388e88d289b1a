"""The machine of one run: what happens in it goes in as events, what is to be done comes out as commands."""

from __future__ import annotations

from typing import assert_never

from invoker_ext.contract.graph import Fault, Graph
from invoker_ext.dataflow import ending, events, invariants, sentences
from invoker_ext.dataflow.attempts import Attempts
from invoker_ext.dataflow.commands import Bound, Command
from invoker_ext.dataflow.entries import Entry
from invoker_ext.dataflow.events import Cancelled, Committed, DeadlineReached, Evaluated, Event, Outcome, Started
from invoker_ext.dataflow.keys import DataKey, Firing
from invoker_ext.dataflow.lineage import Lineage
from invoker_ext.dataflow.matching import Memory
from invoker_ext.dataflow.outputs import Outputs
from invoker_ext.dataflow.plan import DEAD, Plan
from invoker_ext.dataflow.release import Ledger
from invoker_ext.dataflow.sentences import RunFails
from invoker_ext.dataflow.states import TERMINAL, State, Transition


class RunMachine:
    """Matches, decides dead paths, retries and ends one run.

    Give every event to `handle` and carry out the commands in order. The machine owns each datum that comes in by
    Started, Committed or Returned, and gives each back exactly once: in a Release, or in `End.data`.
    """

    def __init__(self, graph: Graph) -> None:
        self._plan = Plan.of(graph)
        self._ledger = Ledger()
        self._commands: list[Command] = []
        self._memory = Memory(self._ledger, self._commands)
        self._outputs = Outputs(self._memory, self._ledger)
        self._attempts = Attempts(self._memory, self._outputs, self._ledger, self._commands)
        self._started = False
        self._ended = False

    @property
    def ended(self) -> bool:
        """End has been commanded."""
        return self._ended

    @property
    def keeps(self) -> bool:
        """Data are kept that nobody reads unless there is a loss."""
        return self._memory.lineage is not None and self._memory.lineage.keeps

    @property
    def idle(self) -> bool:
        """The run has ended, nothing of it runs, and all its data are released: the machine can be dropped."""
        return self._ended and self._attempts.active == 0 and not self._ledger.live

    def untie(self) -> None:
        """Give up a machine that is idle; what it held is free at once, not when the interpreter looks for cycles."""
        for group in self._memory.groups.values():
            group.below.clear()
        self._memory.lineage = None

    def handle(self, event: Event) -> list[Command]:
        """Take one event and return what is to be done, in this order.

        Raises:
            InvalidTransition: The event contradicts what was reported before: a bug of the shell. The run is
                undefined from here on; give it up with PlatformFailed.
        """
        self._attempts.at = event.at
        try:
            self._dispatch(event)
            if not self._ended:
                self._go_on()
        except RunFails as failure:
            self._end(failure.outcome, (), failure.error, failure.firing)
        if self._ledger.consumed and self._memory.lineage is not None:
            self._memory.lineage.consumed()
        release = self._ledger.flush()
        if release is not None:
            self._commands.append(release)
        commands = self._commands.copy()
        self._commands.clear()
        return commands

    def validate(self) -> None:
        """Check what must hold between any two events.

        Raises:
            AssertionError: An invariant is broken; the text says which.
        """
        invariants.check(self._memory, self._ledger, active=self._attempts.active, ended=self._ended)

    def story(self, firing: Firing) -> list[Transition]:
        """Return every change of state of a firing, oldest first; empty if it is unknown."""
        entry = self._memory.entries.get(firing)
        return list(entry.story) if entry is not None else []

    # -- events --------------------------------------------------------------------------------

    def _dispatch(self, event: Event) -> None:
        match event:
            case Committed():
                self._on_committed(event)
            case events.Returned():
                self._attempts.returned(event)
            case events.Drained():
                self._attempts.drained(event)
            case events.Began():
                self._attempts.began(event)
            case Started():
                self._on_started(event)
            case Evaluated():
                self._on_evaluated(event)
            case events.RetryDue():
                self._attempts.retry_due(event)
            case events.Lost() | events.DataLost() | events.Squeezed() | events.Brought():
                self._on_hosts(event)
            case Cancelled() | DeadlineReached() | events.PlatformFailed():
                self._on_stopped(event)
            case _:  # pragma: no cover
                assert_never(event)

    def _on_stopped(self, event: Cancelled | DeadlineReached | events.PlatformFailed) -> None:
        if self._ended:
            return
        match event:
            case Cancelled(reason):
                raise RunFails(Outcome.APPLICATION_ERROR, reason)
            case DeadlineReached():
                raise RunFails(Outcome.DEVELOPER_ERROR, sentences.deadline(self._plan.graph.timeout_s))
            case _:
                raise RunFails(Outcome.PLATFORM_ERROR, event.reason)

    def _on_started(self, event: Started) -> None:
        if self._started or self._ended:
            self._refuse_parameters(event)
            return
        self._started = True
        memory, plan = self._memory, self._plan
        if event.spans:
            lineage = memory.lineage = Lineage(memory, self._ledger, self._commands)
            lineage.move, lineage.fire = self._attempts.move, self._attempts.fire
        # The result first: with it the run can not be over before everything else is there.
        memory.entry(plan.result, ())
        for step in plan.steps.values():
            if not step.scope:
                memory.entry(step, ())
        run = Entry(plan.run, Firing(plan.run.name), None)
        run.settled, run.outcome = True, Outcome.SUCCESS
        self._outputs.start(run, event)

    def _refuse_parameters(self, event: Started) -> None:
        name = self._plan.run.name
        for output, datum in event.parameters.items():
            self._ledger.refuse(DataKey(name, (), output), datum)
        for output, data in event.items.items():
            for index, datum in enumerate(data):
                self._ledger.refuse(DataKey(name, (), output, index), datum)

    def _on_committed(self, event: Committed) -> None:
        key = event.key
        entry = self._memory.entries.get(Firing(key.step, key.tag))
        if entry is None or entry.attempt != event.attempt or self._ended or entry.state in TERMINAL:
            self._ledger.refuse(key, event.datum)
            return
        lineage = self._memory.lineage
        if lineage is None or not lineage.takes(entry, event):
            self._outputs.commit(entry, event)

    def _on_hosts(self, event: events.Lost | events.DataLost | events.Squeezed | events.Brought) -> None:
        lineage = self._memory.lineage
        if isinstance(event, events.Lost):
            self._attempts.lost(event)
        elif lineage is not None and isinstance(event, events.DataLost):
            lineage.lose(event.keys)
        elif lineage is not None and isinstance(event, events.Brought):
            lineage.brought(event.error)
        elif lineage is not None:
            lineage.squeeze()

    def _on_evaluated(self, event: Evaluated) -> None:
        if not self._ended:
            self._memory.answer(event)
            return
        question = self._memory.questions.pop(event.ticket, None)
        if question is not None:
            self._ledger.unclaim(question.claims)

    # -- what follows --------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Work off what has been matched; a queue, not recursion: a dead path may be long."""
        memory = self._memory
        while memory.ready:
            entry = memory.ready.popleft()
            if entry.dead:
                self._skip(entry)
            elif entry.plan.fault is not None:
                self._fault(entry, entry.plan.fault)
            elif entry.plan.step is None:
                entry.bound = memory.bind(entry)
                self._attempts.settle(entry, Outcome.SUCCESS)
            else:
                entry.bound = memory.bind(entry)
                self._attempts.fire(entry, "matched")
        if self._started and memory.unsettled == 0 and not memory.questions:
            result = memory.entry(self._plan.result, ())
            if memory.lineage is not None:
                if memory.lineage.holds_up_result(result):
                    return
                result.bound = memory.lineage.names.latest(result.bound)
                if memory.lineage.brings(result):
                    return
            self._end(Outcome.SUCCESS, result.bound, None, None)

    def _skip(self, entry: Entry) -> None:
        if entry.plan is self._plan.result:
            dead = next(
                slot.name
                for slot in entry.plan.slots
                if not slot.optional and all(entry.leaves[leaf.index] is DEAD for leaf in slot.leaves)
            )
            raise sentences.dead_result(dead)
        self._attempts.move(entry, State.SKIPPED, "a required input is dead")
        self._attempts.settle(entry, None)
        self._outputs.die(entry, None)
        self._memory.finish(entry)

    def _fault(self, entry: Entry, fault: Fault) -> None:
        self._attempts.move(entry, State.FAILED, "can not run")
        try:
            self._attempts.fail(entry, Outcome(fault.status), fault.error)
        finally:
            self._memory.finish(entry)

    # -- the end -------------------------------------------------------------------------------

    def _end(
        self, outcome: Outcome, result: tuple[Bound, ...], error: events.Datum | str | None, failed: Firing | None
    ) -> None:
        self._ended = self._attempts.ended = True
        if self._memory.lineage is not None:
            self._memory.lineage.end()
            self._memory.lineage = None
        for entry in ending.unfired(self._memory):
            self._attempts.drop(entry)
        self._commands.extend(ending.broken_streams(self._memory))
        command = ending.end(self._memory, self._ledger, (outcome, result, error, failed))
        self._commands.append(command)
