"""The owner: takes runs from the bus, keeps them in its journal until they have ended, and tells their controller.

Order of safety, for every run: journalled, then committed on the bus, then begun; its records journalled, then the completion published,
then written to the store. A kill between any two of these loses nothing and repeats nothing that must not repeat.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from action_runtime.wire.errors import DataflowError
from invoker_ext.bus import Bus, Message
from invoker_ext.containers.job import Containers
from invoker_ext.contract.graph import Graph
from invoker_ext.contract.messages import ActivationMessage, Completion, Spool
from invoker_ext.contract.records import Activation
from invoker_ext.dataflow.events import Outcome
from invoker_ext.dataflow.plan import Plan
from invoker_ext.owner.actions import Actions
from invoker_ext.owner.clock import Clock
from invoker_ext.owner.host import Sink
from invoker_ext.owner.journal import Journal, Recovered
from invoker_ext.owner.outcomes import error_of
from invoker_ext.owner.recorder import Recorder
from invoker_ext.owner.run import Run
from invoker_ext.owner.run_record import RunSpec, refusal_record
from invoker_ext.store import ActivationStore

_log = logging.getLogger(__name__)

INLINE_RESULT_BYTES: Final = 1024 * 1024
"""A result above this is pulled at our door instead of travelling in the completion: the bus takes 1 MB (stock)."""
REMEMBERED: Final = 10_000
"""Ended runs whose repeated message is recognised; the bus repeats only what was not committed."""
RESTARTED: Final = (
    "The invoker was restarted after this activation had begun; it was not started a second time. "
    "Invoke it again if that is safe."
)
DISK_FULL: Final = (
    "The invoker cannot write its journal; its operator must free space on the disk of the data directory."
)
STORE_AWAY: Final = (
    "The store of activation records has been away for too long; no more runs are taken until it is back."
)


class PullParameters(Protocol):
    """How spooled parameters come from the controller's door."""

    async def __call__(self, spool: Spool) -> bytes:
        """Return the bytes of the JSON object; raises DataflowError where they cannot be had."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Identification:
    """Who this invoker is.

    Attributes:
        topic: Where its messages come from.
        instance: Stock InvokerInstanceId.
        door: Address of its peer door.
    """

    topic: str
    instance: dict[str, Any]
    door: str


class Owner:
    """Implements `owner.host.Host`. Lives on the loop."""

    def __init__(
        self,
        who: Identification,
        *,
        bus: Bus,
        journal: Journal,
        records: ActivationStore,
        sink: Sink,
        actions: Actions,
        pull: PullParameters,
        pending_bytes: int,
    ) -> None:
        self.who = who
        self.clock = Clock()
        self.sink = sink
        self.actions = actions
        self.containers: Containers
        self._bus = bus
        self._journal = journal
        self._records = records
        self._pull = pull
        self._loop = asyncio.get_running_loop()
        self._recorder = Recorder(records, self._stored, pending_bytes)
        self._runs: dict[str, Run] = {}
        self._family: dict[str, Run] = {}
        self._messages: dict[str, ActivationMessage] = {}
        self._recent: OrderedDict[str, Completion | None] = OrderedDict()
        self._held: dict[str, bytes] = {}
        self._fresh: list[Activation] = []
        self._ended: list[Completion] = []
        self._flushing = False
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: set[asyncio.Task[None]] = set()

    # -- intake ------------------------------------------------------------------------------------

    def recover(self, found: Recovered) -> None:
        """Take up what an earlier process left; call before `listen`."""
        done = {record.activation_id for record in found.records}
        for record in found.records:
            self._journal.record(record.activation_id, record.document_json()[0])
            self._recorder.add(record)
        for run in found.ended:
            self._remember(run, None)
        for run, left in found.runs.items():
            try:
                message = ActivationMessage.decode(left.message)
            except ValueError:
                _log.exception("journalled message cannot be read", extra={"run": run})
                continue
            if run in done:
                continue
            self._journal.accepted(run, left.message)
            self._messages[run] = message
            self._idle.clear()
            if left.began:
                self._refuse(message, error_of(RESTARTED, Outcome.PLATFORM_ERROR).result)
            else:
                self._begin(message)
        self._journal.flush()
        self._journal.settle()
        _log.info("journal recovered", extra={"runs": len(found.runs), "records": len(found.records)})

    def listen(self) -> None:
        """Take runs from the bus."""
        self._bus.subscribe(self.who.topic, self._on_message)

    def _on_message(self, message: Message) -> None:
        if self._draining:
            return  # not committed: the bus keeps it for whoever comes next
        try:
            run = ActivationMessage.decode(message.payload, message.headers.get("c", 0))
        except ValueError as error:
            _log.error("message dropped", extra={"error": str(error)})
            self._bus.commit(self.who.topic, message.offset)
            return
        if not self._known(run.activation_id):
            self._accept(run, message.payload)
        self._bus.commit(self.who.topic, message.offset)

    def _known(self, run: str) -> bool:
        if run in self._messages:
            return True
        if run not in self._recent:
            return False
        completion = self._recent[run]
        if completion is not None:
            self._publish(completion)
        else:
            self.spawn(self._repeat(run), f"repeat {run}")
        return True

    async def _repeat(self, run: str) -> None:
        """Answer again for a run that ended before; its record tells who asked only by namespace, so nobody is told."""
        await asyncio.wait_for(self._recorder.settle(), 10)

    def _accept(self, message: ActivationMessage, payload: bytes) -> None:
        run = message.activation_id
        self._messages[run] = message
        self._idle.clear()
        if self._recorder.full:
            self._refuse(message, error_of(STORE_AWAY, Outcome.PLATFORM_ERROR).result)
            return
        try:
            self._journal.accepted(run, payload)
            self._journal.flush()
        except OSError:
            _log.exception("journal cannot be written")
            self._refuse(message, error_of(DISK_FULL, Outcome.PLATFORM_ERROR).result)
            return
        self._begin(message)

    def _begin(self, message: ActivationMessage) -> None:
        graph = self._graph_of(message)
        if graph is not None and message.spool is None:
            self._start(message, graph, message.content or b"{}")
        else:
            self.spawn(self._prepare(message), f"prepare {message.activation_id}")

    def _graph_of(self, message: ActivationMessage) -> Graph | None:
        if message.graph is not None:
            return self.actions.cached_graph(message.graph)
        doc = self.actions.cached(message.action, message.revision)
        return doc.graph if doc is not None else None

    async def _prepare(self, message: ActivationMessage) -> None:
        try:
            if message.graph is not None:
                graph = await asyncio.to_thread(self.actions.fetch_graph, message.graph)
            else:
                doc = await asyncio.to_thread(self.actions.fetch, message.action, message.revision)
                graph = doc.graph
            content = message.content or b"{}"
            if message.spool is not None:
                content = await self._pull(message.spool)
        except DataflowError as error:
            status = Outcome(error.blame.value) if error.blame.value > 0 else Outcome.PLATFORM_ERROR
            self._refuse(message, error_of(str(error), status).result, status)
            return
        self._start(message, graph, content)

    def _start(self, message: ActivationMessage, graph: Graph, content: bytes) -> None:
        entity = self.actions.cached(message.action, message.revision)
        spec = RunSpec(
            activation_id=message.activation_id,
            path=message.action,
            version=message.version,
            binding=message.binding,
            user=message.user,
            transid=message.transid,
            controller=message.controller,
            received_ms=message.transid[1],
            cause=message.cause,
            topmost=message.cause is None,
            limits=entity.limits if entity is not None else {},
            init_args=message.init_args,
        )
        run = Run(self, spec, graph)
        self._runs[message.activation_id] = run
        run.start(content)
        if run.over:
            return
        later = [call for call in Plan.of(graph).later_calls if self.actions.cached(call.name, call.revision)]
        if later:
            docs = [(call, self.actions.cached(call.name, call.revision)) for call in later]
            self.containers.prewarm([(call, doc.code, message.user) for call, doc in docs if doc is not None])

    def _refuse(self, message: ActivationMessage, result: bytes, status: Outcome = Outcome.PLATFORM_ERROR) -> None:
        record = refusal_record(message, result, status, round(self.clock.epoch_ms(self.clock.now())))
        self.keep([record])
        self._finish(message, record)

    # -- Host --------------------------------------------------------------------------------------

    def keep(self, records: Sequence[Activation]) -> None:
        """See Host."""
        for record in records:
            self._journal.record(record.activation_id, record.document_json()[0])
        self._fresh.extend(records)
        self._flush_soon()

    def begin(self, run: str) -> None:
        """See Host."""
        self._journal.began(run)
        try:
            self._journal.flush()
        except OSError:
            _log.exception("journal cannot be written")

    def ended(self, run: Run, record: Activation) -> None:
        """See Host."""
        message = self._messages.get(run.activation_id)
        if message is not None:
            self._finish(message, record)

    def adopt(self, run: Run) -> None:
        """See Host."""
        self._family[run.activation_id] = run

    def forget(self, run: Run) -> None:
        """See Host."""
        self._family.pop(run.activation_id, None)
        self._runs.pop(run.activation_id, None)
        self._maybe_idle()

    def later(self, delay_s: float, call: Callable[[], None]) -> Callable[[], None]:
        """See Host."""
        return self._loop.call_later(delay_s, call).cancel

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """See Host."""
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task failed", extra={"task": task.get_name(), "error": repr(error)}, exc_info=error)

    # -- completion --------------------------------------------------------------------------------

    def _finish(self, message: ActivationMessage, record: Activation) -> None:
        self._messages.pop(message.activation_id, None)
        self._journal.ended(message.activation_id)
        shown = record.without_logs() if message.graph is None else record
        large: tuple[str, str, int] | None = None
        result = record.result
        if result is not None and len(result) > INLINE_RESULT_BYTES + _TRUNCATION_BYTES:
            self._held[record.activation_id] = result
            large = (self.who.door, f"{record.namespace}/{record.activation_id}", len(result))
            shown = replace(shown, result=None)
        completion = Completion(message.transid, shown, large, message.controller)
        self._remember(message.activation_id, completion if result is None or len(result) < _SMALL else None)
        self._ended.append(completion)
        self._flush_soon()

    def _remember(self, run: str, completion: Completion | None) -> None:
        self._recent[run] = completion
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Once a tick: make everything safe that happened in it, then let others see it."""
        self._flushing = False
        try:
            self._journal.flush()
        except OSError:
            _log.exception("journal cannot be written; records go to the store without it")
        fresh, self._fresh = self._fresh, []
        for record in fresh:
            self._recorder.add(record)
        ended, self._ended = self._ended, []
        for completion in ended:
            self._publish(completion)
        self._maybe_idle()

    def _publish(self, completion: Completion) -> None:
        headers, payload = completion.encode(self.who.instance)
        self._bus.publish(f"completed{completion.controller}", Message(payload, headers))

    def _stored(self, ids: Sequence[str]) -> None:
        for activation_id in ids:
            self._journal.stored(activation_id)
            self._held.pop(activation_id, None)

    # -- doors -------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Return once all records made so far are in the store."""
        self._flush()
        await self._recorder.settle()

    async def result(self, name: str) -> bytes | None:
        """Return the bytes of a large result that a completion named (`namespace/activation id`)."""
        namespace, _, activation_id = name.rpartition("/")
        held = self._held.get(activation_id)
        if held is not None:
            return held
        record = await asyncio.to_thread(self._records.get, namespace, activation_id)
        return record.result if record is not None else None

    def cancel(self, activation_id: str) -> str:
        """End a run; return `cancelled`, `ended` or `unknown`."""
        run = self._runs.get(activation_id)
        if run is None or run.over:
            return "ended" if activation_id in self._recent or run is not None else "unknown"
        run.cancel("The run was cancelled by its user.")
        return "cancelled"

    def trace(self, activation_id: str) -> dict[str, Any] | None:
        """Return `{"ids", "ended"}` of a run that is here: its firings so far."""
        run = self._runs.get(activation_id) or self._family.get(activation_id)
        return None if run is None else {"ids": list(run.firing_ids), "live": run.live(), "ended": run.over}

    def on_stuck(self, runs: Sequence[str], sentence: str) -> None:
        """Fail the youngest of the runs that wait for room in the sink for good."""
        waiting = [self._runs[run] for run in runs if run in self._runs] or list(self._runs.values())
        if waiting:
            max(waiting, key=lambda run: run.accepted).fail(sentence)

    @property
    def active(self) -> int:
        """Runs accepted and not ended."""
        return len(self._messages)

    # -- stop --------------------------------------------------------------------------------------

    async def drain(self, within_s: float) -> None:
        """Take nothing more; wait for the runs at hand. What is not done then is resumed at the next start."""
        self._draining = True
        self._maybe_idle()
        try:
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("stopped with runs at hand", extra={"runs": len(self._messages)})

    async def close(self) -> None:
        """Let go: records to the store, journal to the disk."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._flush()
        await self._recorder.close(5.0)
        self._journal.close()

    def _maybe_idle(self) -> None:
        if not self._messages and not self._ended:
            self._idle.set()


_SMALL: Final = 64 * 1024
_TRUNCATION_BYTES: Final = 4096
"""The text of a truncated response stands around its first megabyte."""
