"""A container with a stock runtime in any language: the invoker acts as its data logic unit.

Inputs go as the JSON arguments of `/run`, the outputs are cut out of the result; what leaves earlier leaves by the
local door (`local/`). A firing has returned and drained at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, cast

from action_runtime.wire.errors import DataflowError
from action_runtime.wire.frames import KNEE_BYTES
from action_runtime.wire.values import WHOLE, Media
from invoker_ext.containers.assignment import Assignment, StreamEnd, init_value, run_environment
from invoker_ext.containers.container import Container, Host
from invoker_ext.containers.driver import Handle
from invoker_ext.containers.exchange import Exchange, Request
from invoker_ext.containers.job import Failure, Job, Report
from invoker_ext.containers.local.account import Account
from invoker_ext.containers.local.door import LocalDoor
from invoker_ext.containers.replies import Reply
from invoker_ext.containers.states import State
from invoker_ext.dataflow.commands import Bound, Chunks, Constant, Streamed, Value
from invoker_ext.relay.json_form import object_json
from invoker_ext.relay.results import Split, merge_items, split_json
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.sink import Sink

_OK: Final = 200
_INIT: Final = 0
"""In place of a ticket."""
_SENTINELS_S: Final = 2.0
"""Longest wait for the ends of both logs after a reply. Source: stock's idle gap."""
_SILENT_S: Final = 0.05
"""The same for an image whose runtime ended no log before: what the engine has on its way comes within this."""
_SENTINELS: Final = 2
THREAD_BYTES: Final = 256 << 10
"""Of a reply; below, reading it takes less than a thread's turn."""
_EXITED: Final = 400
"""What a runtime answers whose function ended its process. Source: ActionLoop's proxy."""


@dataclass(slots=True, frozen=True)
class _Ending:
    """Somebody who has a reply: whose, what is done next, and what bounds the wait."""

    assignment: Assignment | None
    then: Callable[[], None]
    timer: asyncio.TimerHandle


