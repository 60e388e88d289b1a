"""The activation record of a run, and of an activation that never came to run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from invoker_ext.contract.graph import ActionCall, Graph, GraphKind
from invoker_ext.contract.messages import ActivationMessage, Identity
from invoker_ext.contract.records import Activation
from invoker_ext.dataflow.commands import Dispatch
from invoker_ext.dataflow.events import Outcome
from invoker_ext.dataflow.regions.threads import Account
from invoker_ext.owner.named import Naming
from invoker_ext.owner.outcomes import Judgement

if TYPE_CHECKING:
    from invoker_ext.owner.attempt import Attempt


@dataclass(slots=True, kw_only=True)
class RunSpec:
    """What a run is told at its start.

    Attributes:
        activation_id: Its id.
        path: `namespace/[package/]name` of what was invoked.
        received_ms: Epoch milliseconds at which the controller got the request.
        cause: Activation id of the enclosing run.
        init_args: Names of parameters for init (plain actions).
        result_bytes: Bound of the result; None: it goes to another run, or stock's bound has held for each firing.
        epoch: Grows with every owner this run is given to.
        account: What a composition may use up, if it shares that with the one around it.
        door: Of the controller that compiles what is named by data; None: there is none to ask.
        level: How many runs are around it.
        naming: What all that is inside the outermost one may still name.
    """

    activation_id: str
    path: str
    version: str
    binding: str | None
    user: Identity
    transid: list[Any]
    controller: str
    received_ms: float
    cause: str | None = None
    init_args: tuple[str, ...] = ()
    result_bytes: int | None = None
    epoch: int = 0
    account: Account | None = None
    door: str | None = None
    level: int = 0
    naming: Naming = field(default_factory=Naming)


LOG_CHARS: Final = 16 * 1024
"""Of all inline functions of a run."""


@dataclass(slots=True)
class Tally:
    """What the firings of a run add up to.

    Attributes:
        ids: Activation ids of the direct components, in order of dispatch.
        duration_ms: Sum of theirs.
        memory_mb: Largest memory limit among them.
        bytes_in, bytes_out: Data read and made.
        log: What inline functions wrote and threw; its first LOG_CHARS.
    """

    ids: list[str] = field(default_factory=list)
    duration_ms: int = 0
    memory_mb: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    log: str = ""

    def add_log(self, text: str) -> None:
        """Keep what an inline function wrote, as far as there is room."""
        self.log += text[: LOG_CHARS - len(self.log)]

    def add_flow(self, attempt: Attempt) -> None:
        """Count the data of one firing."""
        self.bytes_in += attempt.came.bytes
        self.bytes_out += attempt.went.bytes

    def add_bytes(self, inner: Tally) -> None:
        """Count the data of a run inside."""
        self.bytes_in += inner.bytes_in
        self.bytes_out += inner.bytes_out


_KINDS: Final = {
    GraphKind.ACTION: "unknown",
    GraphKind.SEQUENCE: "sequence",
    GraphKind.COMPOSITION: "sequence",
    GraphKind.DATAFLOW: "dataflow:1",
}
"""The annotation `kind` of a run's record."""


