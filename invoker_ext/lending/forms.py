"""Jobs, values and reports as control messages. Pure.

A value is an object: the head of a datum (`t`, `n`, …) with `at`, its offset in the payload, or with `host` and `name`,
a ref; a constant, which is JSON text, has `k` besides. A list is a list; `chunks` are the parts of one value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from action_runtime.wire.errors import ProtocolViolation
from action_runtime.wire.values import Head, Media
from invoker_ext.containers.job import Job, Report
from invoker_ext.contract.graph import ActionCall, call_from_json, call_to_json
from invoker_ext.contract.messages import Identity
from invoker_ext.dataflow.commands import STREAMED, Bound, Chunks, Constant, Streamed, Value
from invoker_ext.peers.ref import Ref
from invoker_ext.relay.layout import joined
from invoker_ext.sink.datum import Stored


def job_form(job: Job) -> dict[str, Any]:
    """Return what a peer is told of a job, but for its inputs and its code, which it reads from the store itself."""
    return {
        "call": call_to_json(replace(job.call, parameters="{}")),
        "user": job.user.to_json(),
        "id": job.activation_id,
        "env": job.env,
        "init": job.init_env,
        "wants": dict(job.wants),
        "plain": job.plain,
        "timeout": job.timeout_s,
    }


def call_of(form: Mapping[str, Any]) -> ActionCall:
    """Return which action a job calls; raises ProtocolViolation."""
    try:
        call = call_from_json(form["call"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProtocolViolation(f"a lent job calls nothing: {error!r}") from error
    if not isinstance(call, ActionCall):
        raise ProtocolViolation("a lent job calls no action")
    return call


def user_of(form: Mapping[str, Any]) -> Identity:
    """Return on whose behalf a job is done; raises ProtocolViolation."""
    try:
        return Identity.from_json(form["user"])
    except (AttributeError, KeyError, TypeError) as error:
        raise ProtocolViolation(f"a lent job has no user: {error!r}") from error


class Packed:
    """Inputs on their way out.

    Attributes:
        parts: Of the payload, in order.
        size_bytes: Of the payload.
    """

    def __init__(self, ref_of: Callable[[Stored], Ref]) -> None:
        """Start empty.

        Args:
            ref_of: Says where a datum is; it is called for what is not inline.
        """
        self.parts: list[bytes] = []
        self.size_bytes = 0
        self._ref_of = ref_of

    def inputs(self, inputs: Sequence[Bound]) -> list[list[Any]]:
        """Return inputs as `[name, value]`, in order."""
        return [[bound.name, self._value(bound.value)] for bound in inputs]

    def stored(self, stored: Stored) -> dict[str, Any]:
        """Return one datum."""
        if stored.inline is not None:
            return self._place(stored.head.to_meta(), stored.inline)
        return self._ref_of(stored).to_meta()

    def _value(self, value: Value) -> Any:
        if isinstance(value, tuple):
            text = joined(value)
            if text is not None:  # many small values are one
                return self._place({"t": Media.JSON.value, "n": len(text), "k": True}, text)
            return [self._value(one) for one in value]
        if isinstance(value, Constant):
            text = value.json.encode()
            return self._place({"t": Media.JSON.value, "n": len(text), "k": True}, text)
        if isinstance(value, Chunks):
            return {"chunks": [self.stored(cast("Stored", part)) for part in value.parts]}
        if isinstance(value, Streamed):
            return {"stream": True}
        return self.stored(cast("Stored", value))

    def _place(self, meta: dict[str, Any], data: bytes) -> dict[str, Any]:
        meta["at"] = self.size_bytes
        self.parts.append(data)
        self.size_bytes += len(data)
        return meta


def refs_of(form: Any) -> dict[str, Ref]:
    """Return all refs in a value, or in inputs, by name; raises ProtocolViolation."""
    found: dict[str, Ref] = {}
    rest = [form]
    while rest:
        one = rest.pop()
        if isinstance(one, list):
            rest.extend(one)
        elif isinstance(one, dict) and "chunks" in one:
            rest.append(one["chunks"])
        elif isinstance(one, dict) and "host" in one:
            ref = Ref.from_meta(one)
            found[ref.name] = ref
    return found


class Unpacked:
    """Inputs that came.

    Attributes:
        made: What was made of the payload; whoever asked owns one reference to each.
    """

    def __init__(self, payload: bytes, put: Callable[[Head, bytes], Stored], here: Mapping[str, Stored]) -> None:
        """Take what came.

        Args:
            payload: Of the message.
            put: Holds bytes in the sink.
            here: What the refs name.
        """
        self.made: list[Stored] = []
        self._payload = payload
        self._put = put
        self._here = here

    def inputs(self, form: Any) -> list[Bound]:
        """Read inputs; raises ProtocolViolation."""
        try:
            return [Bound(name, self._value(value)) for name, value in form]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ProtocolViolation(f"inputs of a lent job are malformed: {error!r}") from error

    def stored(self, form: dict[str, Any]) -> Stored:
        """Read one datum; raises ProtocolViolation or KeyError."""
        if "at" not in form:
            return self._here[form["name"]]
        head = Head.from_meta(form)
        made = self._put(head, self._bytes(form, head))
        self.made.append(made)
        return made

    def _value(self, form: Any) -> Value:
        if isinstance(form, list):
            return tuple(self._value(one) for one in form)
        if "stream" in form:
            return STREAMED
        if "chunks" in form:
            return Chunks(tuple(self.stored(part) for part in form["chunks"]))
        if "k" in form:
            return Constant(self._bytes(form, Head.from_meta(form)).decode())
        return self.stored(form)

    def _bytes(self, form: dict[str, Any], head: Head) -> bytes:
        at = form["at"]
        data = self._payload[at : at + head.size_bytes]
        if type(at) is not int or at < 0 or len(data) != head.size_bytes:
            raise ValueError("a value lies outside of its message")
        return bytes(data)


def report_form(report: Report) -> dict[str, Any]:
    """Return what an owner is told of a return; the body, if there is one, is the payload."""
    return {
        "status": report.status,
        "characters": report.characters,
        "counts": {name: list(count) for name, count in report.counts.items()},
        "body": report.body is not None,
        "digest": report.digest,
        "clashes": list(report.clashes),
    }


def report_of(form: Mapping[str, Any], payload: bytes) -> Report:
    """Read it; raises ProtocolViolation."""
    try:
        return Report(
            status=str(form["status"]),
            characters=int(form["characters"]),
            counts={name: (str(how), int(count)) for name, (how, count) in form["counts"].items()},
            body=payload if form["body"] else None,
            digest=form["digest"],
            clashes=tuple(form["clashes"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProtocolViolation(f"the report of a lent job is malformed: {error!r}") from error
