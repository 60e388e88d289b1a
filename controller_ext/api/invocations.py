"""Invocations: `POST …/actions/[PKG/]A`, blocking or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from flask import Blueprint, Response, g

from action_runtime.wire.errors import DataflowError
from controller_ext.api import bodies, errors, headers, queries, replies
from controller_ext.api.actions import name_of
from controller_ext.api.context import caller
from controller_ext.api.errors import UnsupportedMedia
from controller_ext.api.services import Services
from controller_ext.entities.catalog import ACTIVATE
from controller_ext.entities.errors import Refused
from controller_ext.entities.names import Name
from controller_ext.runs.plan import Plan
from controller_ext.runs.ports import Accepted, Ended, MessageTooLarge, NoInvoker, OnlyStock, Prepared, Throttled
from controller_ext.runs.repeats import Keyed
from controller_ext.workflow.errors import DefinitionError
from invoker_ext.contract.messages import Identity
from invoker_ext.contract.records import Activation

_HOLE: Final = b"\x00"
"""Stands for a result that is sent on its own; JSON text never holds this byte."""


def make(services: Services) -> Blueprint:
    """Return the routes."""
    blueprint = Blueprint("invocations", __name__)
    handlers = _Invocations(services)
    blueprint.post("/<name>")(handlers.invoke)
    blueprint.post("/<package>/<name>")(handlers.invoke)
    return blueprint


def start(services: Services, prepared: Prepared, wait_s: float | None, *, repeated: bool = False) -> Accepted | Ended:
    """Have an invocation run by data flow or control flow; waits and raises as `ports.Balancer.invoke`."""
    if prepared.composed is not None:
        return services.control_flow.run(prepared.composed, wait_s=wait_s)
    try:
        return services.balancer.invoke(prepared.message, prepared.needs, wait_s=wait_s, repeated=repeated)
    except OnlyStock:
        if prepared.fallback is None:
            raise
        return services.control_flow.run(prepared.fallback, wait_s=wait_s)


@dataclass(slots=True, frozen=True)
class _Asked:
    """An invocation as it was read: what to run, with what, and how to answer."""

    plan: Plan
    raw: bytes
    wait_s: float | None
    only_result: bool
    keyed: Keyed | None


class _Invocations:
    def __init__(self, services: Services) -> None:
        self._services = services
        limits = services.settings.limits
        self._plain_bytes = limits.request_bytes
        self._native_bytes = limits.workflow_bytes

    def invoke(self, namespace: str, name: str, package: str | None = None) -> Response:
        full = name_of(namespace, package, name)
        user = caller()
        try:
            asked = self._read(user, full)
            ready = self._earlier(asked) or self._prepare(asked, user)
        except (Refused, DefinitionError, UnsupportedMedia):
            # Stock throttles before it looks at the request: what is refused counts, and 429 comes first.
            self._services.balancer.charge(user)
            raise
        if isinstance(ready, Prepared):
            outcome = self._start(ready, asked)
            if isinstance(outcome, Ended) and ready.message.graph is None and ready.composed is None:
                outcome = Ended(outcome.activation.without_logs(), outcome.large)
        else:
            outcome = ready
        if isinstance(outcome, Ended):
            return self._ended(outcome, only_result=asked.only_result)
        return replies.accepted(outcome.activation_id)

    def _read(self, user: Identity, full: Name) -> _Asked:
        """Check an invocation in the order of stock's `Actions.scala`."""
        self._services.catalog.authorize(user, ACTIVATE, full)
        plan = self._plan(user, full)
        native = isinstance(plan, Plan) and plan.native
        allowed = self._native_bytes if native else self._plain_bytes
        bodies.check_announced(allowed)
        blocking = queries.flag("blocking")
        only_result = queries.flag("result")
        wait_s = queries.wait_s()
        raw = bodies.read(allowed)
        if not isinstance(plan, Plan):
            if raw:
                bodies.check_object(raw)
            raise plan
        key = headers.idempotency_key()
        keyed = None if key is None else Keyed.of(user.namespace, f"action {full}", key, raw)
        return _Asked(plan, raw, wait_s if blocking else None, only_result, keyed)

    def _prepare(self, asked: _Asked, user: Identity) -> Prepared:
        transid = [g.transid, self._services.now_ms()]
        blocking = asked.wait_s is not None
        return self._services.acceptor.prepare(asked.plan, user, asked.raw, transid=transid, blocking=blocking)

    def _earlier(self, asked: _Asked) -> Accepted | Ended | None:
        """Return what an earlier request with this key came to, if it has ended: nothing is made ready for it again."""
        keyed = asked.keyed
        first = None if keyed is None else self._services.repeats.earlier(keyed)
        ended = None if keyed is None or first is None else self._services.repeats.ended(keyed.namespace, first)
        if ended is not None and asked.wait_s is None:
            return Accepted(ended.activation.activation_id)
        return ended

    def _plan(self, user: Identity, full: Name) -> Plan | Refused | DefinitionError:
        """Return the plan, or why there is none: a malformed request is told of before a missing action."""
        try:
            return self._services.acceptor.plan(user, full)
        except (Refused, DefinitionError) as error:
            return error

    def _start(self, prepared: Prepared, asked: _Asked) -> Accepted | Ended:
        keyed = asked.keyed
        if keyed is None:
            return start(self._services, prepared, asked.wait_s)
        own = prepared.message.activation_id
        first = self._services.repeats.claim(keyed, own)
        if prepared.composed is None:
            return self._start_once(prepared, asked, keyed, first)
        if first != own:
            return self._services.repeats.wait(keyed.namespace, first, asked.wait_s)
        try:
            return start(self._services, prepared, asked.wait_s)
        except DataflowError:
            # Nothing runs, and no other worker could start it under this id.
            self._services.repeats.release(keyed, own)
            raise

    def _start_once(self, prepared: Prepared, asked: _Asked, keyed: Keyed, first: str) -> Accepted | Ended:
        """Start a run, or join the one that its key stands for."""
        own = prepared.message.activation_id
        if first != own:
            recorded = prepared.message.user.stores_activations
            if self._services.repeats.elsewhere(keyed, recorded=recorded):
                return self._services.repeats.follow(keyed, first, asked.wait_s)
            prepared = prepared.under(replace(prepared.message, activation_id=first))
        try:
            return start(self._services, prepared, asked.wait_s, repeated=first != own)
        except (Throttled, NoInvoker, MessageTooLarge):
            if first == own:
                self._services.repeats.refused(keyed, own)
            raise

    def _ended(self, outcome: Ended, *, only_result: bool) -> Response:
        activation = outcome.activation
        if outcome.large is not None:
            return self._streamed(activation, outcome.large, only_result=only_result)
        result = activation.result
        if result is not None and (only_result or result[:1] == b"["):
            body = result
        elif only_result:
            body = b"{}"
        else:
            body = activation.api_json()
        reply = replies.json_bytes(body, errors.status_of_record(activation.status))
        reply.headers[replies.ID_HEADER] = activation.activation_id
        return reply

    def _streamed(self, activation: Activation, large: tuple[str, str, int], *, only_result: bool) -> Response:
        """Answer with a result that is pulled from an invoker while it is sent: no copy of it is ever whole here."""
        door, name, size_bytes = large
        chunks = self._services.door.pull(door, name, size_bytes)
        first = next(chunks, b"")
        front, back = b"", b""
        if not only_result and first[:1] != b"[":
            front, _, back = replace(activation, result=_HOLE).api_json().partition(_HOLE)
        status = errors.status_of_record(activation.status)
        reply = Response(_around(front + first, chunks, back), status, content_type=replies.JSON_TYPE)
        reply.content_length = len(front) + size_bytes + len(back)
        reply.headers[replies.ID_HEADER] = activation.activation_id
        return reply


def _around(front: bytes, chunks: Iterator[bytes], back: bytes) -> Iterator[bytes]:
    yield front
    yield from chunks
    yield back
