"""Firing a trigger: its active rules' actions are invoked as their user would, and what came of each is recorded.

A fire is answered once the run of every rule is accepted, which outlives any process from then on, or refused, and the
trigger's record is written. A worker that dies before has answered nobody: its client sees a broken connection, and
some of the runs may have started. (A sequence by stock control flow is accepted by the worker alone, as always.)
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from action_runtime.wire.errors import DataflowError
from controller_ext import json_text
from controller_ext.entities import triggers
from controller_ext.entities.errors import Refused
from controller_ext.entities.parameters import raw_members
from controller_ext.entities.triggers import Link
from controller_ext.runs.accept import Acceptor
from controller_ext.runs.ports import Accepted, Balancer, BalancerUnavailable, Ended, NoInvoker, Prepared
from controller_ext.runs.repeats import ELSEWHERE, Keyed, Repeats
from controller_ext.workflow.errors import DefinitionError
from invoker_ext.contract.messages import Identity
from invoker_ext.contract.records import Activation
from invoker_ext.store import ActivationStore, StoreUnavailable

logger = logging.getLogger(__name__)

RULES_AT_A_TIME: Final = 32
"""Of all fires of one worker; each costs a thread until its run is accepted."""
PATIENCE_S: Final = 15.0
"""How long a fire goes on starting rules while nobody takes their runs."""
_HEADERS: Final = "__ow_headers"
_SUCCESS, _CALLERS_FAULT, _SERVERS_FAULT = 0, 1, 3
_dumps: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Start(Protocol):
    """Starts invocations."""

    def __call__(self, prepared: Prepared, wait_s: float | None, /, *, repeated: bool = False) -> Accepted | Ended:
        """Start a prepared one and wait so many seconds for its end; None: only until it is accepted.

        `repeated`: it may have been started before, under the same id.
        """


Explain = Callable[[DataflowError], tuple[bool, str]]
"""Error → whether the caller must act, and the sentence that he would be told."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Fire:
    """One request to fire a trigger.

    Attributes:
        user: Who fires.
        payload: A JSON object; empty: none.
        members: The same, read.
        headers: JSON object of the request's headers, for the actions.
        transid: `[id, start ms]`.
        now_ms: When it came; epoch milliseconds.
        keyed: It may come again and is one fire nevertheless; None: each that comes is one.
    """

    user: Identity
    payload: bytes
    members: Mapping[str, Any]
    headers: bytes
    transid: list[Any]
    now_ms: int
    keyed: Keyed | None = None


@dataclass(slots=True, frozen=True)
class _Claimed:
    """The id of the trigger's record, and whether an earlier request has claimed it, so that its runs may be there."""

    activation_id: str
    repeated: bool = False
    recorded: bool = False
    """Another controller has started the runs, and there is its record."""


