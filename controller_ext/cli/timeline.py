"""The time line of a run: what its activation records say, as a model that can be drawn or printed. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

ANNOTATION: Final = "dataflow"
STATUSES: Final = ("success", "application error", "action developer error", "whisk internal error")
"""By OpenWhisk's status code."""
RUNNING: Final = "running"


class Phase(Enum):
    """What a firing is at between two of its instants, in order of time."""

    CONTAINER = "waits for a container"
    """matched (all inputs there) → started"""
    FUNCTION = "function runs"
    """started → returned: the function logic unit is busy."""
    LEAVING = "data leave"
    """returned → drained: the data logic unit still sends, the container may run its next firing."""


@dataclass(slots=True, frozen=True)
class Span:
    """One phase of one firing; instants in epoch milliseconds."""

    phase: Phase
    begin_ms: float
    end_ms: float


@dataclass(slots=True, frozen=True, kw_only=True)
class Firing:
    """One execution of a step.

    Attributes:
        activation_id: Of its record.
        step: Its step, or its action's name where the record names no step.
        tag: Indices of the items it belongs to, outermost first.
        attempt: Counts from 1.
        status: `success`, one of OpenWhisk's error statuses, or `running`.
        warmth: `cold`, `prewarm` or `warm`; empty: not known.
        container: Which one ran it; empty: not known.
        host: `invoker1`, where runs reach over several; else empty.
        matched_ms: When its last input was there; this instant and the next ones in epoch milliseconds, None: not yet,
            or not known.
        queued_ms: When the pool was asked for a container.
        started_ms, returned_ms: Of the function.
        drained_ms: When its last output had left.
        bytes_in, bytes_out: Bytes by path (`inline`, `memory`, `disk`, `peer`: from another host).
        error: What went wrong; empty: nothing, or not known.
    """

    activation_id: str
    step: str
    tag: tuple[int, ...] = ()
    attempt: int = 1
    status: str = "success"
    warmth: str = ""
    container: str = ""
    host: str = ""
    queued_ms: float | None = None
    matched_ms: float | None = None
    started_ms: float | None = None
    returned_ms: float | None = None
    drained_ms: float | None = None
    bytes_in: Mapping[str, int] = field(default_factory=dict)
    bytes_out: Mapping[str, int] = field(default_factory=dict)
    error: str = ""

    @property
    def label(self) -> str:
        """`step[0,2]`, with the attempt if it is not the first."""
        tag = f"[{','.join(map(str, self.tag))}]" if self.tag else ""
        return f"{self.step}{tag}" + (f" #{self.attempt}" if self.attempt > 1 else "")

    @property
    def function_ms(self) -> float | None:
        """How long the function ran."""
        if self.started_ms is None or self.returned_ms is None:
            return None
        return self.returned_ms - self.started_ms

    def spans(self, now_ms: float) -> tuple[Span, ...]:
        """Return its phases so far, in order and without gaps.

        Args:
            now_ms: Where the phase ends that still lasts.
        """
        marks = (
            (Phase.CONTAINER, self.matched_ms if self.matched_ms is not None else self.queued_ms, self.started_ms),
            (Phase.FUNCTION, self.started_ms, self.returned_ms),
            (Phase.LEAVING, self.returned_ms, self.drained_ms),
        )
        spans = []
        for phase, begin_ms, end_ms in marks:
            if begin_ms is None:
                continue
            if end_ms is None and self.status != RUNNING:
                continue
            spans.append(Span(phase, begin_ms, max(begin_ms, now_ms if end_ms is None else end_ms)))
            if end_ms is None:
                break
        return tuple(spans)