class StockContainer(Container):
    """Speaks `/init` and `/run` of OpenWhisk's `docs/actions-new.md`.

    Args:
        number: The pool's.
        name: For people and records.
        host: Who owns it.
        loop: The invoker's.
        sink: Where its outputs go.
        door: Where its functions may hand outputs over while they run.
    """

    def __init__(
        self, number: int, name: str, host: Host, loop: asyncio.AbstractEventLoop, sink: Sink, door: LocalDoor
    ) -> None:
        super().__init__(number, name, host, loop)
        self._sink = sink
        self._door = door
        self._door_url: str | None = None
        self._visits: dict[int, tuple[str, Account]] = {}
        """Of functions that have begun, by ticket: their token and their account at the door."""
        self._exchange: Exchange | None = None
        self._requests: dict[int, Request | None] = {}
        """Of functions that have begun, by ticket; None: its inputs are not complete."""
        self._ending: deque[_Ending] = deque()
        """Who has a reply and waits for the end of its log."""
        self._patience_s = _SENTINELS_S

    def start(self, handle: Handle, start_timeout_s: float) -> None:
        """See Container. The server inside is waited for by the init."""
        super().start(handle, start_timeout_s)
        if self._pipes is not None:
            self._pipes.lines.sentinelled = True
            self._pipes.on_sentinel = self._log_ended
        handle.when_reachable(self._find)

    def _find(self) -> None:
        self._loop.call_soon(self._is_there)

    def feed(self, assignment: Assignment, name: str) -> None:
        """See Container. Arguments are JSON: the function can begin once the last part is there, or reads it later."""
        del name
        ticket = assignment.ticket
        if ticket in self._visits:
            self._visits[ticket][1].fed()
        if ticket not in self._requests or self._requests[ticket] is not None or not _is_complete(assignment):
            return
        try:
            self._request(assignment)
        except OSError as error:
            self._could_not_begin(assignment, str(error))

    def throttle(self, *, on: bool) -> None:
        """See Container. Nothing is emitted here while a function runs."""

    def _is_there(self) -> None:
        address = self._handle.address if self._handle is not None else None
        if address is not None and self.state is State.STARTING and not self._broken:
            self._exchange = Exchange(self._loop, address)
            self._door_url = self._door.base(address)
            self._is_up()

    @property
    def waits_for_parts(self) -> bool:
        """See Container."""
        return any(account.waits_for_parts for _, account in self._visits.values())

    @property
    def waits_for_room(self) -> bool:
        """See Container."""
        return any(account.waits for _, account in self._visits.values())

    def _disconnect(self) -> None:
        self._requests.clear()
        for ticket in tuple(self._visits):
            self._leave_door(ticket)
        for one in self._ending:
            one.timer.cancel()
        self._ending.clear()
        if self._exchange is not None:
            self._exchange.close()

    # -- init -------------------------------------------------------------------------------------

    def _send_init(self, job: Job, timeout_s: float) -> None:
        value = init_value(job, timeout_s)
        if "code" in job.code:
            value["code"] = job.code["code"]
        body = json.dumps({"value": value}, ensure_ascii=False).encode()
        # If nobody listens yet, the container's timer bounds the wait.
        self._way().post("/init", [body], self._init_answered, until_up=True)

    def _init_answered(self, reply: Reply | None) -> None:
        if reply is None:
            self._lost()
        elif reply.status == _OK:
            self._inited(None, ok=True)
        else:
            self._when_logged(None, partial(self._inited, _init_error(reply.body), ok=False))

    # -- run --------------------------------------------------------------------------------------

    def _send_run(self, assignment: Assignment) -> None:
        self._announce(assignment)
        account = Account(self._sink, assignment)
        self._visits[assignment.ticket] = self._door.admit(account), account
        self._requests[assignment.ticket] = None
        if _is_complete(assignment):
            self._request(assignment)

    def _request(self, assignment: Assignment) -> None:
        job = assignment.job
        value = object_json(_materialised(assignment))
        environment = run_environment(job, job.timeout_s)
        if self._door_url is not None:
            environment["dataflow_url"] = f"{self._door_url}/{self._visits[assignment.ticket][0]}"
        members = json.dumps(environment, ensure_ascii=False).encode()
        body = [b'{"value":', value, b",", members[1:]]
        self._requests[assignment.ticket] = self._way().post("/run", body, partial(self._answered, assignment))

    def _answered(self, assignment: Assignment, reply: Reply | None) -> None:
        if reply is None:
            self._lost()
        else:
            self._visits[assignment.ticket][1].stop()
            self._finish(assignment, reply.status, reply.body)

    def _way(self) -> Exchange:
        if self._exchange is None:
            raise AssertionError("asked to run something before it was up")
        return self._exchange

    def _finish(self, assignment: Assignment, status: int, reply: bytes) -> None:
        """Read a reply: a large one in a thread, as all other runs of this host would wait for it."""
        wants = assignment.job.wants
        if status != _OK:
            self._end_run(assignment, reply, Split("exited" if status == _EXITED else "invalid"))
        elif len(reply) < THREAD_BYTES:
            self._end_run(assignment, reply, split_json(reply, wants))
        else:
            reading = self._loop.run_in_executor(None, split_json, reply, wants)
            reading.add_done_callback(partial(self._was_read, assignment, reply))

    def _was_read(self, assignment: Assignment, reply: bytes, reading: asyncio.Future[Split]) -> None:
        """Go on with a reply, unless its function was given up meanwhile."""
        if assignment.ticket in self._requests and not reading.cancelled():
            self._end_run(assignment, reply, reading.result())

    def _end_run(self, assignment: Assignment, reply: bytes, split: Split) -> None:
        """Turn a result into a report; who waits for it need not wait for the end of the log."""
        wants = assignment.job.wants
        account = self._visits[assignment.ticket][1]
        clashes: tuple[str, ...] = ()
        try:
            if account.counts:
                reply, clashes = merge_items(split, reply, account.counts, account.members(), wants)
        except (DataflowError, OSError) as error:
            self._fail(assignment, Failure.WRITE_REFUSED, str(error))
            return
        small = len(reply) < KNEE_BYTES or split.status not in ("ok", "error")
        report = Report(
            status=split.status,
            characters=len(reply.decode(errors="replace")),
            counts=split.counts,
            body=reply.strip() if small else None,
            digest=None if small or WHOLE in wants else f"sha256-{hashlib.sha256(reply).hexdigest()}",
            clashes=clashes,
        )
        if self._pipes is not None:
            self._pipes.look()
        if not self._ending and self._is_logged:
            self._conclude(assignment, split, report)
            return
        now = time.monotonic()
        assignment.job.listener.answered(report if small else replace(report, body=reply.strip()), now)
        self._when_logged(assignment, partial(self._conclude, assignment, split, report, now))

    def _conclude(self, assignment: Assignment, split: Split, report: Report, answered_at: float | None = None) -> None:
        """Do what a container with a DLU would have done; its log is whole."""
        account = self._visits[assignment.ticket][1]
        try:
            self._emit(assignment, split)
        except (DataflowError, OSError) as error:
            self._fail(assignment, Failure.WRITE_REFUSED, str(error))
            return
        self._returned(assignment, report, answered_at)
        self._drained(assignment, account.refusal)

    def _fail(self, assignment: Assignment, failure: Failure, detail: str | None) -> None:
        """End the container for what became of one of its functions."""
        self.end(failure, detail)

    def _leave(self, assignment: Assignment) -> None:
        self._let_go(assignment)
        super()._leave(assignment)

    def _let_go(self, assignment: Assignment) -> None:
        """Forget a function; nothing of it is waited for any more."""
        self._leave_door(assignment.ticket)
        request = self._requests.pop(assignment.ticket, None)
        if request is not None:
            request.cancel()
        for one in [one for one in self._ending if one.assignment is assignment]:
            one.timer.cancel()
            self._ending.remove(one)

    def _leave_door(self, ticket: int) -> None:
        token, account = self._visits.pop(ticket, (None, None))
        if token is not None and account is not None:
            self._door.dismiss(token)
            account.close()

    def _emit(self, assignment: Assignment, split: Split) -> None:
        job = assignment.job
        owner = f"{job.user.namespace}/{job.run}"
        for one in split.outputs:
            stored = self._sink.put_bytes(one.head, one.data, owner)
            job.listener.emitted(one.output, one.index, one.how, stored)

    # -- the end of the log -----------------------------------------------------------------------

    def _when_logged(self, assignment: Assignment | None, then: Callable[[], None]) -> None:
        """Go on once both streams say that the log is complete, or none comes: the runtime writes no sentinels."""
        timer = self._loop.call_later(self._patience_s, self._log_is_late)
        self._ending.append(_Ending(assignment, then, timer))
        self._log_ended()

    def _log_ended(self) -> None:
        """See who of those that wait has its sentinels, first come first served."""
        while self._ending and self._is_logged:
            self._end_first()

    @property
    def _is_logged(self) -> bool:
        """The log of the first who waits for its end is whole."""
        return self._pipes is None or self._pipes.lines.sentinels >= _SENTINELS

    def _log_is_late(self) -> None:
        if self._pipes is not None and not self._pipes.lines.sentinels:
            # The runtime writes none: what has come is the log, and the next function is not waited for that long.
            self._patience_s = _SILENT_S
        if self._ending:
            self._end_first()
        self._log_ended()

    def _end_first(self) -> None:
        first = self._ending.popleft()
        first.timer.cancel()
        first.then()


