"""Stock control flow: action by action through the controller, every result read and posted again.

For conductors, for sequences with conductors in them or annotated `dataflow: false`, for all sequences while only
invokers of stock are healthy, and the baseline that benchmarks measure data flow against. Like stock, and unlike data
flow, a run of it is lost with its worker process.

Source: Apache OpenWhisk, `SequenceActions.scala`, `PrimitiveActions.scala`.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

from action_runtime.wire.errors import DataflowError
from controller_ext.entities.errors import Refused
from controller_ext.runs.composed import Outcome, Tally, record
from controller_ext.runs.conductor import (
    TOO_MANY as TOO_MANY_COMPOSED,
    Accounting,
    Command,
    Composition,
    Conduct,
    End,
    Step,
    error_json,
)
from controller_ext.runs.ports import (
    Accepted,
    Balancer,
    ConductorRun,
    Ended,
    Gap,
    NoInvoker,
    OnlyStock,
    Prepare,
    Prepared,
    SequenceRun,
)
from controller_ext.workflow.errors import DefinitionError
from controller_ext.workflow.sequence import MAX_ACTIONS, MISSING, TOO_MANY
from invoker_ext.contract.messages import ActivationMessage, Identity
from invoker_ext.contract.records import Activation
from invoker_ext.store import ActivationStore, StoreRefused, StoreUnavailable

logger = logging.getLogger(__name__)

MAX_RUNS: Final = 10_000
"""Of one call, whatever nests in it: a sequence in a composition, and the reverse, has counters of its own."""
MAX_NESTING: Final = 101
"""Sequences and compositions inside each other; a conductor that asks for itself ends before, by its own counters."""
_COMPONENT_SLACK_S: Final = 60.0
"""What a component may take beyond its own time limit before its result counts as lost."""
_WAITING_FACTOR: Final = 4
"""Runs that may wait for a thread, for each that has one."""
_TOO_LARGE: Final = (
    "The component {} produced a result of {} bytes: too large to be passed on by control flow. "
    "Return less of it, or have the sequence run as data flow."
)

_APPLICATION_ERROR: Final = 1
_PLATFORM_ERROR: Final = 3

Composed = SequenceRun | ConductorRun


def _error(status: int, text: str) -> Outcome:
    return Outcome(status, error_json(text))


@dataclass(slots=True)
class _Budget:
    """How many runs are left."""

    left: int

    def take(self) -> bool:
        self.left -= 1
        return self.left >= 0


@dataclass(slots=True, frozen=True)
class _Scope:
    """What a sequence or composition may use up.

    Attributes:
        runs: Of the whole call.
        atomic: Actions of the sequence, those of sequences in it included.
        accounting: Of the composition, those of conductors in it included.
        depth: Sequences and compositions around it.
    """

    runs: _Budget = field(default_factory=lambda: _Budget(MAX_RUNS))
    atomic: _Budget = field(default_factory=lambda: _Budget(MAX_ACTIONS))
    accounting: Accounting = field(default_factory=Accounting)
    depth: int = 0


class ControlFlow:
    """Implements `ports.ControlFlow`; make it after the fork."""

    def __init__(
        self,
        balancer: Balancer,
        prepare: Prepare,
        records: ActivationStore,
        *,
        threads: int = 64,
        told: Callable[[Activation, Identity], None] | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Start no thread yet.

        Args:
            balancer: Takes the components.
            prepare: Makes their messages.
            records: Gets the records of sequences and compositions.
            threads: Calls at a time; what nests in a call runs in its thread.
            told: Told of each sequence and composition that ended; None: nobody is.
            now_ms: Epoch milliseconds.
        """
        self._told = told
        self._balancer = balancer
        self._prepare = prepare
        self._records = records
        self._now_ms = now_ms
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="control-flow")
        # Counts what may still be handed to the pool, whose own queue has no bound.
        self._room = threading.BoundedSemaphore(threads * (1 + _WAITING_FACTOR))

    def run(self, composed: Composed, *, wait_s: float | None) -> Accepted | Ended:
        """See `ports.ControlFlow.run`."""
        self._balancer.charge(composed.message.user)
        if not self._room.acquire(blocking=False):
            raise NoInvoker("System is overloaded, try again later.")
        future = self._pool.submit(self._run, composed, _Scope())
        future.add_done_callback(self._done)
        if wait_s is None:
            return Accepted(composed.message.activation_id)
        try:
            return Ended(future.result(wait_s))
        except TimeoutError:
            return Accepted(composed.message.activation_id)

    def close(self) -> None:
        """Take no more; what runs goes on until the process ends."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, future: Future[Activation]) -> None:
        self._room.release()
        error = None if future.cancelled() else future.exception()
        if error is not None:
            logger.error("sequence or composition has no record", exc_info=error)

    def _run(self, composed: Composed, scope: _Scope) -> Activation:
        """Run a sequence or composition and write its record."""
        start_ms = self._now_ms()
        tally = Tally()
        if isinstance(composed, SequenceRun):
            outcome = self._sequence(composed, tally, scope)
        else:
            outcome = self._composition(composed, tally, scope)
        activation = record(composed, outcome, tally, start_ms, self._now_ms())
        if composed.message.user.stores_activations:
            self._keep(activation)
        if self._told is not None:
            self._told(activation, composed.message.user)
        return activation

    def _keep(self, activation: Activation) -> None:
        try:
            self._records.put_many([activation])
        except (StoreUnavailable, StoreRefused) as error:
            # What it did is done: who waits gets its result, as the components' records wait for the store elsewhere.
            logger.error(  # noqa: TRY400 (expected, so without its trace)
                "sequence or composition has no record",
                extra={"activation_id": activation.activation_id, "reason": str(error)},
            )

    # -- sequences ---------------------------------------------------------------------------------

    def _sequence(self, sequence: SequenceRun, tally: Tally, scope: _Scope) -> Outcome:
        outcome = Outcome(0, sequence.message.content)
        for name in sequence.components:
            try:
                outcome = self._component(name, outcome.result, sequence.message, tally, scope)
            except DataflowError as error:
                _warn("sequence failed", sequence.message, error)
                return _error(_PLATFORM_ERROR, "Sequence failed.")
            if outcome.status:
                break
        return outcome

    def _component(
        self, name: str, content: bytes | None, parent: ActivationMessage, tally: Tally, scope: _Scope
    ) -> Outcome:
        prepared = self._prepare(name, content, parent, stepwise=True)
        if isinstance(prepared, Gap):
            return _error(_APPLICATION_ERROR, MISSING)
        nested = prepared.composed
        if isinstance(nested, SequenceRun):
            inner = replace(scope, depth=scope.depth + 1)
            return self._nested(nested, tally, inner) or _error(_APPLICATION_ERROR, TOO_MANY)
        if not (scope.atomic.take() and scope.runs.take()):
            return _error(_APPLICATION_ERROR, TOO_MANY)
        if nested is not None:
            inner = replace(scope, accounting=Accounting(), depth=scope.depth + 1)
            return self._nested(nested, tally, inner) or _error(_APPLICATION_ERROR, TOO_MANY)
        ended = self._invoke(prepared, tally)
        if isinstance(ended, Accepted):
            lost = f"Timeout reached when retrieving activation {ended.activation_id} for sequence component."
            return _error(_PLATFORM_ERROR, lost)
        return ended

    # -- compositions ------------------------------------------------------------------------------

    def _composition(self, run: ConductorRun, tally: Tally, scope: _Scope) -> Outcome:
        composition = Composition(run.message.user.namespace, run.defaults, scope.accounting)
        command = composition.begin(run.message.content)
        while not isinstance(command, End):
            if not scope.runs.take():
                command = composition.exhausted()
                break
            try:
                if isinstance(command, Conduct):
                    command = self._conduct(run, command, composition, tally)
                else:
                    command = self._step(run, command, composition, tally, scope)
            except DataflowError as error:
                _warn("composition failed", run.message, error)
                command = composition.broken()
        return Outcome(command.status, command.result)

    def _conduct(self, run: ConductorRun, command: Conduct, composition: Composition, tally: Tally) -> Command:
        parent = run.message
        message = replace(
            parent,
            transid=[parent.transid[0], self._now_ms(), parent.transid],
            activation_id=secrets.token_hex(16),
            blocking=True,
            content=command.content,
            cause=parent.activation_id,
            graph=None,
        )
        ended = self._invoke(Prepared(message, run.needs), tally)
        if isinstance(ended, Accepted):
            return self._lost(ended, composition, tally)
        return composition.conducted(ended.status, ended.result)

    def _step(self, run: ConductorRun, command: Step, composition: Composition, tally: Tally, scope: _Scope) -> Command:
        try:
            prepared = self._prepare(str(command.name), command.content, run.message, stepwise=False)
        except (Refused, DefinitionError) as error:
            _warn("component refused", run.message, error)
            return composition.missing(Gap.ABSENT)
        if isinstance(prepared, Gap):
            return composition.missing(prepared)
        nested = prepared.composed
        if nested is None:
            try:
                ended = self._invoke(prepared, tally)
            except OnlyStock:
                nested = prepared.fallback
                if nested is None:
                    raise
            else:
                if isinstance(ended, Accepted):
                    return self._lost(ended, composition, tally)
                return composition.ended(ended.result)
        inner = replace(scope, atomic=_Budget(MAX_ACTIONS), depth=scope.depth + 1)
        outcome = self._nested(nested, tally, inner) or _error(_APPLICATION_ERROR, TOO_MANY_COMPOSED)
        return composition.ended(outcome.result, counts=isinstance(nested, SequenceRun))

    def _lost(self, accepted: Accepted, composition: Composition, tally: Tally) -> End:
        tally.ids.append(accepted.activation_id)
        return composition.lost(accepted.activation_id)

    # -- both --------------------------------------------------------------------------------------

    def _nested(self, composed: Composed, tally: Tally, scope: _Scope) -> Outcome | None:
        """Run what has components of its own; None: it would be nested too deep."""
        if scope.depth > MAX_NESTING:
            return None
        activation = self._run(composed, scope)
        tally.add(activation)
        return Outcome(activation.status, activation.result, activation.size)

    def _invoke(self, prepared: Prepared, tally: Tally) -> Outcome | Accepted:
        """Have an invoker run something; Accepted: it has no result in time."""
        message = prepared.message
        wait_s = prepared.needs.timeout_s + _COMPONENT_SLACK_S
        ended = self._balancer.invoke(message, prepared.needs, wait_s=wait_s)
        if isinstance(ended, Accepted):
            return ended
        activation = ended.activation
        tally.add(activation)
        if ended.large is not None:
            text = _TOO_LARGE.format(message.action, ended.large[2])
            return _error(activation.status or _APPLICATION_ERROR, text)
        return Outcome(activation.status, activation.result, activation.size)


def _warn(what: str, message: ActivationMessage, error: DataflowError) -> None:
    logger.warning(what, extra={"activation_id": message.activation_id, "error": str(error)})
