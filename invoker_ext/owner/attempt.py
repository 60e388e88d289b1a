"""One attempt of a firing: hears of its job, tells the machine, and leaves an activation record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from action_runtime.wire.values import WHOLE, Head, Media
from invoker_ext.containers.job import Failure, Job, Report, Timing, Warmth
from invoker_ext.contract.graph import ActionCall, GraphKind
from invoker_ext.contract.records import Activation
from invoker_ext.dataflow.commands import Bound, Dispatch
from invoker_ext.dataflow.events import Began, Committed, Drained, Event, How, Lost, Outcome, Returned
from invoker_ext.dataflow.keys import DataKey
from invoker_ext.owner import outcomes
from invoker_ext.owner.host import Ear
from invoker_ext.owner.outcomes import Judgement
from invoker_ext.relay.json_form import data_of
from invoker_ext.sink.datum import Stored

if TYPE_CHECKING:
    from invoker_ext.owner.run import Run

RECORD_RESULT_BYTES: Final = 16 * 1024
"""Results of native firings above this stand in their record as size and digest only."""
_HOW: Final = {how.value: how for how in How}
_EARLY: Final = frozenset((How.EMIT, How.CHUNK))
_MISSING_LOGS: Final = "The action did not initialize or run as expected. Log data might be missing."


@dataclass(slots=True)
class Flow:
    """Bytes by path, for the time line."""

    inline: int = 0
    memory: int = 0
    """Through the sink of one host, or, as far as `Job.pulled_bytes` says, from another one."""

    def add(self, value: Stored) -> None:
        """Count a datum."""
        if value.inline is not None:
            self.inline += value.size_bytes
        else:
            self.memory += value.size_bytes

    @property
    def bytes(self) -> int:
        """All of them."""
        return self.inline + self.memory

    def to_json(self, peer: int = 0) -> dict[str, int]:
        """Return the form of the `dataflow` annotation.

        Args:
            peer: Bytes that came from another host.
        """
        paths = {"inline": self.inline, "memory": self.memory - peer}
        return {**paths, "peer": peer} if peer else paths


@dataclass(slots=True, eq=False)
class Attempt:
    """A `containers.job.Listener`.

    Attributes:
        run: Whose.
        dispatch: The machine's command: firing, attempt, inputs.
        activation_id: Of this attempt's record; of the run itself if that is a plain action.
        ear: Hears of it.
    """

    run: Run
    dispatch: Dispatch
    call: ActionCall
    activation_id: str
    matched: float
    ear: Ear
    job: Job = field(init=False)
    came: Flow = field(default_factory=Flow)
    went: Flow = field(default_factory=Flow)
    _held: list[tuple[str, int, How, Stored]] = field(default_factory=list)
    _timing: Timing | None = None
    _warmth: Warmth | None = None
    _container: str = ""
    _returned: float = 0.0
    _judgement: Judgement | None = None
    _answered: Judgement | None = None
    """What was told ahead of its log."""
    _unread: Stored | None = None
    """The result, if it lies in the sink and is read when its record is made."""
    _lines: Sequence[str] = ()
    _logged: bool = False
    _failed: bool = False
    """It is over but for its logs."""
    _recorded: bool = False
    _drained: float | None = None

    def count_inputs(self, inputs: Sequence[Bound]) -> None:
        """Account for what goes in."""
        for bound in inputs:
            for value in data_of(bound.value):
                self.came.add(value)

    # -- Listener ------------------------------------------------------------------------------

    def began(self, timing: Timing, warmth: Warmth, container: str) -> None:
        """See Listener."""
        self.run.began_once()
        self._timing, self._warmth, self._container = timing, warmth, container
        self._post(Began(self.dispatch.firing, self.dispatch.attempt, timing.started))

    def emitted(self, output: str, index: int, how: str, value: Stored) -> None:
        """See Listener. What was returned is held until RETURNED says that it is no error."""
        self.went.add(value)
        kind = _HOW[how]
        if kind in _EARLY:
            self._commit(output, index, kind, value)
        else:
            self._held.append((output, index, kind, value))

    def answered(self, report: Report, at: float) -> None:
        """See Listener. Whoever waits for a plain action has its result then, whatever becomes of its container."""
        if self.run.graph.kind is not GraphKind.ACTION:
            return
        whole = next((value for name, _, _, value in self._held if name == WHOLE), None)
        body = report.body if report.body is not None or whole is None else whole.read()
        self._returned, self._answered = at, outcomes.judge(report, body, bounded=self._bounded)
        self.run.host.answered(self.run.activation_id, self._activation(self._answered))

    def returned(self, report: Report, at: float) -> None:
        """See Listener."""
        whole = next((value for name, _, _, value in self._held if name == WHOLE), None)
        judgement = self._judgement_of(report, whole)
        if judgement.outcome is Outcome.SUCCESS:
            if whole is None and report.body is not None and WHOLE in self.ear.wants(self.dispatch.step.name):
                head = Head(Media.JSON, len(report.body))
                made = self.run.put(head, report.body)
                self.went.add(made)
                self._held.append((WHOLE, 0, How.WHOLE, made))
            for held in self._held:
                self._commit(*held)
        else:
            for _, _, _, value in self._held:
                value.release()
        self._held = []
        counts = {name: (_HOW[how], count) for name, (how, count) in report.counts.items()}
        self._conclude(judgement, counts, at, report.clashes)

    def _judgement_of(self, report: Report, whole: Stored | None) -> Judgement:
        """Judge what was returned; a good result in the sink is left there, unread, until its record is made."""
        body = report.body
        if body is not None or whole is None or report.clashes:
            return outcomes.judge(report, body, bounded=self._bounded)
        if report.status == "ok" and self._bounded and whole.size_bytes < outcomes.PAYLOAD_BYTES:
            whole.retain()
            self._unread = whole
            self.run.reads.note(whole, report.characters)
            return Judgement(Outcome.SUCCESS, b"", None, report.characters)
        if report.status == "error" or self._bounded:
            body = whole.read()
        return outcomes.judge(report, body, bounded=self._bounded)

    def taken(self, name: str, count: int) -> None:
        """See Listener; the pool does the crediting."""

    def logs(self, lines: Sequence[str], truncated: bool) -> None:
        """See Listener."""
        self._lines = lines
        self._logged = True
        if self._judgement is not None and not self._keeps_open:
            self.record()
        if self._failed:
            self._failed = False
            self.run.attempt_over(self)

    def drained(self, at: float, refusal: str | None = None) -> None:
        """See Listener."""
        self._drained = at
        if self._judgement is not None and self._logged:
            self.record()
        self._post(Drained(self.dispatch.firing, self.dispatch.attempt, at, refusal))
        self.run.attempt_over(self)

    def failed(self, failure: Failure, detail: Any, began: bool, at: float) -> None:
        """See Listener."""
        for _, _, _, value in self._held:
            value.release()
        self._held = []
        firing, attempt = self.dispatch.firing, self.dispatch.attempt
        already = self._judgement is not None
        judgement = outcomes.failed(failure, detail, self.timeout_ms)
        if already:  # died after its function returned: what had not left by then is lost
            self._post(Lost(firing, attempt, True, at))
        elif failure in _LOST and (not began or self.run.retries_losses(self.dispatch.step)):
            self._judge(judgement, at)
            self._post(Lost(firing, attempt, began, at, judgement.outcome, _sentence(judgement)))
        else:
            self._conclude(self._answered or judgement, {}, at)
            self._post(Drained(firing, attempt, at))
        self._drained = at
        if self._logged:  # it had returned, and has told what it printed
            self.record()
            self.run.attempt_over(self)
        else:
            self._failed = True

    # -- record --------------------------------------------------------------------------------

    @property
    def timeout_ms(self) -> int:
        """The bound of this attempt, milliseconds."""
        bound_s = self.dispatch.step.timeout_s
        limit_ms = self.call.timeout_ms
        return limit_ms if bound_s is None else min(limit_ms, round(bound_s * 1000))

    @property
    def judgement(self) -> Judgement | None:
        """What the attempt came to, once it did."""
        return self._judgement

    @property
    def _bounded(self) -> bool:
        return self.run.graph.kind is not GraphKind.DATAFLOW

    @property
    def _keeps_open(self) -> bool:
        """Native records show when the outputs had left, so they wait for that; stock's do not."""
        return self.run.graph.kind is GraphKind.DATAFLOW and self._drained is None

    def _judge(self, judgement: Judgement, at: float) -> None:
        """Note what it came to; before the machine hears of it, for that may end the run, whose record adds up."""
        self._returned, self._judgement = at, judgement
        self.run.note_duration(self._duration_ms)

    def _conclude(
        self, judgement: Judgement, counts: dict[str, tuple[How, int]], at: float, clashes: tuple[str, ...] = ()
    ) -> None:
        self._judge(judgement, at)
        self.run.note_size(self.dispatch.firing, judgement.size)
        error: Stored | None = None
        if judgement.error is not None:
            error = self.run.put(Head(Media.JSON, len(judgement.error)), judgement.error)
        firing, attempt = self.dispatch.firing, self.dispatch.attempt
        self._post(Returned(firing, attempt, judgement.outcome, counts, error, at, clashes))

    def record(self) -> None:
        """Make the activation record, once."""
        judgement = self._judgement
        if judgement is None or self._recorded:
            return
        self._recorded = True
        self.run.firing_recorded(self._activation(judgement))

    def _activation(self, judgement: Judgement) -> Activation:
        run, call = self.run, self.call
        epoch_ms = run.host.clock.epoch_ms
        init_s = self._timing.init_s if self._timing is not None else None
        start_ms = round(epoch_ms(self._begun) - (init_s or 0.0) * 1000)
        duration_ms = self._duration_ms
        plain = run.graph.kind is GraphKind.ACTION
        annotations: list[dict[str, Any]] = []
        cause = run.spec.cause if plain else run.activation_id
        if cause is not None:
            annotations.append({"key": "causedBy", "value": "sequence"})
        binding = run.spec.binding if plain else call.binding
        if binding is not None:
            annotations.append({"key": "binding", "value": binding})
        annotations += [
            {"key": "path", "value": call.name},
            {"key": "waitTime", "value": max(0, round(start_ms - self._waits_since_ms()))},
            {"key": "kind", "value": call.kind},
            {"key": "timeout", "value": judgement.timed_out},
            {"key": "limits", "value": limits_json(call)},
        ]
        if init_s is not None:
            annotations.append({"key": "initTime", "value": round(init_s * 1000)})
        line = self.time_line()
        native = run.graph.kind is GraphKind.DATAFLOW
        if native:
            annotations.append({"key": "dataflow", "value": line})
        lines = list(self._lines)
        if judgement.outcome is Outcome.DEVELOPER_ERROR and call.logs_mb > 0:
            lines.append(run.host.clock.log_line(_MISSING_LOGS, "stderr"))
        result, place = self._content(judgement)
        return Activation(
            activation_id=self.activation_id,
            namespace=run.spec.user.namespace,
            name=call.name.rpartition("/")[2],
            subject=run.spec.user.subject,
            unstored=not run.spec.user.stores_activations,
            version=call.version,
            start_ms=start_ms,
            end_ms=start_ms + duration_ms,
            duration_ms=duration_ms,
            status=judgement.outcome.value,
            result=result,
            place=place,
            size=judgement.size,
            annotations=tuple(annotations),
            logs=tuple(lines),
            cause=cause,
            dataflow=None if native else line,
        )

    def _content(self, judgement: Judgement) -> tuple[bytes | None, str | None]:
        """Return the record's result, or its place in the store; lets go of what was left unread."""
        unread, self._unread = self._unread, None
        if unread is None:
            native = self.run.graph.kind is GraphKind.DATAFLOW
            return _kept_result(judgement) if native else judgement.result, None
        try:
            text, place = self.run.reads.content(unread)
        except OSError as error:
            text, place = outcomes.unreadable(error).result, None
        unread.release()
        return text if place is None else None, place

    @property
    def _begun(self) -> float:
        """When its function was entered, or, of one that never was, when that was known."""
        return self._timing.started if self._timing is not None else self._returned

    @property
    def _duration_ms(self) -> int:
        """Of initialisation and function, as its record says."""
        init_s = self._timing.init_s if self._timing is not None else None
        return max(0, round((self._returned - self._begun + (init_s or 0.0)) * 1000))

    def _waits_since_ms(self) -> float:
        """Of a plain action and of a first step: the arrival of the request; else the match."""
        run = self.run
        return run.spec.received_ms if run.graph.kind is GraphKind.ACTION else run.host.clock.epoch_ms(self.matched)

    def time_line(self) -> dict[str, Any]:
        """Return its instants (epoch milliseconds; None: not yet) and bytes by path: the annotation `dataflow`."""
        epoch_ms = self.run.host.clock.epoch_ms
        timing = self._timing
        host = {"host": f"invoker{self.job.host}"} if self.job.host >= 0 else {}
        return {
            **host,
            "step": self.dispatch.firing.step,
            "tag": list(self.dispatch.firing.tag),
            "attempt": self.dispatch.attempt,
            "matched": epoch_ms(self.matched),
            "queued": epoch_ms(timing.queued if timing is not None else self.matched),
            "started": epoch_ms(timing.started) if timing is not None else None,
            "returned": epoch_ms(self._returned) if self._judgement is not None else None,
            "drained": epoch_ms(self._drained) if self._drained is not None else None,
            "in": self.came.to_json(self.job.pulled_bytes),
            "out": self.went.to_json(),
            "warmth": self._warmth.value if self._warmth is not None else None,
            "container": self._container,
        }

    def _commit(self, output: str, index: int, how: How, value: Stored) -> None:
        firing, attempt = self.dispatch.firing, self.dispatch.attempt
        key = DataKey(firing.step, firing.tag, output, index)
        if value.elsewhere:
            self.run.elsewhere.note(key, value)
        self._post(Committed(key, attempt, how, value, self.run.host.clock.now(), value.elsewhere))

    def _post(self, event: Event) -> None:
        self.ear.post(event)


_LOST: Final = frozenset((Failure.RUN_DIED, Failure.OUT_OF_MEMORY))
"""Failures of a container, not of the function's logic."""


def limits_json(call: ActionCall) -> dict[str, int]:
    """Return the `limits` annotation of an action's record."""
    return {
        "timeout": call.timeout_ms,
        "memory": call.memory_mb,
        "logs": call.logs_mb,
        "concurrency": call.concurrency,
    }


def _sentence(judgement: Judgement) -> str:
    return str(json.loads(judgement.error or b'""'))


def _kept_result(judgement: Judgement) -> bytes:
    if len(judgement.result) <= RECORD_RESULT_BYTES:
        return judgement.result
    digest = hashlib.sha256(judgement.result).hexdigest()
    return json.dumps({"$bytes": len(judgement.result), "$digest": f"sha256-{digest}"}).encode()