class Firing:
    """Fires triggers; make it after the fork. Thread-safe."""

    def __init__(
        self,
        *,
        acceptor: Acceptor,
        balancer: Balancer,
        start: Start,
        records: ActivationStore,
        repeats: Repeats,
        explain: Explain,
    ) -> None:
        """Start no thread yet.

        Args:
            acceptor: Makes messages.
            balancer: Counts invocations that are refused before they reach it.
            start: Starts them.
            records: Gets the triggers' records.
            repeats: Knows fires that come again.
            explain: What a rule's line says of an error.
        """
        self._acceptor = acceptor
        self._balancer = balancer
        self._start = start
        self._records = records
        self._repeats = repeats
        self._explain = explain
        self._pool = ThreadPoolExecutor(RULES_AT_A_TIME, thread_name_prefix="firing")

    def fire(self, trigger: dict[str, Any], fire: Fire) -> str | None:
        """Invoke the actions of all active rules.

        Args:
            trigger: The stored trigger.
            fire: The request.

        Returns:
            Id of the trigger's record; None: it has no active rule, and nothing was done or recorded.

        Raises:
            KeyReused: An earlier request with its key had another body.
            StoreUnavailable: The key cannot be claimed; nothing was done.
        """
        keyed = fire.keyed
        if keyed is not None and (first := self._repeats.earlier(keyed)) is not None and self._recorded(keyed, first):
            return first
        links = triggers.links(trigger)
        if not any(link.status == triggers.ACTIVE for link in links):
            return None
        defaults = {**raw_members(trigger["parameters"]), _HEADERS: fire.headers}
        content = json_text.merge(defaults, json_text.join(defaults), fire.payload, fire.members)
        claimed = self._claim(keyed, recorded=fire.user.stores_activations)
        if claimed.recorded:
            return claimed.activation_id
        give_up = time.monotonic() + PATIENCE_S

        def line(link: Link) -> str:
            return self._line(link, fire, content, claimed, give_up)

        # One rule is the usual case: it needs no other thread.
        lines = [line(links[0])] if len(links) == 1 else list(self._pool.map(line, links))
        record = _record(trigger, fire, claimed.activation_id, lines)
        if fire.user.stores_activations:
            self._keep(record)
        return record.activation_id

    def _recorded(self, keyed: Keyed, activation_id: str) -> bool:
        return self._repeats.ended(keyed.namespace, activation_id) is not None

    def _claim(self, keyed: Keyed | None, *, recorded: bool) -> _Claimed:
        own = secrets.token_hex(16)
        first = own if keyed is None else self._repeats.claim(keyed, own)
        if keyed is not None and first != own and self._repeats.elsewhere(keyed, recorded=recorded):
            if isinstance(self._repeats.wait(keyed.namespace, first, PATIENCE_S), Accepted):
                raise BalancerUnavailable(ELSEWHERE)
            return _Claimed(first, repeated=True, recorded=True)
        return _Claimed(first, repeated=first != own)

    def _keep(self, record: Activation) -> None:
        try:
            self._records.put_many([record])
        except StoreUnavailable as error:
            # The runs are on their way: an error would have the client fire again.
            logger.error(  # noqa: TRY400 (expected, so without its trace)
                "trigger has no record", extra={"activation_id": record.activation_id, "reason": str(error)}
            )

    def _line(self, link: Link, fire: Fire, content: bytes, claimed: _Claimed, give_up: float) -> str:
        """Start a rule's run if it is active; return what the record says of it."""
        if link.status != triggers.ACTIVE:
            text = f"Rule '{link.rule}' is inactive, action '{link.action}' was not activated."
            return _failed(link, _CALLERS_FAULT, text)
        try:
            if time.monotonic() >= give_up:
                raise NoInvoker("other rules of the trigger wait for an invoker already")
            activation_id = self._invoke(link, fire, content, claimed)
        except DataflowError as error:
            return self._refused(link, error)
        return _line(_SUCCESS, {"activationId": activation_id, "rule": link.rule, "action": str(link.action)})

    def _refused(self, link: Link, error: DataflowError) -> str:
        callers, text = self._explain(error)
        if not callers:
            logger.error("rule not fired", extra={"rule": link.rule, "code": error.code, "reason": str(error)})
        return _failed(link, _CALLERS_FAULT if callers else _SERVERS_FAULT, text)

    def _invoke(self, link: Link, fire: Fire, content: bytes, claimed: _Claimed) -> str:
        """Invoke a rule's action as a request of the user would; return the activation id of the accepted run.

        Of a fire that may come again, each rule has one run for good: its id follows from the trigger's.
        """
        try:
            prepared = self._acceptor.posted(link.action, fire.user, content, transid=fire.transid)
        except (Refused, DefinitionError):
            self._balancer.charge(fire.user)
            raise
        if fire.keyed is not None:
            message = replace(prepared.message, activation_id=_run_id(claimed.activation_id, link.rule))
            composed = None if prepared.composed is None else replace(prepared.composed, message=message)
            prepared = replace(prepared, message=message, composed=composed)
        # What a worker runs by itself is known to nobody else: it must not be started a second time.
        if claimed.repeated and self._repeats.at_hand(fire.user.namespace, prepared.message.activation_id):
            return prepared.message.activation_id
        if prepared.composed is None or not claimed.repeated:
            self._start(prepared, None, repeated=claimed.repeated)
        return prepared.message.activation_id


def _run_id(activation_id: str, rule: str) -> str:
    return hashlib.sha256(f"{activation_id}\0{rule}".encode()).hexdigest()[:32]


def _failed(link: Link, status: int, text: str) -> str:
    return _line(status, {"rule": link.rule, "error": text, "action": str(link.action)})


def _line(status: int, rest: dict[str, str]) -> str:
    return _dumps({"statusCode": status, "success": status == _SUCCESS, **rest})


def _record(trigger: dict[str, Any], fire: Fire, activation_id: str, lines: list[str]) -> Activation:
    return Activation(
        activation_id=activation_id,
        namespace=fire.user.namespace,
        name=trigger["name"],
        subject=fire.user.subject,
        version=trigger["version"],
        start_ms=fire.now_ms,
        end_ms=None,
        duration_ms=None,
        status=_SUCCESS,
        result=fire.payload or b"{}",
        annotations=(),
        logs=tuple(lines),
    )
