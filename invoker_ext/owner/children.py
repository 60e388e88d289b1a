"""Steps that name another workflow: a run of its own, whose end is told to the enclosing run as that of a function."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from action_runtime.wire.errors import DataflowError
from action_runtime.wire.values import Head, Media
from invoker_ext.contract.graph import Graph, GraphKind, WorkflowCall
from invoker_ext.contract.records import Activation
from invoker_ext.dataflow.commands import Bound, Dispatch
from invoker_ext.dataflow.events import Committed, Drained, Event, How, Lost, Outcome, Returned
from invoker_ext.dataflow.keys import DataKey, Firing
from invoker_ext.dataflow.regions.threads import Account
from invoker_ext.owner.host import Copy, Ear
from invoker_ext.owner.named import Docs
from invoker_ext.owner.run_record import RunSpec
from invoker_ext.relay.json_form import data_of, localised, object_json
from invoker_ext.relay.results import Split, split_json
from invoker_ext.sink.datum import Stored

if TYPE_CHECKING:
    from invoker_ext.owner.run import Run

_log = logging.getLogger(__name__)


Make = Callable[[RunSpec, Graph, Docs, Callable[["Run", Outcome], None]], "Run"]


class Children:
    """The runs inside one run. Lives on the loop."""

    def __init__(self, run: Run, make: Make) -> None:
        """Start without any.

        Args:
            run: That encloses them.
            make: Makes one that calls back at its end.
        """
        self._run = run
        self._make = make
        self._at_work: dict[Firing, Run] = {}

    def __bool__(self) -> bool:
        """Whether one is at work."""
        return bool(self._at_work)

    def call(
        self,
        command: Dispatch,
        call: WorkflowCall,
        ear: Ear,
        account: Account | None = None,
        docs: Docs = MappingProxyType({}),
    ) -> None:
        """Start the run that a firing is; what it reads of other hosts is pulled before.

        Args:
            command: That asks for it.
            call: What it runs.
            ear: Hears of its end.
            account: What a composition may use up, if it shares that.
            docs: Actions that are not of the enclosing run's graph.
        """
        if any(datum.elsewhere for bound in command.inputs for datum in data_of(bound.value)):
            work = self._call_with(command, call, ear, account, docs)
            self._run.host.spawn(work, f"run inside {self._run.activation_id}")
        else:
            self._start(command, call, ear, account, docs, object_json(command.inputs))

    async def _call_with(
        self, command: Dispatch, call: WorkflowCall, ear: Ear, account: Account | None, docs: Docs
    ) -> None:
        run = self._run
        try:
            parameters = await parameters_of(command.inputs, run.host.copy)
        except DataflowError as error:
            _log.warning("data cannot be had", extra={"run": run.activation_id, "error": str(error)})
            now, outcome = run.host.clock.now(), Outcome.PLATFORM_ERROR
            ear.post(Lost(command.firing, command.attempt, False, now, outcome, str(error)))
        else:
            self._start(command, call, ear, account, docs, parameters)
            if run.over:
                self.cancel()

    def _start(
        self, command: Dispatch, call: WorkflowCall, ear: Ear, account: Account | None, docs: Docs, parameters: bytes
    ) -> None:
        run, clock = self._run, self._run.host.clock
        spec = child_spec(run.spec, call, clock.epoch_ms(clock.now()), account)
        child = self._make(spec, call.graph, docs, partial(self._ended, command, ear))
        run.own_tally.ids.append(spec.activation_id)
        self._at_work[command.firing] = child
        run.host.adopt(child)
        child.start(child.parse(with_defaults(call.parameters, parameters)))

    def _ended(self, command: Dispatch, ear: Ear, child: Run, outcome: Outcome) -> None:
        run = self._run
        self._at_work.pop(command.firing, None)
        run.note_duration(child.record.duration_ms or 0)
        run.own_tally.add_bytes(child.tally)
        run.own_tally.memory_mb = max(run.own_tally.memory_mb, child.memory_mb)
        run.note_size(command.firing, child.record.size)
        wanted = ear.wants(command.step.name)
        for event in child_events(command, child.record, wanted, run.put, run.host.clock.now()):
            ear.post(event)

    def cancel(self) -> None:
        """End them all."""
        for child in list(self._at_work.values()):
            child.cancel("the enclosing run has ended")


def begins_once(graph: Graph) -> bool:
    """Return whether something in the graph must not begin twice, however deep."""
    if graph.kind is not GraphKind.DATAFLOW:
        return True
    inner = (call.graph for call in graph.calls() if isinstance(call, WorkflowCall))
    return any(step.at_most_once for step in graph.steps) or any(map(begins_once, inner))


def with_defaults(defaults: str, text: bytes) -> bytes:
    """Return what a run is given over its own parameters; what is no object has none under it.

    Args:
        defaults: JSON object of these.
        text: JSON of what it is given.
    """
    if defaults == "{}" or not text.lstrip().startswith(b"{"):
        return text
    return json.dumps(json.loads(defaults) | json.loads(text), ensure_ascii=False).encode()


async def parameters_of(inputs: Sequence[Bound], copy: Copy) -> bytes:
    """Return what a run inside is given, as JSON; pulls what other hosts hold.

    Raises:
        DataflowError: It cannot be had.
    """
    copies: dict[int, Stored] = {}
    try:
        for datum in (datum for bound in inputs for datum in data_of(bound.value)):
            if datum.elsewhere and id(datum) not in copies:
                copies[id(datum)] = await copy(datum)
        return object_json([Bound(bound.name, localised(bound.value, copies)) for bound in inputs])
    finally:
        for here in copies.values():
            here.release()


def child_spec(parent: RunSpec, call: WorkflowCall, now_ms: float, account: Account | None = None) -> RunSpec:
    """Return what the run inside a run is told."""
    return RunSpec(
        activation_id=os.urandom(16).hex(),
        path=call.name,
        version=call.version,
        binding=None,
        user=parent.user,
        transid=parent.transid,
        controller=parent.controller,
        received_ms=now_ms,
        cause=parent.activation_id,
        epoch=parent.epoch,
        account=account if call.graph.kind is GraphKind.COMPOSITION else None,
        door=parent.door,
        level=parent.level + 1,
        naming=parent.naming,
    )


def child_events(
    command: Dispatch, record: Activation, wanted: Mapping[str, str], put: Callable[[Head, bytes], Stored], at: float
) -> Iterator[Event]:
    """Yield what the machine of the enclosing run must hear of the end of one inside it.

    Args:
        command: That started it.
        record: Of the run inside.
        wanted: Outputs of the step that somebody reads.
        put: Makes data of its result.
        at: Monotonic seconds.
    """
    outcome, result = Outcome(record.status), record.result or b"{}"
    text = result if outcome is Outcome.SUCCESS else _error_json(result)
    yield from whole_events(command, outcome, text, wanted, put, at)
    yield Drained(command.firing, command.attempt, at)


def whole_events(
    command: Dispatch,
    outcome: Outcome,
    text: bytes,
    wanted: Mapping[str, str],
    put: Callable[[Head, bytes], Stored],
    at: float,
) -> Iterator[Event]:
    """Yield what a machine must hear of a firing that came to something as a whole.

    Args:
        command: That asked for it.
        outcome: How it ended.
        text: JSON of its result, or of the value of `error`.
        wanted: Outputs that somebody reads.
        put: Makes data.
        at: Monotonic seconds.
    """
    if outcome is Outcome.SUCCESS:
        yield from cut_events(command, split_json(text, wanted), put, at)
    else:
        yield failed_event(command, outcome, text, put, at)


def cut_events(
    command: Dispatch, split: Split, put: Callable[[Head, bytes], Stored], at: float
) -> Iterator[Committed | Returned]:
    """Yield the same of a success whose outputs were cut out."""
    firing, attempt = command.firing, command.attempt
    for one in split.outputs:
        key = DataKey(firing.step, firing.tag, one.output, one.index)
        yield Committed(key, attempt, How(one.how), put(one.head, one.data), at)
    counts = {name: (How(how), count) for name, (how, count) in split.counts.items()}
    yield Returned(firing, attempt, Outcome.SUCCESS, counts, None, at)


def failed_event(
    command: Dispatch, outcome: Outcome, text: bytes, put: Callable[[Head, bytes], Stored], at: float
) -> Returned:
    """Return the same of a failure, whose value of `error` is JSON text."""
    return Returned(command.firing, command.attempt, outcome, {}, put(Head(Media.JSON, len(text)), text), at)


def _error_json(result: bytes) -> bytes:
    try:
        return json.dumps(json.loads(result)["error"], ensure_ascii=False).encode()
    except (ValueError, KeyError, TypeError):
        return b'"The workflow failed."'
