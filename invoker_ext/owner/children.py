"""Steps that name another workflow: a run of its own, whose end is told to the enclosing run as that of a function."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping

from action_runtime.wire.values import Head, Media
from invoker_ext.contract.graph import Graph, GraphKind, WorkflowCall
from invoker_ext.contract.records import Activation
from invoker_ext.dataflow.commands import Dispatch
from invoker_ext.dataflow.events import Committed, Drained, Event, How, Outcome, Returned
from invoker_ext.dataflow.keys import DataKey
from invoker_ext.owner.run_record import RunSpec
from invoker_ext.relay.results import split_json
from invoker_ext.sink.datum import Stored


def begins_once(graph: Graph) -> bool:
    """Return whether something in the graph must not begin twice, however deep."""
    if graph.kind is not GraphKind.DATAFLOW:
        return True
    return any(
        step.at_most_once or (isinstance(step.call, WorkflowCall) and begins_once(step.call.graph))
        for step in graph.steps
    )


def child_spec(parent: RunSpec, call: WorkflowCall, now_ms: float) -> RunSpec:
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
    firing, attempt = command.firing, command.attempt
    result = record.result or b"{}"
    counts: dict[str, tuple[How, int]] = {}
    error: Stored | None = None
    if record.status == Outcome.SUCCESS.value:
        split = split_json(result, wanted)
        counts = {name: (How(how), count) for name, (how, count) in split.counts.items()}
        for one in split.outputs:
            key = DataKey(firing.step, firing.tag, one.output, one.index)
            yield Committed(key, attempt, How(one.how), put(one.head, one.data), at)
    else:
        text = _error_json(result)
        error = put(Head(Media.JSON, len(text)), text)
    yield Returned(firing, attempt, Outcome(record.status), counts, error, at)
    yield Drained(firing, attempt, at)


def _error_json(result: bytes) -> bytes:
    try:
        return json.dumps(json.loads(result)["error"], ensure_ascii=False).encode()
    except (ValueError, KeyError, TypeError):
        return b'"The workflow failed."'
