"""The life of a firing from its match on: attempts, retries, losses, and what its success or failure means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from action_runtime.wire.values import ERROR
from invoker_ext.contract.graph import Step
from invoker_ext.dataflow import sentences
from invoker_ext.dataflow.commands import Command, Dispatch, Retry
from invoker_ext.dataflow.entries import Entry
from invoker_ext.dataflow.events import Began, Datum, Drained, How, Lost, Outcome, RetryDue, Returned
from invoker_ext.dataflow.keys import DataKey, Firing
from invoker_ext.dataflow.matching import Memory
from invoker_ext.dataflow.outputs import Outputs
from invoker_ext.dataflow.release import Ledger
from invoker_ext.dataflow.sentences import RunFails
from invoker_ext.dataflow.states import BETWEEN, TERMINAL, TRANSITIONS, InvalidTransition, State, Transition

LOSSES: Final = 2
"""Executions in all whose container may die after the function began."""
MISSES: Final = 3
"""Dispatches that may be lost before the function began; more will not help."""
_ACTIVE: Final = frozenset((State.RUNNING, State.DRAINING))


class Attempts:
    """Moves firings from state to state.

    Attributes:
        active: Number of firings that run or drain.
        ended: The run has ended: what returns is dropped, nothing is executed again. Set by the machine.
        at: Monotonic seconds of the present event. Set by the machine.
    """

    def __init__(self, memory: Memory, outputs: Outputs, ledger: Ledger, commands: list[Command]) -> None:
        self.active = 0
        self.ended = False
        self.at = 0.0
        self._memory = memory
        self._outputs = outputs
        self._ledger = ledger
        self._commands = commands

    def began(self, event: Began) -> None:
        """Note that from here on an execution counts."""
        entry = self._entry(event.firing, event.attempt)
        if entry is not None:
            entry.began = True

    def returned(self, event: Returned) -> None:
        """Settle the firing, or have it retried; a repeated report changes nothing.

        Raises:
            RunFails: A failure that nobody handles, or a success that breaks a rule.
        """
        entry = self._entry(event.firing, event.attempt)
        if entry is None or entry.state is not State.RUNNING:
            self._refuse_error(event)
            return
        success = event.outcome is Outcome.SUCCESS
        if not (success or self.ended or entry.settled) and self._retries(entry, event.outcome):
            self._refuse_error(event)
            self.move(entry, State.BACKOFF, "failed, to be retried")
            self._outputs.discard_returned(entry)
            self._back_off(entry)
            return
        self.move(entry, State.DRAINING, event.outcome.name.lower())
        if success or self.ended:
            self._refuse_error(event)
        if self.ended:
            entry.outcome = event.outcome
        elif success:
            self._succeeded(entry, event)
        else:
            self.fail(entry, event.outcome, event.error, event.counts)

    def _refuse_error(self, event: Returned) -> None:
        if event.error is not None:
            self._ledger.refuse(DataKey(*event.firing, ERROR), event.error)

    def _succeeded(self, entry: Entry, event: Returned) -> None:
        if event.clashes:
            raise sentences.clash(entry.firing, event.clashes[0])
        if entry.settled:
            self._outputs.repeat(entry, event.counts)
        else:
            self.settle(entry, event.outcome)
            self._outputs.succeed(entry, event.counts)

    def drained(self, event: Drained) -> None:
        """Let go of what the attempt read, and with the last one of the firing.

        Raises:
            InvalidTransition: The function has not returned.
            RunFails: Something that somebody needs never came.
        """
        entry = self._over(event)
        if entry is None:
            return
        if event.attempt == entry.attempt and entry.state is State.RUNNING:
            raise InvalidTransition(entry.firing, entry.state.value, "drained", entry.story)
        self._ebb(entry, event.attempt, "drained", event.refusal)

    def lost(self, event: Lost) -> None:
        """Execute the firing again if that is allowed and of use, else it has failed.

        Raises:
            RunFails: It has failed, and nobody handles that.
        """
        entry = self._over(event)
        if entry is None:
            return
        present = event.attempt == entry.attempt
        if present and (not entry.settled or self._misses_outputs(entry)) and entry.state not in BETWEEN:
            self._lost(entry, event)
            return
        if present and entry.state is State.RUNNING:
            self.move(entry, State.DRAINING, "lost while repeated")
        self._ebb(entry, event.attempt, "lost, nothing missing")

    def _over(self, event: Drained | Lost) -> Entry | None:
        """Note that an attempt holds its inputs no longer; None: that was known."""
        entry = self._memory.entries.get(event.firing)
        if entry is None or not entry.undrained >> event.attempt & 1:
            return None
        entry.undrained ^= 1 << event.attempt
        return entry

    def _ebb(self, entry: Entry, attempt: int, cause: str, refusal: str | None = None) -> None:
        """Go on after an attempt has nothing more to give."""
        present = attempt == entry.attempt and entry.state is State.DRAINING and not self.ended
        if present:
            self._outputs.abandon(entry)
        misses = present and self._misses_outputs(entry)
        self._leave(entry, cause)
        if misses:
            raise sentences.undelivered(entry.firing, refusal)

    def _leave(self, entry: Entry, cause: str) -> None:
        """End the life of a firing, unless an earlier attempt still holds its inputs."""
        if entry.state is State.DRAINING and not entry.undrained:
            self.move(entry, State.DONE if entry.outcome is Outcome.SUCCESS else State.FAILED, cause)
            self._memory.finish(entry)

    def _misses_outputs(self, entry: Entry) -> bool:
        return not self.ended and entry.outcome is Outcome.SUCCESS and self._outputs.incomplete(entry)

    def _lost(self, entry: Entry, event: Lost) -> None:
        began = event.began or entry.began
        entry.losses += began
        entry.misses += not began
        if not self.ended and self._recovers(entry, began=began):
            self.fire(entry, "lost, dispatched again")
            return
        outcome = event.outcome or (Outcome.DEVELOPER_ERROR if began else Outcome.PLATFORM_ERROR)
        if entry.state is State.RUNNING:
            self.move(entry, State.DRAINING, "lost")
        try:
            if not self.ended:
                self.fail(entry, outcome, event.reason or sentences.DIED)
        finally:
            self._ebb(entry, event.attempt, "lost")

    @staticmethod
    def _recovers(entry: Entry, *, began: bool) -> bool:
        if began:
            return entry.plan.recovers and entry.losses < LOSSES
        return entry.misses < MISSES

    def retry_due(self, event: RetryDue) -> None:
        """Dispatch the next attempt."""
        entry = self._entry(event.firing, event.attempt - 1)
        if entry is not None and entry.state is State.BACKOFF:
            self.fire(entry, "retried")

    def _entry(self, firing: Firing, attempt: int) -> Entry | None:
        """Return the firing if the attempt is its present one and not over."""
        entry = self._memory.entries.get(firing)
        if entry is None or entry.attempt != attempt or entry.state in TERMINAL:
            return None
        return entry

    def fire(self, entry: Entry, cause: str) -> None:
        """Dispatch an attempt of a matched firing, once all that it reads is there.

        Raises:
            RunFails: Something of it is lost for good.
        """
        lineage = self._memory.lineage
        if lineage is not None:
            if lineage.holds_up(entry, cause):
                return
            entry.bound = lineage.names.latest(entry.bound)
        self.move(entry, State.RUNNING, cause)
        entry.attempt += 1
        entry.undrained |= 1 << entry.attempt
        entry.began = False
        self._commands.append(Dispatch(entry.firing, entry.attempt, _step(entry), entry.bound))
        if entry.plan.streaming:
            self._memory.replay(entry)

    def settle(self, entry: Entry, outcome: Outcome | None) -> None:
        """Note how a firing ended for the run; None: it was skipped."""
        entry.settled = True
        entry.outcome = outcome
        self._memory.unsettled -= 1

    def _retries(self, entry: Entry, outcome: Outcome) -> bool:
        step = _step(entry)
        if outcome is not Outcome.APPLICATION_ERROR or step.at_most_once:
            return False
        entry.errors += 1
        return entry.errors < step.attempts

    def _back_off(self, entry: Entry) -> None:
        step = _step(entry)
        if step.backoff_s == 0:
            self.fire(entry, "retried at once")
        else:
            delay_s = step.backoff_s * 2 ** (entry.errors - 1)
            self._commands.append(Retry(entry.firing, entry.attempt + 1, delay_s))

    def fail(
        self,
        entry: Entry,
        outcome: Outcome,
        error: Datum | str | None,
        counts: Mapping[str, tuple[How, int]] | None = None,
    ) -> None:
        """Settle a failure. The error's datum is taken over.

        Args:
            entry: The firing.
            outcome: How it failed.
            error: Its error value, or a sentence instead.
            counts: What it had produced by then.

        Raises:
            RunFails: Nobody handles it.
        """
        again = entry.settled
        if not again:
            self.settle(entry, outcome)
        entry.outcome = outcome
        if error is None:
            error = sentences.failed(entry.firing)
        if entry.plan.handled and not again:
            self._outputs.die(entry, error, counts)
        else:
            raise RunFails(outcome, error, entry.firing)

    def drop(self, entry: Entry) -> None:
        """Move a firing that will not be executed any more, as the run has ended."""
        if entry.undrained:
            after = State.DRAINING
        elif entry.settled:
            after = State.DONE
        else:
            after = State.DROPPED if entry.state is State.WAITING else State.FAILED
        self.move(entry, after, "the run has ended")

    def move(self, entry: Entry, after: State, cause: str) -> None:
        """Change the state of a firing.

        Raises:
            InvalidTransition: The table does not have it.
        """
        before = entry.state
        if after not in TRANSITIONS[before]:
            raise InvalidTransition(entry.firing, before.value, after.value, entry.story)
        entry.state = after
        self.active += (after in _ACTIVE) - (before in _ACTIVE)
        entry.story.append(Transition(self.at, before, after, cause))


def _step(entry: Entry) -> Step:
    step = entry.plan.step
    if step is None:
        raise InvalidTransition(entry.firing, entry.state.value, "executed", entry.story)
    return step
