"""The machine of one run: what happens in it goes in as events, what is to be done comes out as commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, assert_never

from action_runtime.wire.values import ERROR
from invoker_ext.contract.graph import Fault, Graph
from invoker_ext.dataflow import ending, invariants, sentences
from invoker_ext.dataflow.commands import Bound, Command, Dispatch, Retry
from invoker_ext.dataflow.entries import Entry
from invoker_ext.dataflow.events import (
    Began,
    Cancelled,
    Committed,
    Datum,
    DeadlineReached,
    Drained,
    Evaluated,
    Event,
    How,
    Lost,
    Outcome,
    PlatformFailed,
    RetryDue,
    Returned,
    Started,
)  # fmt: skip
from invoker_ext.dataflow.keys import DataKey, Firing
from invoker_ext.dataflow.matching import Memory
from invoker_ext.dataflow.outputs import Outputs
from invoker_ext.dataflow.plan import DEAD, Plan
from invoker_ext.dataflow.release import Ledger
from invoker_ext.dataflow.sentences import RunFails
from invoker_ext.dataflow.states import TERMINAL, TRANSITIONS, InvalidTransition, State, Transition

LOSSES: Final = 2
"""Executions in all whose container may die after the function began (DESIGN §8)."""
MISSES: Final = 3
"""Dispatches that may be lost before the function began; more will not help."""
_ACTIVE: Final = frozenset((State.RUNNING, State.DRAINING))


class RunMachine:
    """Matches, decides dead paths, retries and ends one run (DESIGN §4, §8).

    Give every event to `handle` and carry out the commands in order. The machine owns each datum that comes in by
    Started, Committed or Returned, and gives each back exactly once: in a Release, or in `End.data`.
    """

    def __init__(self, graph: Graph) -> None:
        self._plan = Plan.of(graph)
        self._ledger = Ledger()
        self._commands: list[Command] = []
        self._memory = Memory(self._ledger, self._commands)
        self._outputs = Outputs(self._memory, self._ledger)
        self._started = False
        self._ended = False
        self._active = 0
        self._at = 0.0

    @property
    def ended(self) -> bool:
        """End has been commanded."""
        return self._ended

    @property
    def idle(self) -> bool:
        """The run has ended, nothing of it runs, and all its data are released: the machine can be dropped."""
        return self._ended and self._active == 0 and not self._ledger.live

    def handle(self, event: Event) -> list[Command]:
        """Take one event and return what is to be done, in this order.

        Raises:
            InvalidTransition: The event contradicts what was reported before: a bug of the shell. The run is
                undefined from here on; give it up with PlatformFailed.
        """
        self._at = event.at
        try:
            self._dispatch(event)
            if not self._ended:
                self._go_on()
        except RunFails as failure:
            self._fail(failure.outcome, failure.sentence, failure.firing)
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
        invariants.check(self._memory, self._ledger, active=self._active, ended=self._ended)

    def story(self, firing: Firing) -> list[Transition]:
        """Return every change of state of a firing, oldest first; empty if it is unknown."""
        entry = self._memory.entries.get(firing)
        return list(entry.story) if entry is not None else []

    # -- events --------------------------------------------------------------------------------

    def _dispatch(self, event: Event) -> None:
        match event:
            case Committed():
                self._on_committed(event)
            case Returned():
                self._on_returned(event)
            case Drained():
                self._on_drained(event)
            case Began():
                self._on_began(event)
            case Started():
                self._on_started(event)
            case Evaluated():
                self._on_evaluated(event)
            case RetryDue():
                self._on_retry_due(event)
            case Lost():
                self._on_lost(event)
            case Cancelled() | DeadlineReached() | PlatformFailed():
                self._on_stopped(event)
            case _:
                assert_never(event)

    def _on_stopped(self, event: Cancelled | DeadlineReached | PlatformFailed) -> None:
        match event:
            case Cancelled(reason):
                self._fail(Outcome.APPLICATION_ERROR, reason)
            case DeadlineReached():
                self._fail(Outcome.DEVELOPER_ERROR, sentences.deadline(self._plan.graph.timeout_s))
            case PlatformFailed(reason):
                self._fail(Outcome.PLATFORM_ERROR, reason)

    def _on_started(self, event: Started) -> None:
        if self._started or self._ended:
            self._refuse_parameters(event)
            return
        self._started = True
        memory, plan = self._memory, self._plan
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

    def _on_began(self, event: Began) -> None:
        entry = self._entry(event.firing, event.attempt)
        if entry is not None:
            entry.began = True

    def _on_committed(self, event: Committed) -> None:
        key = event.key
        entry = self._memory.entries.get(Firing(key.step, key.tag))
        if entry is None or entry.attempt != event.attempt or self._ended or entry.state in TERMINAL:
            self._ledger.refuse(key, event.datum)
            return
        self._outputs.commit(entry, event)

    def _on_returned(self, event: Returned) -> None:
        entry = self._entry(event.firing, event.attempt)
        if entry is None or entry.state is not State.RUNNING:
            self._refuse_error(event)
            return
        success = event.outcome is Outcome.SUCCESS
        if not (success or self._ended or entry.settled) and self._retries(entry, event.outcome):
            self._refuse_error(event)
            self._move(entry, State.BACKOFF, "failed, to be retried")
            self._outputs.discard_returned(entry)
            self._back_off(entry)
            return
        self._move(entry, State.DRAINING, event.outcome.name.lower())
        if success or self._ended:
            self._refuse_error(event)
        if self._ended:
            entry.outcome = event.outcome
        elif success:
            self._succeeded(entry, event)
        else:
            self._failed(entry, event.outcome, event.error, event.counts)

    def _refuse_error(self, event: Returned) -> None:
        if event.error is not None:
            self._ledger.refuse(DataKey(*event.firing, ERROR), event.error)

    def _succeeded(self, entry: Entry, event: Returned) -> None:
        if event.clashes:
            raise sentences.clash(entry.firing, event.clashes[0])
        if entry.settled:
            self._outputs.repeat(entry, event.counts)
        else:
            self._settle(entry, event.outcome)
            self._outputs.succeed(entry, event.counts)

    def _on_drained(self, event: Drained) -> None:
        entry = self._over(event)
        if entry is None:
            return
        if event.attempt == entry.attempt and entry.state is State.RUNNING:
            raise InvalidTransition(entry.firing, entry.state.value, "drained", entry.story)
        self._ebb(entry, event.attempt, "drained")

    def _on_lost(self, event: Lost) -> None:
        entry = self._over(event)
        if entry is None:
            return
        present = event.attempt == entry.attempt
        if present and (entry.state is State.RUNNING or self._misses_outputs(entry)):
            self._lost(entry, event)
        else:
            self._ebb(entry, event.attempt, "lost, nothing missing")

    def _over(self, event: Drained | Lost) -> Entry | None:
        """Note that an attempt holds its inputs no longer; None: that was known."""
        entry = self._memory.entries.get(event.firing)
        if entry is None or not entry.undrained >> event.attempt & 1:
            return None
        entry.undrained ^= 1 << event.attempt
        return entry

    def _ebb(self, entry: Entry, attempt: int, cause: str) -> None:
        """Go on after an attempt has nothing more to give."""
        present = attempt == entry.attempt and entry.state is State.DRAINING and not self._ended
        if present:
            self._outputs.abandon(entry)
        self._leave(entry, cause)
        if present and self._misses_outputs(entry):
            raise RunFails(Outcome.PLATFORM_ERROR, sentences.UNDELIVERED, entry.firing)

    def _leave(self, entry: Entry, cause: str) -> None:
        """End the life of a firing, unless an earlier attempt still holds its inputs."""
        if entry.state is State.DRAINING and not entry.undrained:
            self._move(entry, State.DONE if entry.outcome is Outcome.SUCCESS else State.FAILED, cause)
            self._memory.finish(entry)

    def _misses_outputs(self, entry: Entry) -> bool:
        return not self._ended and entry.outcome is Outcome.SUCCESS and self._outputs.incomplete(entry)

    def _lost(self, entry: Entry, event: Lost) -> None:
        began = event.began or entry.began
        entry.losses += began
        entry.misses += not began
        if not self._ended and self._recovers(entry, began=began):
            self._fire(entry, "lost, dispatched again")
            return
        outcome = event.outcome or (Outcome.DEVELOPER_ERROR if began else Outcome.PLATFORM_ERROR)
        if entry.state is State.RUNNING:
            self._move(entry, State.DRAINING, "lost")
        if self._ended:
            entry.outcome = outcome
        else:
            self._failed(entry, outcome, event.reason or sentences.DIED)
        self._ebb(entry, event.attempt, "lost")

    @staticmethod
    def _recovers(entry: Entry, *, began: bool) -> bool:
        if began:
            return entry.plan.recovers and entry.losses < LOSSES
        return entry.misses < MISSES

    def _on_evaluated(self, event: Evaluated) -> None:
        if not self._ended:
            self._memory.answer(event)
            return
        question = self._memory.questions.pop(event.ticket, None)
        if question is not None:
            self._ledger.unclaim(question.claims)

    def _on_retry_due(self, event: RetryDue) -> None:
        entry = self._entry(event.firing, event.attempt - 1)
        if entry is not None and entry.state is State.BACKOFF:
            self._fire(entry, "retried")

    def _entry(self, firing: Firing, attempt: int) -> Entry | None:
        """Return the firing if the attempt is its present one and not over."""
        entry = self._memory.entries.get(firing)
        if entry is None or entry.attempt != attempt or entry.state in TERMINAL:
            return None
        return entry

    # -- what follows --------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Work off what has been matched; a queue, not recursion: a dead path may be long."""
        memory = self._memory
        while memory.ready and not self._ended:
            entry = memory.ready.popleft()
            if entry.dead:
                self._skip(entry)
            elif entry.plan.fault is not None:
                self._fault(entry, entry.plan.fault)
            elif entry.plan.step is None:
                entry.bound = memory.bind(entry)
                self._settle(entry, Outcome.SUCCESS)
            else:
                entry.bound = memory.bind(entry)
                self._fire(entry, "matched")
        if self._started and not self._ended and memory.unsettled == 0 and not memory.questions:
            result = memory.entry(self._plan.result, ())
            self._end(Outcome.SUCCESS, result.bound, None, None)

    def _fire(self, entry: Entry, cause: str) -> None:
        step = entry.plan.step
        if step is None:
            raise InvalidTransition(entry.firing, entry.state.value, State.RUNNING.value, entry.story)
        self._move(entry, State.RUNNING, cause)
        entry.attempt += 1
        entry.undrained |= 1 << entry.attempt
        entry.began = False
        self._commands.append(Dispatch(entry.firing, entry.attempt, step, entry.bound))
        if entry.plan.streaming:
            self._memory.replay(entry)

    def _skip(self, entry: Entry) -> None:
        if entry.plan is self._plan.result:
            dead = next(
                slot.name
                for slot in entry.plan.slots
                if not slot.optional and all(entry.leaves[leaf.index] is DEAD for leaf in slot.leaves)
            )
            raise sentences.dead_result(dead)
        self._move(entry, State.SKIPPED, "a required input is dead")
        self._settle(entry, None)
        self._outputs.die(entry, None)
        self._memory.finish(entry)

    def _fault(self, entry: Entry, fault: Fault) -> None:
        self._move(entry, State.FAILED, "can not run")
        self._failed(entry, Outcome(fault.status), fault.error)
        self._memory.finish(entry)

    def _settle(self, entry: Entry, outcome: Outcome | None) -> None:
        entry.settled = True
        entry.outcome = outcome
        self._memory.unsettled -= 1

    # -- failure -------------------------------------------------------------------------------

    def _retries(self, entry: Entry, outcome: Outcome) -> bool:
        step = entry.plan.step
        if step is None or outcome is not Outcome.APPLICATION_ERROR or step.at_most_once:
            return False
        entry.errors += 1
        return entry.errors < step.attempts

    def _back_off(self, entry: Entry) -> None:
        step = entry.plan.step
        if step is None or step.backoff_s == 0:
            self._fire(entry, "retried at once")
        else:
            delay_s = step.backoff_s * 2 ** (entry.errors - 1)
            self._commands.append(Retry(entry.firing, entry.attempt + 1, delay_s))

    def _failed(
        self,
        entry: Entry,
        outcome: Outcome,
        error: Datum | str | None,
        counts: Mapping[str, tuple[How, int]] | None = None,
    ) -> None:
        """Settle a failure: handled, or the end of the run. The error's datum is taken over."""
        again = entry.settled
        if not again:
            self._settle(entry, outcome)
        entry.outcome = outcome
        if error is None:
            error = sentences.failed(entry.firing)
        if entry.plan.handled and not again:
            self._outputs.die(entry, error, counts)
        else:
            self._fail(outcome, error, entry.firing)

    def _fail(self, outcome: Outcome, error: Datum | str, failed: Firing | None = None) -> None:
        """End the run without a result; only the first failure counts."""
        if not self._ended:
            self._end(outcome, (), error, failed)

    # -- the end -------------------------------------------------------------------------------

    def _end(
        self, outcome: Outcome, result: tuple[Bound, ...], error: Datum | str | None, failed: Firing | None
    ) -> None:
        self._ended = True
        for entry in ending.unfired(self._memory):
            self._drop(entry)
        self._commands.extend(ending.broken_streams(self._memory))
        command = ending.end(self._memory, self._ledger, (outcome, result, error, failed))
        self._commands.append(command)

    def _drop(self, entry: Entry) -> None:
        if entry.plan.step is None:
            self._move(entry, State.DONE if entry.settled else State.DROPPED, "the run has ended")
        elif entry.state is State.WAITING:
            self._move(entry, State.DROPPED, "the run has ended")
        else:
            entry.outcome = Outcome.APPLICATION_ERROR
            self._move(entry, State.DRAINING if entry.undrained else State.FAILED, "the run has ended")

    def _move(self, entry: Entry, after: State, cause: str) -> None:
        before = entry.state
        if after not in TRANSITIONS[before]:
            raise InvalidTransition(entry.firing, before.value, after.value, entry.story)
        entry.state = after
        self._active += (after in _ACTIVE) - (before in _ACTIVE)
        entry.story.append(Transition(self._at, before, after, cause))
