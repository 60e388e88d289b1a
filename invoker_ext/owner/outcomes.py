"""The one map from what a container did to OpenWhisk's status and result."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Final

from invoker_ext.containers.job import Failure, Report
from invoker_ext.dataflow.events import Outcome

_dumps: Final = json.JSONEncoder(ensure_ascii=False).encode
PAYLOAD_BYTES: Final = 1024 * 1024
"""Stock's bound of a result (`whisk.activation.payload.max`); plain actions and sequences."""


@dataclass(slots=True, frozen=True)
class Judgement:
    """What an attempt comes to.

    Attributes:
        outcome: OpenWhisk's status.
        result: JSON of the record's result.
        error: JSON of the `error` value alone, if there is one.
        size: Characters of the raw response, for the record; None: platform-made.
        timed_out: The record's `timeout` annotation.
        place: Where the store keeps the result; `result` is empty then.
    """

    outcome: Outcome
    result: bytes
    error: bytes | None = None
    size: int | None = None
    timed_out: bool = False
    place: str | None = None


def error_of(value: Any, outcome: Outcome, size: int | None = None, *, timed_out: bool = False) -> Judgement:
    """Return the judgement whose result is `{"error": value}`."""
    text = _dumps(value).encode()
    return Judgement(outcome, b'{"error":' + text + b"}", text, size, timed_out)


def unreadable(error: OSError) -> Judgement:
    """Judge a result that the spill disk does not give back."""
    return error_of(f"The result cannot be read back from the spill disk: {error}", Outcome.PLATFORM_ERROR)


def judge(report: Report, body: bytes | None, *, bounded: bool) -> Judgement:
    """Judge a function that returned.

    Args:
        report: What the container said.
        body: The result's JSON text, wherever it came from; None: it stayed in the container.
        bounded: Stock's bound of 1 MB holds (plain actions and sequences).
    """
    size = report.characters
    if bounded and report.clashes:
        # Of a step of a workflow the run's machine says so, and ends the run whoever handles failures of that step.
        text = f"the output '{report.clashes[0]}' was both emitted and returned; use two names"
        return error_of(text, Outcome.DEVELOPER_ERROR, size)
    match report.status:
        case "null":
            text = "The action did not produce a valid JSON or JSON Array response: null\n"
            return error_of(text, Outcome.DEVELOPER_ERROR, size)
        case "invalid" | "exited":
            return _developer(body, size)
        case _:
            pass
    if bounded and body is not None and len(body) + 1 > PAYLOAD_BYTES:
        return _too_long(body, size)
    if report.status == "error":
        return _application(body, size)
    if body is None:
        # A body that went to a consumer as a whole has no digest: computing one would cost more than moving it.
        digest = {} if report.digest is None else {"$digest": report.digest}
        kept = {**digest, "$characters": size}
        return Judgement(Outcome.SUCCESS, _dumps(kept).encode(), None, size)
    return Judgement(Outcome.SUCCESS, body, None, size)


def _application(body: bytes | None, size: int) -> Judgement:
    if body is None:
        return error_of("the error is too large to be kept", Outcome.APPLICATION_ERROR, size)
    try:
        value = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return _developer(body, size)  # a runtime that says `error` and sends none
    return error_of(value, Outcome.APPLICATION_ERROR, size)


def _developer(body: bytes | None, size: int) -> Judgement:
    try:
        value = json.loads(body or b"")["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        text = "The action did not produce a valid JSON or JSON Array response"
        value = f"{text}: {body.decode(errors='replace')}" if body else f"{text}."
    return error_of(value, Outcome.DEVELOPER_ERROR, size)


def _too_long(body: bytes, size: int) -> Judgement:
    """Cut as stock does: the first 1 MB of the raw response, whose closing newline counts."""
    kept = body[:PAYLOAD_BYTES].decode(errors="ignore")
    text = (
        f"The action produced a response that exceeded the allowed length: {len(body) + 1} > {PAYLOAD_BYTES} bytes. "
        f"The truncated response was: {kept}"
    )
    return error_of(text, Outcome.APPLICATION_ERROR, size)


_OF_IMAGES: Final = {
    Failure.IMAGE_NOT_PULLED: "Failed to pull container image '{}'.",
    Failure.NOTHING_TO_RUN: "executable file not found in image {}",
}


def failed(failure: Failure, detail: Any, timeout_ms: int) -> Judgement:
    """Judge an attempt that ended without a result.

    Args:
        failure: What happened.
        detail: The runtime's `error` value for INIT_FAILED, the image for IMAGE_NOT_PULLED and NOTHING_TO_RUN, a
            sentence for KIND_MISSING, NOT_STARTED and WRITE_REFUSED.
        timeout_ms: The bound that held.
    """
    developer = Outcome.DEVELOPER_ERROR
    match failure:
        case Failure.INIT_FAILED:
            return _said(detail, "The action failed during initialization.")
        case Failure.INIT_DIED:
            return _said(detail, "The action did not initialize and exited unexpectedly.")
        case Failure.INIT_TIMED_OUT:
            text = f"The action exceeded its time limits of {timeout_ms} milliseconds during initialization."
            return error_of(text, developer, timed_out=True)
        case Failure.RUN_TIMED_OUT:
            text = f"The action exceeded its time limits of {timeout_ms} milliseconds."
            return error_of(text, developer, timed_out=True)
        case Failure.RUN_DIED:
            return _said(detail, "The action did not produce a valid response and exited unexpectedly.")
        case Failure.OUT_OF_MEMORY:
            return error_of("The action exhausted its memory and was aborted.", developer)
        case Failure.IMAGE_NOT_PULLED | Failure.NOTHING_TO_RUN:
            return error_of(_OF_IMAGES[failure].format(detail), developer)
        case Failure.KIND_MISSING | Failure.WRITE_REFUSED:
            return error_of(detail, developer)
        case Failure.NOT_STARTED:
            return error_of(detail or "Failed to provision resources to run the action.", Outcome.PLATFORM_ERROR)


def _said(detail: Any, otherwise: str) -> Judgement:
    """Judge by the response of a proxy, whose size counts, or without one."""
    if detail is None:
        return error_of(otherwise, Outcome.DEVELOPER_ERROR)
    judgement = error_of(detail, Outcome.DEVELOPER_ERROR)
    return replace(judgement, size=len(judgement.result.decode()) + 1)