@dataclass(slots=True, frozen=True, kw_only=True)
class Timeline:
    """A run and its firings.

    Attributes:
        activation_id: Of the run.
        name: Of what was invoked.
        kind: `dataflow:1`, `sequence` or a runtime's kind.
        status: As for a firing.
        accepted_ms: When the run was accepted, as far as it is known.
        ended_ms: When it ended; None: it has not.
        seen_ms: When a run that goes on was looked at: so far lasts what has not ended.
        firings: By start, those that wait at the end.
        missing: How many firings have no record (yet).
        error: What the run ended with; empty: no error, or not known.
    """

    activation_id: str
    name: str
    kind: str
    status: str
    accepted_ms: float
    ended_ms: float | None
    seen_ms: float | None = None
    firings: tuple[Firing, ...]
    missing: int = 0
    error: str = ""

    @property
    def failed(self) -> Firing | None:
        """The first firing whose end was an error, None if there is none."""
        ends = (one for one in self.firings if one.status not in ("success", RUNNING))
        return min(ends, key=lambda one: one.returned_ms or math.inf, default=None)

    @property
    def repeated(self) -> int:
        """How many of the lines are further attempts of a firing that has a line already."""
        first: dict[tuple[str, tuple[int, ...]], int] = {}
        for one in self.firings:
            key = one.step, one.tag
            first[key] = min(one.attempt, first.get(key, one.attempt))
        return sum(one.attempt > first[one.step, one.tag] for one in self.firings)

    @property
    def begin_ms(self) -> float:
        """The first instant of all."""
        return min([self.accepted_ms, *(span.begin_ms for span in self._spans())])

    @property
    def end_ms(self) -> float:
        """The last instant of all; data may leave after the run has ended."""
        return max([self._now_ms, *(span.end_ms for span in self._spans())])

    @property
    def bytes_in(self) -> dict[str, int]:
        """Bytes that the firings got, by path."""
        return total(firing.bytes_in for firing in self.firings)

    @property
    def bytes_out(self) -> dict[str, int]:
        """Bytes that the firings produced, by path."""
        return total(firing.bytes_out for firing in self.firings)

    def _spans(self) -> list[Span]:
        return [span for firing in self.firings for span in firing.spans(self._now_ms)]

    @property
    def _now_ms(self) -> float:
        return self.ended_ms or self.seen_ms or self.accepted_ms

    def to_json(self) -> dict[str, Any]:
        """Return the form that `trace --format json` prints: instants in epoch milliseconds."""
        return {
            "activationId": self.activation_id,
            "name": self.name,
            "kind": self.kind,
            "status": self.status,
            "accepted": self.accepted_ms,
            "ended": self.ended_ms,
            "in": self.bytes_in,
            "out": self.bytes_out,
            "missing": self.missing,
            "error": self.error,
            "firings": [_firing_to_json(firing) for firing in self.firings],
        }


