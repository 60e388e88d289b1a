"""A step that runs a region: the shell around its machine. Its firings are firings of the run."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, assert_never, cast

from action_runtime.wire.errors import DataflowError
from action_runtime.wire.values import WHOLE, Head, Media
from invoker_ext.contract import graph as graphs
from invoker_ext.contract.graph import ActionCall, Graph, GraphKind, WorkflowCall
from invoker_ext.contract.regions import Region, RegionKind
from invoker_ext.dataflow.commands import Bound, Dispatch
from invoker_ext.dataflow.events import (
    Began,
    Cancelled,
    Committed,
    Datum,
    Drained,
    Event as RunEvent,
    Lost,
    Outcome,
    Returned,
)
from invoker_ext.dataflow.keys import Firing
from invoker_ext.dataflow.regions.commands import (
    Answered,
    Apply,
    Ask,
    Call,
    Command,
    Entered,
    Event,
    Launch,
    Leave,
    Pause,
    Question,
    Resulted,
    Resumed,
)
from invoker_ext.dataflow.regions.machine import RegionMachine
from invoker_ext.dataflow.regions.program import Program
from invoker_ext.dataflow.regions.threads import Account
from invoker_ext.owner import answers, leaving
from invoker_ext.owner.actions import ActionDoc
from invoker_ext.owner.answers import Found
from invoker_ext.owner.entering import brought, given, is_far, without_options
from invoker_ext.owner.evaluating import Evaluating
from invoker_ext.owner.launching import launch_message, launched, resumed
from invoker_ext.owner.named import call_named
from invoker_ext.owner.reading import read_in_thread
from invoker_ext.relay.results import Split
from invoker_ext.sink.datum import Stored

if TYPE_CHECKING:
    from invoker_ext.owner.run import Run

_log = logging.getLogger(__name__)

QUICK_BYTES: Final = 16 * 1024
"""Up to here reading a value costs less than a thread."""
_WANTS: Final = {WHOLE: "value"}
_UNBOUNDED: Final = 1 << 62


class RegionRun:
    """One firing of such a step. What it holds is here, or has a copy here: no host that is lost takes any of it."""

    brings: Final = True

    def __init__(self, run: Run, command: Dispatch, region: Region) -> None:
        self._run = run
        self._command = command
        composed = run.graph.kind is GraphKind.COMPOSITION
        limits = run.graph.limits
        account = run.spec.account or Account(limits.actions if composed else _UNBOUNDED)
        self._machine = RegionMachine(
            Program.of(run.graph, command.step, region),
            self._free,
            account,
            session=run.activation_id,
            tag=command.firing.tag,
            limit_ms=limits.timeout_ms if composed else None,
        )
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._docs: dict[tuple[str, str | None], ActionDoc] = {}
        self._resumes = region.kind is RegionKind.RESUME
        self._functions = Evaluating(run, self._tell)
        self._over = self._leaves = False

    def start(self) -> None:
        """Begin with what the step was given."""
        inputs = self._command.inputs
        if is_far(inputs):
            self._run.host.spawn(self._start_with(inputs), f"region of {self._run.activation_id}")
        else:
            self._enter(given(inputs, self._run.put_json))

    async def _start_with(self, inputs: Sequence[Bound]) -> None:
        """Begin once what other hosts hold has been pulled: from then on a region has all that it holds here."""
        run = self._run
        try:
            stored = await brought(inputs, run.host.copy, run.put_json)
        except DataflowError as error:
            _log.warning("data cannot be had", extra={"run": run.activation_id, "error": str(error)})
            if not self._over:
                self._over = True
                firing, attempt = self._command.firing, self._command.attempt
                run.regions.pop(firing, None)
                run.post(Lost(firing, attempt, False, self._now(), Outcome.PLATFORM_ERROR, str(error)))
        else:
            run.turn(partial(self._enter, stored))

    def _enter(self, stored: Stored) -> None:
        run = self._run
        if self._over:  # its run ended meanwhile
            self._let_go(stored)
        elif self._resumes:
            text, cells = resumed(stored.read())
            stored.release()
            self._send(Entered(run.put_json(text), self._now(), cells))
        else:
            composed = run.graph.kind is GraphKind.COMPOSITION
            self._send(Entered(without_options(stored, run.put_json) if composed else stored, self._now()))

    def stop(self) -> None:
        """End it, as the run has ended."""
        if not self._machine.ended:
            self._machine.handle(Cancelled("", self._now()))
            self._functions.drop()
            firing, attempt = self._command.firing, self._command.attempt
            self._run.post(Returned(firing, attempt, Outcome.APPLICATION_ERROR, {}, None, self._now()))
            self._drain()

    def _free(self, datum: Datum) -> None:
        """Release a datum; what a thread reads may outlive the region."""
        if threading.get_ident() == self._thread:
            self._let_go(datum)
        else:
            self._loop.call_soon_threadsafe(self._let_go, datum)

    def _let_go(self, datum: Datum) -> None:
        if any(bound.value is datum for bound in self._command.inputs):
            cast("Stored", datum).release()  # others of the run may read it, and be about to
        else:
            self._run.let_go((datum,))

    def _now(self) -> float:
        return self._run.host.clock.now()

    def _send(self, event: Event) -> None:
        self._run.turn(partial(self._tell, event))

    def _tell(self, event: Event) -> None:
        for command in self._machine.handle(event):
            self._execute(command)
        self._drain()

    def wants(self, step: str) -> Mapping[str, str]:
        """See `Ear`."""
        return _WANTS

    def post(self, event: RunEvent) -> None:
        """See `Ear`: pass on what the machine of a run would hear of a firing."""
        match event:
            case Committed():
                datum = cast("Stored", event.datum)
                firing = Firing(event.key.step, event.key.tag)
                self._send(Resulted(firing, event.attempt, datum, answers.result_shape(datum), event.at))
            case Returned() | Drained() | Lost():
                self._send(event)
            case Began():
                pass
            case _:
                raise ValueError(f"a firing does not tell of {type(event).__name__}")

    # -- commands ----------------------------------------------------------------------------------

    def _execute(self, command: Command) -> None:
        match command:
            case Dispatch():
                self._dispatch(command)
            case Ask():
                self._ask(command)
            case Apply():
                self._functions.apply(command)
            case Launch():
                self._launch(command)
            case Pause():
                self._run.host.later(0.0, lambda: self._send(Resumed(self._now())))
            case Leave():
                self._leave(command)
            case _:
                assert_never(command)

    def _dispatch(self, command: Dispatch) -> None:
        call = command.step.call
        match call:
            case ActionCall():
                self._run.firings.call(command, call, self, self._docs.get((call.name, call.revision)))
            case WorkflowCall():
                account = self._machine.flights.account_of(command.firing, command.attempt)
                self._run.children.call(command, call, self, account, self._docs)
            case graphs.Fault() | Region():
                raise ValueError("a region dispatches actions and workflows")
            case _:
                assert_never(call)

    def _ask(self, command: Ask) -> None:
        data = list(answers.data_of(command.value))
        if sum(datum.size_bytes for datum in data) <= QUICK_BYTES and not any(datum.elsewhere for datum in data):
            self._answer(command, answers.find(command))
            return
        host = self._run.host
        reading = read_in_thread(host.sink, data, partial(answers.find, command), host.copy)
        host.spawn(self._ask_large(command, reading), f"value of {self._run.activation_id}")

    async def _ask_large(self, command: Ask, reading: Coroutine[Any, Any, Found]) -> None:
        try:
            found = await reading
        except DataflowError as error:
            found = answers.unread(command, error)
        self._answer(command, found)

    def _answer(self, command: Ask, found: Found) -> None:
        if command.question is Question.DYNAMIC and found.error is None:
            self._run.host.spawn(self._answer_named(command, found), f"name in {self._run.activation_id}")
        else:
            self._tell_answer(command, found, None)

    async def _answer_named(self, command: Ask, found: Found) -> None:
        call, docs = await call_named(self._run, found.name)
        self._docs.update(docs)
        self._tell_answer(command, found, call)

    def _tell_answer(self, command: Ask, found: Found, call: Call | None) -> None:
        self._run.turn(partial(self._give_answer, command, found, call))

    def _give_answer(self, command: Ask, found: Found, call: Call | None) -> None:
        self._tell(
            Answered(
                ticket=command.ticket,
                at=self._now(),
                holds=found.holds,
                shape=found.shape,
                name=found.name,
                error=found.error,
                data=tuple(map(self._run.put_json, found.texts)),
                shapes=found.shapes,
                call=call,
            )
        )

    def _launch(self, command: Launch) -> None:
        values = [command.params, *(value for cells in command.cells if cells for value in cells.values())]
        data = [datum for value in values for datum in answers.data_of(value)]
        host = self._run.host
        reading = read_in_thread(host.sink, data, partial(launched, command, self._run.graph), host.copy)
        host.spawn(self._launch_with(command.ticket, reading), f"async part of {self._run.activation_id}")

    async def _launch_with(self, ticket: int, reading: Coroutine[Any, Any, tuple[Graph, bytes]]) -> None:
        try:
            graph, content = await reading
            message = launch_message(self._run.spec, graph, content)
            await self._run.host.launch(message, graph)
        except (DataflowError, OSError) as error:
            _log.warning("async part not started", extra={"run": self._run.activation_id, "error": str(error)})
            self._send(Answered(ticket, self._now(), error=str(error)))
        else:
            self._send(Answered(ticket, self._now(), name=message.activation_id))

    # -- end ---------------------------------------------------------------------------------------

    def _leave(self, leave: Leave) -> None:
        self._functions.drop()
        run, wanted = self._run, self._run.wants(self._command.step.name)
        passed_on = leaving.as_it_is(self._command, leave, wanted, self._now())
        if passed_on is not None:
            for event in passed_on:
                run.post(event)
            return
        self._leaves = True
        data = list(answers.data_of(leave.value))
        read = partial(leaving.read, leave, wanted)
        if sum(datum.size_bytes for datum in data) <= leaving.QUICK_BYTES and not any(one.elsewhere for one in data):
            self._left(leave, read({}))
        else:
            reading = read_in_thread(run.host.sink, data, read, run.host.copy)
            run.host.spawn(self._leave_large(leave, reading), f"result of a region of {run.activation_id}")

    async def _leave_large(self, leave: Leave, reading: Coroutine[Any, Any, Split | bytes]) -> None:
        try:
            found = await reading
        except (DataflowError, OSError) as error:
            leave, found = Leave(Outcome.PLATFORM_ERROR, leave.value), leaving.unread(error)
        self._run.turn(partial(self._left, leave, found))

    def _left(self, leave: Leave, found: Split | bytes) -> None:
        for event in leaving.events(self._command, leave, found, self._put, self._now()):
            self._run.post(event)
        self._leaves = False
        self._drain()

    def _put(self, head: Head, text: bytes) -> Stored:
        stored = self._run.put(head, text)
        if head.media is Media.JSON:
            self._run.reads.keep(stored, text)  # the run's result, most likely: nobody need read it
        return stored

    def _drain(self) -> None:
        """Tell the machine of the run once nothing of this is left."""
        if self._machine.idle and not (self._over or self._leaves):
            self._over = True
            firing, attempt = self._command.firing, self._command.attempt
            self._run.regions.pop(firing, None)
            self._run.post(Drained(firing, attempt, self._now()))
