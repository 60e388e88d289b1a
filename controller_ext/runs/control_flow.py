"""Sequences by stock control flow: action by action through the controller, every result read and posted again.

For sequences annotated `dataflow: false`, and the baseline that benchmarks measure data flow against. Like stock, and
unlike data flow, a run of it is lost with its worker process.

Source: spec of the REST API §5.2, §5.3 (Apache OpenWhisk SequenceActions).
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from action_runtime.wire.errors import DataflowError
from controller_ext.runs.ports import (
    Accepted,
    Balancer,
    Ended,
    NoInvoker,
    Prepare,
    Prepared,
    SequenceRun,
)
from invoker_ext.contract.messages import ActivationMessage
from invoker_ext.contract.records import Activation
from invoker_ext.store import ActivationStore

logger = logging.getLogger(__name__)

MAX_ATOMIC: Final = 50
"""Actions of one call, those of nested sequences included."""
_COMPONENT_SLACK_S: Final = 60.0
"""What a component may take beyond its own time limit before its result counts as lost."""
_WAITING_FACTOR: Final = 4
"""Sequences that may wait for a thread, for each that has one."""
_TOO_LARGE: Final = (
    "The component {} produced a result of {} bytes: too large to be passed on by control flow. "
    "Return less of it, or have the sequence run as data flow."
)
_TIMEOUT_MS: Final = 60_000
_LOGS_MB: Final = 10

_APPLICATION_ERROR: Final = 1
_PLATFORM_ERROR: Final = 3


class _Outcome(NamedTuple):
    status: int
    result: bytes | None
    size: int | None = None


def _error(status: int, text: str) -> _Outcome:
    return _Outcome(status, json.dumps({"error": text}, ensure_ascii=False, separators=(",", ":")).encode())


@dataclass(slots=True)
class _Tally:
    """What the components of one sequence add up to."""

    ids: list[str] = field(default_factory=list)
    duration_ms: int = 0
    memory_mb: int = 0

    def add(self, activation: Activation) -> None:
        self.ids.append(activation.activation_id)
        self.duration_ms += activation.duration_ms or 0
        limits = activation.annotation("limits")
        if isinstance(limits, dict):
            self.memory_mb = max(self.memory_mb, int(limits.get("memory", 0)))


@dataclass(slots=True)
class _Budget:
    """How many atomic actions one call may still run; shared by its nested sequences."""

    left: int = MAX_ATOMIC

    def take(self) -> bool:
        self.left -= 1
        return self.left >= 0


class ControlFlow:
    """Implements `ports.ControlFlow`; make it after the fork."""

    def __init__(
        self,
        balancer: Balancer,
        prepare: Prepare,
        records: ActivationStore,
        *,
        threads: int = 64,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Start no thread yet.

        Args:
            balancer: Takes the components.
            prepare: Makes their messages.
            records: Gets the sequences' own records.
            threads: Sequences at a time.
            now_ms: Epoch milliseconds.
        """
        self._balancer = balancer
        self._prepare = prepare
        self._records = records
        self._now_ms = now_ms
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="control-flow")
        # Counts what may still be handed to the pool, whose own queue has no bound.
        self._room = threading.BoundedSemaphore(threads * (1 + _WAITING_FACTOR))

    def run(self, sequence: SequenceRun, *, wait_s: float | None) -> Accepted | Ended:
        """See `ports.ControlFlow.run`."""
        self._balancer.charge(sequence.message.user)
        if not self._room.acquire(blocking=False):
            raise NoInvoker("System is overloaded, try again later.")
        future = self._pool.submit(self._run, sequence, _Budget())
        future.add_done_callback(self._done)
        if wait_s is None:
            return Accepted(sequence.message.activation_id)
        try:
            return Ended(future.result(wait_s))
        except TimeoutError:
            return Accepted(sequence.message.activation_id)

    def close(self) -> None:
        """Take no more; what runs goes on until the process ends."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, future: Future[Activation]) -> None:
        self._room.release()
        error = None if future.cancelled() else future.exception()
        if error is not None:
            logger.error("sequence has no record", exc_info=error)

    def _run(self, sequence: SequenceRun, budget: _Budget) -> Activation:
        """Run a sequence and write its record."""
        start_ms = self._now_ms()
        tally = _Tally()
        outcome = _Outcome(0, sequence.message.content)
        for name in sequence.components:
            outcome = self._component(name, outcome.result, sequence.message, tally, budget)
            if outcome.status:
                break
        record = _record(sequence, outcome, tally, start_ms, self._now_ms())
        if sequence.message.user.stores_activations:
            self._records.put_many([record])
        return record

    def _component(
        self, name: str, content: bytes | None, parent: ActivationMessage, tally: _Tally, budget: _Budget
    ) -> _Outcome:
        try:
            prepared = self._prepare(name, content, parent)
            if prepared is None:
                return _error(_APPLICATION_ERROR, "Sequence component does not exist.")
            if prepared.sequence is not None:
                activation = self._run(prepared.sequence, budget)
            elif not budget.take():
                return _error(_APPLICATION_ERROR, "Too many actions in the sequence.")
            else:
                ended = self._invoke(prepared)
                if not isinstance(ended, Ended):
                    lost = f"Timeout reached when retrieving activation {ended.activation_id} for sequence component."
                    return _error(_PLATFORM_ERROR, lost)
                activation = ended.activation
                if ended.large is not None:
                    tally.add(activation)
                    text = _TOO_LARGE.format(name, ended.large[2])
                    return _error(activation.status or _APPLICATION_ERROR, text)
        except DataflowError as error:
            logger.warning("sequence failed", extra={"activation_id": parent.activation_id, "error": str(error)})
            return _error(_PLATFORM_ERROR, "Sequence failed.")
        tally.add(activation)
        return _Outcome(activation.status, activation.result, activation.size)

    def _invoke(self, prepared: Prepared) -> Accepted | Ended:
        wait_s = prepared.timeout_s + _COMPONENT_SLACK_S
        return self._balancer.invoke(prepared.message, memory_mb=prepared.memory_mb, wait_s=wait_s)


def _record(sequence: SequenceRun, outcome: _Outcome, tally: _Tally, start_ms: int, end_ms: int) -> Activation:
    message = sequence.message
    return Activation(
        activation_id=message.activation_id,
        namespace=message.user.namespace,
        name=message.action.rpartition("/")[2],
        subject=message.user.subject,
        version=message.version,
        start_ms=start_ms,
        end_ms=end_ms,
        duration_ms=tally.duration_ms,
        status=outcome.status,
        result=outcome.result,
        size=outcome.size,
        annotations=tuple(_annotations(sequence, tally, start_ms)),
        logs=tuple(tally.ids),
        cause=message.cause,
    )


def _annotations(sequence: SequenceRun, tally: _Tally, start_ms: int) -> list[dict[str, Any]]:
    """Return them in the recorded order: a topmost sequence begins with `topmost`, a nested one ends with it."""
    message = sequence.message
    values: dict[str, Any] = {} if message.cause else {"topmost": True}
    values["path"] = message.action
    values["waitTime"] = max(0, start_ms - int(message.transid[1]))
    values["kind"] = "sequence"
    if tally.ids:
        limits = {"timeout": _TIMEOUT_MS, "logs": _LOGS_MB, **sequence.limits}
        values["limits"] = {**limits, "memory": tally.memory_mb, "concurrency": 1}
    if message.binding is not None:
        values["binding"] = message.binding
    if message.cause:
        values |= {"causedBy": "sequence", "topmost": False}
    return [{"key": key, "value": value} for key, value in values.items()]
