"""The records of sequences and compositions that a controller runs. Pure.

Source: Apache OpenWhisk, `SequenceActions.scala`, `PrimitiveActions.scala`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from controller_ext.runs.ports import ConductorRun, SequenceRun
from invoker_ext.contract.records import Activation

_TIMEOUT_MS: Final = 60_000
_LOGS_MB: Final = 10


class Outcome(NamedTuple):
    """What something that ran came to; `size` as in its record."""

    status: int
    result: bytes | None
    size: int | None = None


@dataclass(slots=True)
class Tally:
    """What the components of one run add up to."""

    ids: list[str] = field(default_factory=list)
    duration_ms: int = 0
    memory_mb: int = 0

    def add(self, activation: Activation) -> None:
        """Count a component that has ended."""
        self.ids.append(activation.activation_id)
        self.duration_ms += activation.duration_ms or 0
        limits = activation.annotation("limits")
        if isinstance(limits, dict):
            self.memory_mb = max(self.memory_mb, int(limits.get("memory", 0)))


def record(run: SequenceRun | ConductorRun, outcome: Outcome, tally: Tally, start_ms: int, end_ms: int) -> Activation:
    """Return the record of a sequence or composition."""
    message = run.message
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
        annotations=tuple(_annotations(run, tally, start_ms)),
        logs=tuple(tally.ids),
        cause=message.cause,
    )


def _annotations(run: SequenceRun | ConductorRun, tally: Tally, start_ms: int) -> list[dict[str, Any]]:
    """Return them in the recorded order: a topmost run begins with `topmost`, a nested one ends with it."""
    message = run.message
    memory_mb: int | None = tally.memory_mb if tally.ids else None
    values: dict[str, Any] = {} if message.cause else {"topmost": True}
    values["path"] = message.action
    values["waitTime"] = max(0, start_ms - int(message.transid[1]))
    if isinstance(run, ConductorRun):
        values["conductor"] = True
        memory_mb = max(tally.memory_mb, run.needs.memory_mb)
    values["kind"] = "sequence"
    if memory_mb is not None:
        limits = {"timeout": _TIMEOUT_MS, "logs": _LOGS_MB, **run.limits}
        values["limits"] = {**limits, "memory": memory_mb, "concurrency": 1}
    if message.binding is not None:
        values["binding"] = message.binding
    if message.cause:
        values |= {"causedBy": "sequence", "topmost": False}
    return [{"key": key, "value": value} for key, value in values.items()]
