"""One run: the shell around its machine. Carries out commands, feeds back events, and makes the run's record.

Nothing here decides about matching, retrying or ending: that is `invoker_ext.dataflow`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, assert_never, cast

from action_runtime.wire.errors import DataflowError
from action_runtime.wire.values import WHOLE, Head, Media
from invoker_ext.contract.graph import ActionCall, Fault, Graph, GraphKind, Step, WorkflowCall
from invoker_ext.contract.records import Activation
from invoker_ext.contract.regions import Region
from invoker_ext.dataflow.commands import Bring, Command, Dispatch, End, Evaluate, Feed, FeedEnd, Release, Retry
from invoker_ext.dataflow.events import (
    Cancelled,
    DataLost,
    Datum,
    DeadlineReached,
    Evaluated,
    Event,
    Outcome,
    PlatformFailed,
    RetryDue,
    Squeezed,
    Started,
)
from invoker_ext.dataflow.keys import Firing
from invoker_ext.dataflow.machine import RunMachine
from invoker_ext.dataflow.wants import run_members, wants
from invoker_ext.owner.actions import Program
from invoker_ext.owner.attempt import Attempt
from invoker_ext.owner.children import Children, begins_once
from invoker_ext.owner.conditions import answer, is_quick
from invoker_ext.owner.elsewhere import Elsewhere
from invoker_ext.owner.ending import Ending
from invoker_ext.owner.firings import Firings
from invoker_ext.owner.host import Host
from invoker_ext.owner.named import Docs
from invoker_ext.owner.outcomes import Judgement, error_of
from invoker_ext.owner.parameters import Parameters, parameters_of_json
from invoker_ext.owner.reading import read_in_thread
from invoker_ext.owner.region import RegionRun
from invoker_ext.owner.result import LastRead
from invoker_ext.owner.run_record import RunSpec, Tally, run_record
from invoker_ext.relay.json_form import data_of
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.errors import SinkFull

_log = logging.getLogger(__name__)


class Run:
    """One run of one graph. Lives on the loop; not re-entrant: events raised by a command wait their turn."""

    brings: Final = False

    def __init__(
        self,
        host: Host,
        spec: RunSpec,
        program: Program,
        *,
        parent: Run | None = None,
        on_end: Callable[[Run, Outcome], None] | None = None,
    ) -> None:
        self.host = host
        self.spec = spec
        self.graph = graph = program.graph
        self._program = program
        self.accepted = host.clock.now()
        self._parent = parent
        self._on_end = on_end
        self._wants = wants(graph)
        self._members = run_members(graph)
        self._machine = RunMachine(graph)
        self._turns: deque[Callable[[], None]] = deque()
        self._busy = False
        self.firings = Firings(self, program)
        self.children = Children(self, self._inside)
        self.regions: dict[Firing, RegionRun] = {}
        self.own_tally = Tally()
        self.elsewhere = Elsewhere()
        self.reads = LastRead(host.place if parent is None else None)
        self._ending = Ending(self, self._conclude)
        self._record: Activation | None = None
        self._began = self._dropped = False
        self._deadline: Callable[[], None] | None = None
        self._over = False

    # -- what attempts ask -----------------------------------------------------------------------

    @property
    def activation_id(self) -> str:
        """Its id."""
        return self.spec.activation_id

    @property
    def owner(self) -> str:
        """In whose name the sink accounts its data: `namespace/run`."""
        return f"{self.spec.user.namespace}/{self.spec.activation_id}"

    @property
    def over(self) -> bool:
        """The record of the run has been made."""
        return self._record is not None

    def wants(self, step: str) -> Mapping[str, str]:
        """Outputs of a step that somebody reads; of plain actions and sequences always the whole."""
        wanted = self._wants.get(step, {})
        if self.graph.kind is not GraphKind.DATAFLOW and WHOLE not in wanted:
            return {**wanted, WHOLE: "value"}
        return wanted

    def retries_losses(self, step: Step) -> bool:
        """Whether the machine may execute a firing again whose container died in the middle."""
        return self.graph.kind is GraphKind.DATAFLOW and not step.at_most_once

    def began_once(self) -> None:
        """Note that a function is about to begin; journalled, for the outermost run, if it must not begin twice.

        Raises:
            JournalFull: It cannot be journalled; the function must not begin.
        """
        if self._parent is not None:
            self._parent.began_once()
            return
        if self._began:
            return
        if begins_once(self.graph):
            self.host.begin(self.activation_id)
        self._began = True

    # -- life --------------------------------------------------------------------------------------

    def parse(self, content: bytes) -> Parameters:
        """Cut a JSON object of parameters into what the graph reads."""
        return parameters_of_json(content, self._members)

    def start(self, parameters: Parameters) -> None:
        """Begin."""
        put = self.put_json
        values = {name: put(text) for name, text in parameters[0].items()}
        items = {name: tuple(put(text) for text in texts) for name, texts in parameters[1].items()}
        if self.graph.timeout_s is not None:
            self._deadline = self.host.later(
                self.graph.timeout_s, lambda: self.post(DeadlineReached(self.host.clock.now()))
            )
        spans = self.host.spans and self.graph.kind is GraphKind.DATAFLOW
        self.post(Started(values, items, self.host.clock.now(), spans))

    def cancel(self, reason: str) -> None:
        """End the run and its containers."""
        self.post(Cancelled(reason, self.host.clock.now()))
        self._kill_all()

    def drop(self) -> None:
        """End the run without a record: it was given to another owner."""
        self._dropped = True
        self.cancel("the run was given to another owner")

    def fail(self, reason: str) -> None:
        """End the run because the platform cannot go on with it."""
        self.post(PlatformFailed(reason, self.host.clock.now()))
        self._kill_all()

    def data_lost(self, data: Collection[Stored]) -> None:
        """Hear of data that are gone with their hosts; those of other runs are passed over."""
        keys = self.elsewhere.lost(data)
        if keys:
            self.post(DataLost(keys, self.host.clock.now()))

    def squeeze(self) -> bool:
        """Let go of what is kept only in case of a loss; return whether there was any."""
        keeps = self._machine.keeps
        if keeps:
            self.post(Squeezed(self.host.clock.now()))
        return keeps

    def post(self, event: Event) -> None:
        """Tell the machine and carry out what it wants."""
        self.turn(partial(self._tell, event))

    def turn(self, work: Callable[[], None]) -> None:
        """Do what may cause events, one after the other; nothing happens any more while the invoker ends."""
        if self.host.halted:
            return
        self._turns.append(work)
        if self._busy:
            return
        self._busy = True
        try:
            while self._turns:
                self._turns.popleft()()
        except Exception as error:  # noqa: BLE001 - the engine's supervisor: a bug must end one run, not the host
            _log.exception("run broken", extra={"run": self.activation_id, "error": str(error)})
            self._broken(error)
        finally:
            self._busy = False
        self._maybe_forget()

    def _tell(self, event: Event) -> None:
        for command in self._machine.handle(event):
            self._execute(command)

    # -- commands ----------------------------------------------------------------------------------

    def _execute(self, command: Command) -> None:
        match command:
            case Dispatch():
                self._dispatch(command)
            case Feed():
                self._feed(command)
            case FeedEnd():
                self._feed_end(command)
            case Evaluate():
                self._evaluate(command)
            case Retry():
                due = RetryDue(command.firing, command.attempt, 0.0)
                self.host.later(command.delay_s, partial(self.post, due))
            case Release():
                self.let_go(command.data)
            case Bring():
                self._ending.bring(command)
            case End():
                if self._deadline is not None:
                    self._deadline()
                self._ending.end(command)
            case _:
                assert_never(command)

    def _dispatch(self, command: Dispatch) -> None:
        call = command.step.call
        match call:
            case ActionCall():
                self.firings.call(command, call, self)
            case WorkflowCall():
                self.children.call(command, call, self)
            case Region():
                region = self.regions[command.firing] = RegionRun(self, command, call)
                region.start()
            case Fault():
                raise RuntimeError(f"{command.firing} cannot run, and its machine dispatched it")
            case _:
                assert_never(call)

    def _inside(self, spec: RunSpec, graph: Graph, docs: Docs, on_end: Callable[[Run, Outcome], None]) -> Run:
        own = self._program.docs
        return Run(self.host, spec, Program(graph, {**own, **docs} if docs else own), parent=self, on_end=on_end)

    def _feed(self, command: Feed) -> None:
        attempt = self.firings.attempt(command.firing)
        if attempt is not None:
            attempt.came.add(cast("Stored", command.datum))
            self.host.containers.feed(attempt.job, command.name, cast("Stored", command.datum))

    def _feed_end(self, command: FeedEnd) -> None:
        attempt = self.firings.attempt(command.firing)
        if attempt is not None:
            self.host.containers.feed_end(attempt.job, command.name, command.error)

    def _evaluate(self, command: Evaluate) -> None:
        now = self.host.clock.now()
        if is_quick(command):
            self.post(answer(command, now))
            return
        work = partial(answer, command, now)
        reading = read_in_thread(self.host.sink, data_of(command.value), work, self.host.copy)
        self.host.spawn(self._evaluate_large(command, reading), f"condition of {self.activation_id}")

    async def _evaluate_large(self, command: Evaluate, reading: Awaitable[Event]) -> None:
        try:
            event = await reading
        except SinkFull as error:
            self.post(Evaluated(command.ticket, False, str(error), self.host.clock.now()))
        except DataflowError as error:  # it is asked again when the value has been made anew
            _log.warning("value of a condition cannot be had", extra={"run": self.activation_id, "error": str(error)})
        else:
            self.post(event)

    # -- end ---------------------------------------------------------------------------------------

    def _conclude(self, end: End, judgement: Judgement) -> None:
        self.let_go(end.data)
        for region in list(self.regions.values()):
            region.stop()
        if self.graph.kind is GraphKind.ACTION and (self.firings.live or self._record is not None):
            return  # the record of its only firing is the run's
        self._make_record(end, judgement)

    def _make_record(self, end: End, judgement: Judgement) -> None:
        epoch_ms = self.host.clock.epoch_ms
        ended_ms = epoch_ms(self.host.clock.now())
        self._record = run_record(self.spec, self.graph, judgement, self.tally, epoch_ms(self.accepted), ended_ms)
        self._keep(self._record)
        if self._on_end is not None:
            self._on_end(self, end.outcome)
        else:
            self.host.ended(self, self._record)

    # -- records -----------------------------------------------------------------------------------

    def _keep(self, record: Activation) -> None:
        if not self._dropped:
            self.host.keep([record], self.spec.user)

    @property
    def record(self) -> Activation:
        """The run's record, once it is over."""
        if self._record is None:
            raise RuntimeError("the run is not over")
        return self._record

    @property
    def memory_mb(self) -> int:
        """Largest memory limit among the actions executed."""
        return self.own_tally.memory_mb

    @property
    def tally(self) -> Tally:
        """What its firings add up to, those included whose last outputs still leave."""
        whole = replace(self.own_tally)
        for attempt in self.firings.live:
            whole.add_flow(attempt)
        return whole

    def firing_recorded(self, record: Activation) -> None:
        """Take the record of an attempt; of a plain action it is the run's."""
        self._keep(record)
        if self.graph.kind is GraphKind.ACTION and self._record is None:
            self._record = record
            self.host.ended(self, record)

    def note_duration(self, duration_ms: int) -> None:
        """Add the time of a firing that has come to its end: a sequence's duration is the sum of its components'."""
        self.own_tally.duration_ms += duration_ms

    def note_size(self, firing: Firing, size: int | None) -> None:
        """Keep the size of a firing's raw response: a sequence passes that of a failing one on."""
        self._ending.sizes[firing] = size

    def attempt_over(self, attempt: Attempt) -> None:
        """Let go of an attempt that will say no more."""
        self.own_tally.add_flow(attempt)
        if not self._over:  # else this is an earlier attempt that a later one did not wait for
            self.firings.over(attempt)
        del attempt.job  # whose listener it is
        self._maybe_forget()

    def put(self, head: Head, data: bytes) -> Stored:
        """Hold bytes that the invoker itself made, in this run's name."""
        return self.host.sink.put_bytes(head, data, self.owner)

    def put_json(self, text: bytes) -> Stored:
        """Hold JSON text, in this run's name."""
        return self.put(Head(Media.JSON, len(text)), text)

    def let_go(self, data: Sequence[Datum]) -> None:
        """Drop references of this run to data, on all hosts."""
        let_go = self.host.let_go
        for datum in data:
            let_go(cast("Stored", datum))
        self.elsewhere.forget(cast("Sequence[Stored]", data))

    def _kill_all(self) -> None:
        if not self._over:
            children = self.children  # with the last of the firings the run itself may be over
            self.firings.kill()
            children.cancel()

    def _broken(self, error: Exception) -> None:
        self._turns.clear()
        if self._record is None:
            end = End(Outcome.PLATFORM_ERROR, (), None, None)
            text = f"The platform failed while it ran this: {type(error).__name__}."
            self._make_record(end, error_of(text, Outcome.PLATFORM_ERROR))
        self._kill_all()

    def _maybe_forget(self) -> None:
        if self._busy or self._over or self._record is None or self.firings.live or self.children:
            return
        if self._machine.idle or not self._machine.ended:
            self._over = True
            self.host.forget(self)
            # Its parts know it and one another. Untied, its memory is free at once, without a search for cycles.
            self._machine.untie()
            del self.firings, self.children, self._ending