def total(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add up bytes by path."""
    sums: dict[str, int] = {}
    for part in parts:
        for path, count in part.items():
            sums[path] = sums.get(path, 0) + count
    return sums


def firing_ids(run: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the activation ids of a run's firings: its own if it is a plain action."""
    if annotation(run, "kind") in ("sequence", "dataflow:1"):
        return tuple(run["logs"])
    return (run["activationId"],)


def from_trace(document: Mapping[str, Any]) -> Timeline:
    """Build the time line of a run.

    Args:
        document: `{"activationId", "run", "firings"[, "live"]}` as the API's route `trace` answers: records of the run
            (None while it runs) and of its firings, as far as they are there, and what runs now. A record may be whole
            or the item of a list. One without a time line (stock control flow) is drawn by its start and end.
    """
    run, live = document["run"], document.get("live") or {}
    lines = [_firing(record) for record in document["firings"]]
    lines += [
        from_spans(one, step=one.get("step", ""), status=RUNNING)
        for one in live.get("live", ())
        if one.get("activationId") not in {line.activation_id for line in lines}
    ]
    lines.sort(key=_by_start)
    if run is None:
        run = _under_way(live, lines)
    spans = _spans_of(run) or {}
    ended = "end" in run
    return Timeline(
        activation_id=document["activationId"],
        name=run["name"],
        kind=str(annotation(run, "kind") or ""),
        status=_status(run),
        accepted_ms=float(spans.get("accepted", run["start"])),
        ended_ms=float(spans.get("ended", run["end"])) if ended else None,
        seen_ms=live.get("now"),
        firings=tuple(lines),
        missing=max(0, spans.get("firings", 0) - len(lines)),
        error=_error(run),
    )


def _under_way(live: Mapping[str, Any], lines: Iterable[Firing]) -> dict[str, Any]:
    """Return what stands for the record of a run that has none yet."""
    instants = [at for line in lines for at in (line.matched_ms, line.started_ms) if at is not None]
    start_ms = live.get("accepted") or min(instants, default=0.0)
    kind = {"key": "kind", "value": live.get("kind", "")}
    return {"name": live.get("name", "run"), "annotations": (kind,), "start": start_ms}


def annotation(record: Mapping[str, Any], key: str) -> Any:
    """Return the value of a record's annotation, or None."""
    return next((one["value"] for one in record["annotations"] if one["key"] == key), None)


def from_spans(spans: Mapping[str, Any], *, step: str, activation_id: str = "", status: str = "success") -> Firing:
    """Read the `dataflow` annotation of a firing.

    Args:
        spans: The annotation's value; what is not yet known is absent or null.
        step: Its name where the annotation has none.
        activation_id: Of its record, where the annotation has none.
        status: Of its record.
    """
    return Firing(
        activation_id=spans.get("activationId") or activation_id,
        step=spans.get("step") or step,
        tag=tuple(spans.get("tag", ())),
        attempt=spans.get("attempt", 1),
        status=status,
        warmth=spans.get("warmth") or "",
        container=spans.get("container") or "",
        host=spans.get("host") or "",
        queued_ms=spans.get("queued"),
        matched_ms=spans.get("matched"),
        started_ms=spans.get("started"),
        returned_ms=spans.get("returned"),
        drained_ms=spans.get("drained"),
        bytes_in=spans.get("in") or {},
        bytes_out=spans.get("out") or {},
    )


def _spans_of(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = record.get(ANNOTATION) or annotation(record, ANNOTATION)
    # The annotation `dataflow: false` of a sequence is a wish, not a time line.
    return found if isinstance(found, Mapping) else None


def _status(record: Mapping[str, Any]) -> str:
    if "response" in record:
        return str(record["response"]["status"])
    return STATUSES[record["statusCode"]] if "statusCode" in record else RUNNING


def _error(record: Mapping[str, Any]) -> str:
    """Return what a record ended with: the API's trace names it, of a whole record it is in the result."""
    error = record.get("error")
    if error is None and _status(record) not in ("success", RUNNING):
        result = record.get("response", {}).get("result")
        error = result.get("error") if isinstance(result, Mapping) else None
    return error if isinstance(error, str) else "" if error is None else json.dumps(error, ensure_ascii=False)


def _firing(record: Mapping[str, Any]) -> Firing:
    status, name, activation_id = _status(record), record["name"], record["activationId"]
    spans = _spans_of(record)
    # A run inside this one has a time line of its own, which is not that of a firing.
    if spans and "firings" not in spans:
        line = from_spans(spans, step=name, activation_id=activation_id, status=status)
        return replace(line, error=_error(record))
    begin_ms = float(record["start"])
    end_ms = float(record.get("end", begin_ms))
    wait_ms = float(annotation(record, "waitTime") or 0)
    return Firing(
        activation_id=activation_id,
        step=name,
        status=status,
        warmth="cold" if annotation(record, "initTime") is not None else "warm",
        matched_ms=begin_ms - wait_ms,
        started_ms=begin_ms,
        returned_ms=end_ms,
        drained_ms=end_ms,
        error=_error(record),
    )


def _by_start(firing: Firing) -> tuple[float, str, tuple[int, ...], int]:
    start_ms = firing.started_ms if firing.started_ms is not None else float("inf")
    return start_ms, firing.step, firing.tag, firing.attempt


def _firing_to_json(firing: Firing) -> dict[str, Any]:
    return {
        "activationId": firing.activation_id,
        "step": firing.step,
        "tag": list(firing.tag),
        "attempt": firing.attempt,
        "status": firing.status,
        "warmth": firing.warmth,
        "container": firing.container,
        "host": firing.host,
        "queued": firing.queued_ms,
        "matched": firing.matched_ms,
        "started": firing.started_ms,
        "returned": firing.returned_ms,
        "drained": firing.drained_ms,
        "in": dict(firing.bytes_in),
        "out": dict(firing.bytes_out),
        "error": firing.error,
    }
