"""From an invocation to the message that asks an invoker for it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from controller_ext import json_text
from controller_ext.entities.catalog import ACTIVATE, Catalog
from controller_ext.entities.errors import Forbidden, NotFound, ParametersNotAllowed, TooLarge, WrongCollection
from controller_ext.entities.limits import SystemLimits
from controller_ext.entities.names import Name
from controller_ext.entities.runtimes import Manifest
from controller_ext.runs.conductor import boxed
from controller_ext.runs.plan import Plan, Planner
from controller_ext.runs.ports import ConductorRun, Gap, Prepared, SequenceRun, Spooler
from invoker_ext.contract.messages import ActivationMessage, Identity, Spool

INLINE_BYTES: Final = 512 << 10
"""Parameters of a native workflow above it travel as a spool: a message of the bus stays small."""
BROKER_INLINE_BYTES: Final = 64 << 10
"""The same of any run on Kafka, as of results: a broker takes each message in, writes it, and sends it on."""
WEB_RESULT_BYTES: Final = 8 << 20
"""Bound of what a web action may result in: it is made an HTTP response in the memory of a worker."""


class Acceptor:
    """Turns invocations into messages.

    Args:
        catalog: Where entities are.
        manifest: Which kinds there are.
        limits: The system's.
        spooler: Takes large parameters.
        controller: Instance name, whose topic gets the acknowledgement.
        broker: Messages go through Kafka, and those who get them reach our door.
    """

    def __init__(
        self,
        catalog: Catalog,
        manifest: Manifest,
        limits: SystemLimits,
        spooler: Spooler,
        controller: str = "0",
        *,
        broker: bool = False,
    ) -> None:
        self._catalog = catalog
        self._planner = Planner(catalog, manifest, limits)
        self._spooler = spooler
        self._workflow_bytes = limits.workflow_bytes
        self._request_bytes = limits.request_bytes
        self._controller = controller
        self._broker = broker
        self._inline_bytes = BROKER_INLINE_BYTES if broker else INLINE_BYTES

    def plan(self, user: Identity, name: Name) -> Plan:
        """Return how to invoke an action; raises as `Planner.plan`."""
        return self._planner.plan(user, name)

    def prepare(self, plan: Plan, user: Identity, raw: bytes, *, transid: list[Any], blocking: bool) -> Prepared:
        """Return the message for an invocation by a client.

        Args:
            plan: How to invoke it.
            user: Who does.
            raw: The body of the request; empty: no arguments.
            transid: `[id, start ms]`.
            blocking: Whether somebody waits.

        Raises:
            Malformed: The body is no JSON object.
            ParametersNotAllowed: It gives a final parameter.
            StoreUnavailable: Large parameters cannot be spooled.
        """
        if plan.native and len(raw) > self._inline_bytes:
            members = json_text.split(raw)
            _check_final(plan, members)
            spool = self._spooler.put({**plan.defaults, **members})
            return self._prepared(plan, user, None, transid=transid, blocking=blocking, spool=spool)
        names = json_text.names_in(raw) if raw else ()
        _check_final(plan, names)
        content = json_text.merge(plan.defaults, plan.joined, raw, names)
        return self._prepared(plan, user, content, transid=transid, blocking=blocking)

    def prepare_web(self, plan: Plan, owner: Identity, content: bytes, *, transid: list[Any]) -> Prepared:
        """Return the message for a request of a web action.

        Args:
            plan: How to invoke it.
            owner: Of its namespace, to whom the activation belongs.
            content: All its arguments, checked, over its parameters.
            transid: `[id, start ms]`.

        Raises:
            StoreUnavailable: Large parameters of a native workflow cannot be spooled.
        """
        spool = None
        if plan.native and len(content) > self._inline_bytes:
            spool = self._spooler.put(json_text.split(content))
        prepared = self._prepared(plan, owner, None if spool else content, transid=transid, blocking=True, spool=spool)
        if not plan.adds_up:
            return prepared
        bound = min(self._workflow_bytes, WEB_RESULT_BYTES)
        return replace(prepared, message=replace(prepared.message, result_bytes=bound))

    def posted(self, name: Name, user: Identity, content: bytes, *, transid: list[Any]) -> Prepared:
        """Return the message for an invocation that a fired trigger makes as its user would by a request.

        Args:
            name: Of the action.
            user: Who fired.
            content: A JSON object.
            transid: `[id, start ms]`.

        Raises:
            Refused: As that request would be; which ones, say `plan`, `prepare` and `Catalog.authorize`.
            TooLarge: The content is above the bound of that request.
            DefinitionError: The workflow cannot be compiled (any more).
            StoreUnavailable: Large parameters cannot be spooled.
        """
        self._catalog.authorize(user, ACTIVATE, name)
        plan = self.plan(user, name)
        allowed = self._workflow_bytes if plan.native else self._request_bytes
        if len(content) > allowed:
            raise TooLarge("Request", len(content), allowed)
        return self.prepare(plan, user, content, transid=transid, blocking=False)

    def component(
        self, name: str, content: bytes | None, parent: ActivationMessage, *, stepwise: bool
    ) -> Prepared | Gap:
        """Return the message for a component of something that runs by control flow. See `ports.Prepare`.

        As in stock, final parameters of a component may be given.

        Args:
            name: `namespace/[package/]name`.
            content: What it gets: an object or an array as JSON; None: nothing.
            parent: The message of the whole.
            stepwise: A sequence runs by control flow, whatever it says.

        Returns:
            A gap if there is no such action any more, or it is out of the user's reach by now.

        Raises:
            Rejected: Its runtime is deprecated.
            Malformed: The content is no object or array.
            KindForbidden: The user must not use its runtime.
            Forbidden: It is a sequence that has a component out of reach.
            DefinitionError: It is a workflow that cannot be compiled (any more).
        """
        full = Name.split(name)
        try:
            self._catalog.authorize(parent.user, ACTIVATE, full)
        except (Forbidden, NotFound, WrongCollection):
            return Gap.OUT_OF_REACH  # whether a foreign action exists is nobody else's business
        try:
            plan = self._planner.plan(parent.user, full, stepwise=stepwise)
        except (NotFound, WrongCollection):
            return Gap.ABSENT
        raw = content or b""
        if plan.conductor and raw:
            raw = boxed(raw, "value")
        if not raw.lstrip().startswith(b"["):
            names = json_text.names_in(raw) if raw else ()
            raw = json_text.merge(plan.defaults, plan.joined, raw, names)
        transid = [parent.transid[0], int(time.time() * 1000), parent.transid]
        prepared = self._prepared(plan, parent.user, raw, transid=transid, blocking=True)
        # What it results in is posted to the next one: the bound of a request is that of its result, too.
        bound = self._request_bytes if plan.adds_up else None
        return prepared.under(replace(prepared.message, cause=parent.activation_id, result_bytes=bound))

    def _prepared(
        self,
        plan: Plan,
        user: Identity,
        content: bytes | None,
        *,
        transid: list[Any],
        blocking: bool,
        spool: Spool | None = None,
    ) -> Prepared:
        given = content
        if self._broker and plan.graph is not None and content is not None and len(content) > self._inline_bytes:
            spool, content = self._spooler.put_text(content), None
        message = ActivationMessage(
            transid=transid,
            action=plan.name,
            version=plan.version,
            revision=plan.revision,
            user=user,
            # A spool has the name of its run: a balancer that knows only of the run's end finds what to remove.
            activation_id=spool.name if spool is not None else secrets.token_hex(16),
            controller=self._controller,
            blocking=blocking,
            content=content,
            init_args=plan.init_names,
            locked_args=plan.locked,
            binding=plan.binding,
            graph=plan.graph,
            refusal=plan.refusal,
            spool=spool,
            result_bytes=self._workflow_bytes if plan.adds_up else None,
            door=self._spooler.door if plan.asks else None,
        )
        # What the controller runs itself it gives on itself.
        own = message if spool is None else replace(message, content=given, spool=None)
        if plan.components is not None:
            sequence = SequenceRun(message=own, components=plan.components, limits=plan.limits)
            if plan.graph is None:
                return Prepared(message, plan.needs, composed=sequence)
            return Prepared(message, plan.needs, fallback=sequence)
        if plan.conductor:
            needs = replace(
                plan.needs,
                memory_mb=plan.limits["memory"],
                timeout_s=plan.limits["timeout"] / 1000,
                stepwise=False,
            )
            composition = ConductorRun(message=own, defaults=plan.defaults, needs=needs, limits=plan.limits)
            if plan.graph is None:
                return Prepared(message, plan.needs, composed=composition)
            return Prepared(message, plan.needs, fallback=composition)
        return Prepared(message, plan.needs)


def _check_final(plan: Plan, names: Iterable[str]) -> None:
    if plan.immutable and not plan.immutable.isdisjoint(names):
        raise ParametersNotAllowed