def run_record(
    spec: RunSpec, graph: Graph, judgement: Judgement, tally: Tally, accepted_ms: float, ended_ms: float
) -> Activation:
    """Return the record of a run of several firings.

    Args:
        spec: What was invoked.
        graph: What ran.
        judgement: What it came to.
        tally: What its firings add up to.
        accepted_ms: Epoch milliseconds.
        ended_ms: Epoch milliseconds.
    """
    start_ms, end_ms = round(accepted_ms), round(ended_ms)
    native = graph.kind is GraphKind.DATAFLOW
    # In the recorded order: an outermost run begins with `topmost`, a nested one ends with it.
    notes: dict[str, Any] = {} if spec.cause is not None else {"topmost": True}
    notes["path"] = spec.path
    notes["waitTime"] = max(0, round(start_ms - spec.received_ms))
    composed = graph.kind is GraphKind.COMPOSITION
    if composed:
        notes["conductor"] = True
    notes["kind"] = _KINDS[graph.kind]
    if tally.ids or composed:
        notes["limits"] = {
            "timeout": graph.limits.timeout_ms,
            "memory": max(tally.memory_mb, graph.limits.memory_mb),
            "logs": graph.limits.logs_mb,
            "concurrency": 1,
        }
    if spec.binding is not None:
        notes["binding"] = spec.binding
    if spec.cause is not None:
        notes |= {"causedBy": "sequence", "topmost": False}
    if tally.log:
        notes["functionLog"] = tally.log
    line = {
        "firings": len(tally.ids),
        "accepted": accepted_ms,
        "ended": ended_ms,
        "in": tally.bytes_in,
        "out": tally.bytes_out,
    }
    if native:
        notes["dataflow"] = line
    return Activation(
        activation_id=spec.activation_id,
        namespace=spec.user.namespace,
        name=spec.path.rpartition("/")[2],
        subject=spec.user.subject,
        unstored=not spec.user.stores_activations,
        version=spec.version,
        start_ms=start_ms,
        end_ms=end_ms,
        duration_ms=end_ms - start_ms if native else tally.duration_ms,
        status=judgement.outcome.value,
        result=judgement.result if judgement.place is None else None,
        place=judgement.place,
        size=judgement.size,
        annotations=tuple({"key": key, "value": value} for key, value in notes.items()),
        logs=tuple(tally.ids),
        cause=spec.cause,
        dataflow=None if native else line,
    )


def refusal_record(message: ActivationMessage, result: bytes, status: Outcome, now_ms: int) -> Activation:
    """Return stock's fallback record, of an activation that nothing was executed for."""
    return _fallback(
        activation_id=message.activation_id,
        user=message.user,
        action=(message.action, message.version, "unknown" if message.graph is None else "sequence"),
        cause=message.cause,
        response=(status, result),
        now_ms=now_ms,
    )


def refused_firing(spec: RunSpec, graph: Graph, command: Dispatch, judgement: Judgement, at_ms: float) -> Activation:
    """Return the same of a firing.

    Args:
        spec: Of its run.
        graph: Of its run.
        command: That dispatched it; its step runs an action.
        judgement: What it comes to.
        at_ms: Epoch milliseconds.
    """
    call, firing = command.step.call, command.firing
    assert isinstance(call, ActionCall)
    line: dict[str, Any] = {
        "step": firing.step,
        "tag": list(firing.tag),
        "attempt": command.attempt,
        **dict.fromkeys(("matched", "queued", "returned", "drained"), at_ms),
    }
    record = _fallback(
        activation_id=os.urandom(16).hex(),
        user=spec.user,
        action=(call.name, call.version, "unknown"),
        cause=spec.activation_id,
        response=(judgement.outcome, judgement.result),
        now_ms=round(at_ms),
    )
    if graph.kind is not GraphKind.DATAFLOW:
        return replace(record, dataflow=line)
    return replace(record, annotations=(*record.annotations, {"key": "dataflow", "value": line}))


def _fallback(
    *,
    activation_id: str,
    user: Identity,
    action: tuple[str, str, str],
    cause: str | None,
    response: tuple[Outcome, bytes],
    now_ms: int,
) -> Activation:
    """Return the record; `action` is path, version and kind, `response` status and result."""
    path, version, kind = action
    annotations: list[dict[str, Any]] = [{"key": "path", "value": path}, {"key": "kind", "value": kind}]
    if cause is not None:
        annotations.append({"key": "causedBy", "value": "sequence"})
    status, result = response
    return Activation(
        activation_id=activation_id,
        namespace=user.namespace,
        name=path.rpartition("/")[2],
        subject=user.subject,
        unstored=not user.stores_activations,
        version=version,
        start_ms=now_ms,
        end_ms=now_ms,
        duration_ms=0,
        status=status.value,
        result=result,
        annotations=tuple(annotations),
        cause=cause,
    )
