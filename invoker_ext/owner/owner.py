"""The owner: takes runs from the bus, keeps them in its journal until they have ended, and tells their controller.

Order of safety, for every run: journalled, then committed on the bus, then begun (a graph need not wait for the
commit: the journal knows it); its records journalled, then the completion published, then written to the store. A kill
between any two of these loses nothing and repeats nothing that must not repeat.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import Any, Final

from action_runtime.wire.errors import DataflowError
from invoker_ext.containers.job import Containers
from invoker_ext.contract.graph import ActionCall, Graph
from invoker_ext.contract.messages import ActivationMessage, Identity
from invoker_ext.contract.records import Activation
from invoker_ext.dataflow.events import Outcome
from invoker_ext.dataflow.wants import run_members
from invoker_ext.journal import JournalFull, Recovered
from invoker_ext.owner import alone
from invoker_ext.owner.actions import Program
from invoker_ext.owner.children import begins_once
from invoker_ext.owner.clock import Clock
from invoker_ext.owner.host import Copy, Lending
from invoker_ext.owner.identification import Identification
from invoker_ext.owner.intake import Intake
from invoker_ext.owner.outbox import Outbox
from invoker_ext.owner.outcomes import error_of
from invoker_ext.owner.parameters import Parameters, is_quick, parameters_of_spool
from invoker_ext.owner.parts import Parts
from invoker_ext.owner.recovery import Recovery
from invoker_ext.owner.run import Run
from invoker_ext.owner.run_record import RunSpec, refusal_record
from invoker_ext.owner.spooled import SOON_BYTES, Spooled
from invoker_ext.owner.teller import Teller
from invoker_ext.owner.traces import trace_of
from invoker_ext.sink.datum import Stored
from invoker_ext.tasks import Tasks

_log = logging.getLogger(__name__)

CLOSE_S: Final = 5.0
"""How long a stop waits for the store; the journal holds what is left."""
RESTARTED: Final = (
    "The invoker was restarted after this activation had begun; it was not started a second time. "
    "Invoke it again if that is safe."
)
OWNER_LOST: Final = (
    "The invoker that had accepted this activation is gone (owner lost); it was not started a second time. "
    "Invoke it again if that is safe."
)
CANCELLED: Final = "The run was cancelled by its user."
STORE_AWAY: Final = (
    "The store of activation records has been away for too long; no more runs are taken until it is back."
)


class Owner:
    """Implements `owner.host.Host`. Lives on the loop."""

    def __init__(self, who: Identification, parts: Parts, *, pending_bytes: int) -> None:
        self.clock = Clock()
        self.sink = parts.sink
        self.actions = parts.actions
        self.functions = parts.functions
        self.compile = parts.compile
        self.containers: Containers
        self._journal = parts.journal
        self._spooled = Spooled(parts.parameters, parts.pull, self.spawn)
        self._loop = asyncio.get_running_loop()
        self._teller = teller = Teller(who, parts.bus, parts.messages)
        self._outbox = Outbox(who, teller, parts.journal, parts.records, pending_bytes, self._maybe_idle)
        self._runs: dict[str, Run] = {}
        self._family: dict[str, Run] = {}
        self._messages: dict[str, ActivationMessage] = {}
        self._recovery = Recovery(parts.journal, self._outbox)
        self._intake = Intake(who.topic, parts.bus, self._outbox, teller, self)
        self.let_go: Callable[[Stored], None] = alone.let_go
        self.copy: Copy = alone.copy
        self._released: Callable[[str], None] = alone.release
        self.spans = self.halted = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks = Tasks()

    def lend(self, lending: Lending) -> None:
        """Have firings executed on other hosts, too."""
        self.containers, self.copy = lending, lending.copy
        self.let_go, self._released = lending.let_go, lending.release
        lending.data_lost = self._data_lost
        self.spans = True

    def _data_lost(self, data: Collection[Stored]) -> None:
        for run in [*self._runs.values(), *self._family.values()]:
            run.data_lost(data)

    def squeeze(self) -> bool:
        """Let go of all that is kept only in case a host is lost; return whether there was any."""
        return any([run.squeeze() for run in [*self._runs.values(), *self._family.values()]])

    # -- intake ------------------------------------------------------------------------------------

    def recover(self, found: Recovered) -> None:
        """Take up what an earlier process left; call before `listen`."""
        self._recovery.recover(found, self._resume)
        self._spooled.sweep(self._messages)

    def end_again(self, run: str, payload: bytes, record: Activation | None) -> None:
        """See `intake.Acceptor`."""
        self._recovery.end_again(run, payload, record)

    def _resume(self, message: ActivationMessage, began: bool) -> None:
        self._messages[message.activation_id] = message
        self._idle.clear()
        if began:
            self._refuse(message, error_of(RESTARTED, Outcome.PLATFORM_ERROR).result)
        else:
            self.begin_accepted(message)

    def drop(self, run: str, epoch: int) -> None:
        """See `intake.Acceptor`."""
        message, dropped = self._messages.get(run), self._runs.get(run)
        if message is None or message.epoch >= epoch:
            return
        del self._messages[run]
        self._journal.ended(run)
        self._teller.forget(run)
        self._outbox.flush()
        self._spooled.forget(run)
        if dropped is not None:
            dropped.drop()
        self._maybe_idle()

    def listen(self) -> None:
        """Take runs from the bus."""
        self._intake.listen()

    def holds(self, run: str) -> bool:
        """See `intake.Acceptor`."""
        return run in self._messages

    def accept(self, message: ActivationMessage, payload: bytes | memoryview) -> bool:
        """See `intake.Acceptor`."""
        run = message.activation_id
        self._messages[run] = message
        self._idle.clear()
        if self._outbox.full:
            self._refuse(message, error_of(STORE_AWAY, Outcome.PLATFORM_ERROR).result)
            return False
        try:
            self._journal.accepted(run, payload)
            self._journal.flush()
        except OSError:
            _log.exception("journal cannot be written")
            self._refuse(message, error_of(str(JournalFull()), Outcome.PLATFORM_ERROR).result)
            return False
        return True

    def begin_accepted(self, message: ActivationMessage) -> None:
        """See `intake.Acceptor`."""
        if message.refusal is not None:
            status = Outcome.APPLICATION_ERROR
            self._refuse(message, error_of(message.refusal, status).result, status)
            return
        if message.graph is not None and message.spool is None and not message.blocking:
            self._teller.kept(message)
        program = self.actions.cached_program(message.graph, message.action, message.revision)
        if program is not None and message.spool is None:
            self._start(message, program)
        else:
            self.spawn(self._prepare(message), f"prepare {message.activation_id}")

    async def _prepare(self, message: ActivationMessage) -> None:
        try:
            program, parameters = await self._fetch(message)
        except DataflowError as error:
            status = Outcome(error.blame.value) if error.blame.value > 0 else Outcome.PLATFORM_ERROR
            self._refuse(message, error_of(str(error), status).result, status)
        except Exception:  # noqa: BLE001 - the intake's supervisor: whatever was accepted ends in a record
            _log.exception("run cannot be prepared", extra={"run": message.activation_id})
            self._refuse(message, error_of("Action could not be fetched.", Outcome.PLATFORM_ERROR).result)
        else:
            if message.activation_id in self._messages:  # else it was cancelled meanwhile
                self._start(message, program, parameters)

    async def _fetch(self, message: ActivationMessage) -> tuple[Program, Parameters | None]:
        run, spool, what = message.activation_id, message.spool, (message.graph, message.action, message.revision)
        program = self.actions.cached_program(*what)
        if program is None:
            program = await asyncio.to_thread(self.actions.fetch_program, *what)
        if spool is None:
            return program, None
        raw = await self._spooled.fetch(run, spool)
        kept = partial(self._teller.kept, message)
        if message.blocking and len(raw) <= SOON_BYTES:
            self._spooled.keep_soon(run, raw, kept)
        else:
            await self._spooled.keep(run, raw)
            kept()
        cut = partial(parameters_of_spool, raw, spool.members, wanted := run_members(program.graph))
        return program, cut() if is_quick(spool.members, wanted) else await asyncio.to_thread(cut)

    def _start(self, message: ActivationMessage, program: Program, parameters: Parameters | None = None) -> None:
        if message.epoch and begins_once(program.graph):
            self._refuse(message, error_of(OWNER_LOST, Outcome.PLATFORM_ERROR).result)
            return
        started_ms = message.started_ms
        spec = RunSpec(
            activation_id=message.activation_id,
            path=message.action,
            version=message.version,
            binding=message.binding,
            user=message.user,
            transid=message.transid,
            controller=message.controller,
            received_ms=round(self.clock.epoch_ms(self.clock.now())) if started_ms is None else started_ms,
            cause=message.cause,
            init_args=message.init_args,
            result_bytes=message.result_bytes,
            epoch=message.epoch,
            door=message.door,
        )
        try:
            run = Run(self, spec, program)
            self._runs[message.activation_id] = run
            run.start(parameters or run.parse(message.content or b"{}"))
        except (DataflowError, ValueError, RecursionError) as error:
            _log.exception("run cannot be started", extra={"run": message.activation_id})
            self._runs.pop(message.activation_id, None)
            self._refuse(message, error_of(f"The run cannot be started: {error}", Outcome.PLATFORM_ERROR).result)
            return
        if not run.over:
            self._prewarm(program, message.user)

    def _prewarm(self, program: Program, user: Identity) -> None:
        """Start containers of later steps before their data arrive."""
        calls = [call for call in program.graph.calls() if isinstance(call, ActionCall) and call.refusal is None]
        if len(calls) < 2:
            return
        docs = [(call, program.docs.get((call.name, call.revision))) for call in calls]
        self.containers.prewarm([(call, doc.code, user) for call, doc in docs if doc is not None])

    def _refuse(self, message: ActivationMessage, result: bytes, status: Outcome = Outcome.PLATFORM_ERROR) -> None:
        if self.halted or message.activation_id not in self._messages:
            return  # cancelled while it was prepared
        record = refusal_record(message, result, status, round(self.clock.epoch_ms(self.clock.now())))
        self._outbox.keep([record], message.user)
        self._messages.pop(message.activation_id, None)
        self._finish(message, record)

    # -- Host --------------------------------------------------------------------------------------

    def keep(self, records: Sequence[Activation], user: Identity) -> None:
        """See Host."""
        if not self.halted:
            self._outbox.keep(records, user)

    def place(self, datum: Stored) -> str | None:
        """See Host."""
        return self._outbox.place(datum)

    def begin(self, run: str) -> None:
        """See Host."""
        self._journal.began(run)
        try:
            self._journal.flush()
        except OSError as error:
            _log.exception("journal cannot be written")
            raise JournalFull from error

    def answered(self, run: str, record: Activation) -> None:
        """See Host."""
        message = self._messages.get(run)
        if message is not None and message.blocking and not self.halted:
            self._outbox.answer(message, record)

    def ended(self, run: Run, record: Activation) -> None:
        """See Host."""
        if self.halted:
            return
        message = self._messages.pop(run.activation_id, None)
        if message is not None:
            self._finish(message, record)

    def _finish(self, message: ActivationMessage, record: Activation) -> None:
        self._outbox.finish(message, record)
        if message.spool is not None:
            self._spooled.forget(message.activation_id)

    async def launch(self, message: ActivationMessage, graph: Graph) -> None:
        """See Host."""
        await asyncio.to_thread(self.actions.keep_graph, graph)
        if not self.halted and self.accept(message, message.encode()):
            self.begin_accepted(message)

    def adopt(self, run: Run) -> None:
        """See Host."""
        self._family[run.activation_id] = run

    def forget(self, run: Run) -> None:
        """See Host."""
        if self._find(run.activation_id) is run:  # one that was dropped may have come back under a later epoch
            self._family.pop(run.activation_id, None)
            self._runs.pop(run.activation_id, None)
            self._released(run.activation_id)
        self._maybe_idle()

    def later(self, delay_s: float, call: Callable[[], None]) -> Callable[[], None]:
        """See Host."""
        return self._loop.call_later(delay_s, call).cancel

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """See Host."""
        self._tasks.spawn(work, name)

    # -- doors -------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Return once all records made so far are in the store."""
        await self._outbox.settle()

    async def result(self, name: str) -> bytes | None:
        """Return the bytes of a large result that a completion named."""
        return await self._outbox.result(name)

    def cancel(self, activation_id: str, namespace: str) -> str:
        """End a run of this namespace; return `cancelled`, `ended` or `unknown`.

        Of a run that has been let go of, only its record tells whether it ended or never was: `unknown`.
        """
        run = self._runs.get(activation_id)
        if run is not None and run.spec.user.namespace == namespace:
            if run.over:
                return "ended"
            run.cancel(CANCELLED)
            return "cancelled"
        message = self._messages.get(activation_id)
        if run is None and message is not None and message.user.namespace == namespace:
            # What it needs is still being fetched; `_prepare` finds that it is over.
            self._refuse(message, error_of(CANCELLED, Outcome.APPLICATION_ERROR).result, Outcome.APPLICATION_ERROR)
            return "cancelled"
        return "unknown"

    def trace(self, activation_id: str, namespace: str) -> dict[str, Any] | None:
        """Return what a run of this namespace that is here has come to; see `traces.trace_of`."""
        run = self._find(activation_id)
        return None if run is None or run.spec.user.namespace != namespace else trace_of(run)

    def fail_youngest(self, owners: Sequence[str], sentence: str) -> str | None:
        """Fail the youngest of the runs (`namespace/run`) that wait for room in the sink for good; return its id."""
        ids = [owner.rpartition("/")[2] for owner in owners]
        waiting = [run for run in map(self._find, ids) if run is not None and not run.over]
        if not waiting:
            return None
        youngest = max(waiting, key=lambda run: run.accepted)
        youngest.fail(sentence)
        return youngest.activation_id

    def _find(self, run: str) -> Run | None:
        return self._runs.get(run) or self._family.get(run)

    def is_live(self, run: str) -> bool:
        """Return whether a run has been accepted and has not let go of all it held, enclosed runs included."""
        return run in self._messages or self._find(run) is not None

    @property
    def active(self) -> int:
        """Runs accepted and not ended."""
        return len(self._messages)

    # -- stop --------------------------------------------------------------------------------------

    async def drain(self, within_s: float) -> None:
        """Take nothing more; wait for the runs at hand. What is not done then is resumed at the next start."""
        self._intake.stopped = True
        self._maybe_idle()
        try:
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("stopped with runs at hand", extra={"runs": len(self._messages)})

    def halt(self) -> None:
        """Stand still: the end of the containers, which comes next, is not the end of the runs at hand."""
        self._outbox.flush()
        self.halted = True

    async def close(self) -> None:
        """Let go: records to the store, journal to the disk."""
        await self._tasks.close()
        await self._outbox.close(CLOSE_S)
        self._journal.close()

    def _maybe_idle(self) -> None:
        if not self._messages and self._outbox.empty:
            self._idle.set()