def _init_error(reply: bytes) -> Any:
    """Return the `error` value of a failed init; the text of the reply if it has none."""
    try:
        document = json.loads(reply)
    except ValueError:
        return reply.decode(errors="replace") or None
    return document.get("error") if isinstance(document, dict) else reply.decode(errors="replace")


def _is_complete(assignment: Assignment) -> bool:
    """Say whether every streamed input has come to its end, as far as the function wants it as an argument."""
    if assignment.job.opens_streams:
        return True
    for bound in assignment.job.inputs:
        if isinstance(bound.value, Streamed):
            parts = assignment.streams.get(bound.name)
            if not parts or not isinstance(parts[-1], StreamEnd):
                return False
    return True


def _materialised(assignment: Assignment) -> list[Bound]:
    """Return the arguments: every stream as a value, bytes joined, anything else as a list, or left to the door."""
    inputs = []
    for bound in assignment.job.inputs:
        value: Value = bound.value
        if isinstance(value, Streamed):
            if assignment.job.opens_streams:
                continue
            value = _joined(assignment.streams[bound.name])
        inputs.append(Bound(bound.name, value))
    return inputs or [Bound(WHOLE, Constant("{}"))]


def _joined(parts: deque[Stored | StreamEnd]) -> Value:
    data = tuple(part for part in parts if not isinstance(part, StreamEnd))
    if data and all(part.head.media is Media.BYTES for part in data):
        return Chunks(cast("tuple[Any, ...]", data))
    return cast("Value", data)
