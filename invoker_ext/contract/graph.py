"""The compiled graph: immutable, content-addressed, what every front end compiles to and the engine runs.

Scopes. A step below an `each` runs once per item; `Step.scope` names, outermost first, the levels around it. A level
is named by the step whose items it ranges over, so two `each` on outputs of the same step open the same level. A firing
of a step with a scope of depth d carries a tag of d indices.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

from action_runtime.wire.values import ERROR, RUN, WHOLE
from invoker_ext.contract.edges import Edge, EdgeKind, Input, Source, input_from_json, input_to_json, whole_of
from invoker_ext.contract.inline import Evaluator
from invoker_ext.contract.regions import Region, region_from_json, region_to_json

__all__ = [
    "ERROR", "RUN", "WHOLE", "ActionCall", "Edge", "EdgeKind", "Fault", "Graph", "GraphKind", "Input", "OwnLimits",
    "Region", "Source", "Step", "WorkflowCall", "action_graph", "whole_of",
]  # fmt: skip

FORMAT: Final = 1


@dataclass(slots=True, frozen=True, kw_only=True)
class ActionCall:
    """A step that runs an action, fixed when the run is accepted.

    Attributes:
        name: `namespace/[package/]name` of the provider's action, binding followed.
        version: `0.0.3`.
        revision: Of the action's document; None: the newest.
        binding: `namespace/package` of the binding it was named through.
        kind: Runtime kind; `python:3.11`.
        memory_mb, timeout_ms, logs_mb, concurrency: The action's limits.
        parameters: Compact JSON object of package < binding < action parameters, a default for each argument.
        init_names: Parameters that go to the environment at init.
        refusal: Why nothing is executed: a firing fails with it as an application error, and has a record; None: it is.
    """

    name: str
    version: str
    revision: str | None
    kind: str
    memory_mb: int
    timeout_ms: int
    logs_mb: int
    concurrency: int = 1
    binding: str | None = None
    parameters: str = "{}"
    init_names: tuple[str, ...] = ()
    refusal: str | None = None


@dataclass(slots=True, frozen=True)
class WorkflowCall:
    """A step that runs another graph as a run of its own, whose record has this run as its cause.

    Attributes:
        name, version: Of the entity.
        graph: What it runs.
        parameters: Compact JSON object of its own parameters, a default for each argument.
    """

    name: str
    version: str
    graph: Graph
    parameters: str = "{}"


@dataclass(slots=True, frozen=True)
class Fault:
    """A step that cannot run: its firing fails at once with `error` and leaves no record (stock sequence semantics)."""

    error: str
    status: int = 1


@dataclass(slots=True, frozen=True, kw_only=True)
class Step:
    """A vertex.

    Attributes:
        name: Unique in the graph.
        call: What a firing does.
        inputs: In order; later ones win over earlier ones of the same name.
        scope: Levels around it, outermost first.
        attempts: Executions in all on application errors; ≥ 1.
        backoff_s: Wait before the second attempt; doubled for each further one.
        timeout_s: Per attempt, from the start of the function; None: the action's own.
        at_most_once: Never executed again once its function began.
    """

    name: str
    call: ActionCall | WorkflowCall | Fault | Region
    inputs: tuple[Input, ...] = ()
    scope: tuple[str, ...] = ()
    attempts: int = 1
    backoff_s: float = 0.0
    timeout_s: float | None = None
    at_most_once: bool = False


class GraphKind(Enum):
    """Which front end made it; decides records and failure semantics of the run."""

    ACTION = "action"
    """One plain action: the firing's record is the run's record."""
    SEQUENCE = "sequence"
    COMPOSITION = "composition"
    """A composition of Composer: one step, whose region it is. Records and bounds are those of a sequence."""
    DATAFLOW = "dataflow:1"


@dataclass(slots=True, frozen=True)
class OwnLimits:
    """Limits of a workflow's own entity: the records of its runs show them.

    Those of a sequence or workflow bound nothing (as stock). The time of a composition bounds how long its functions
    may go on between two actions, its memory counts for its record, and so many actions it may run (in each branch).
    """

    timeout_ms: int = 60_000
    logs_mb: int = 10
    memory_mb: int = 0
    actions: int = 50


@dataclass(slots=True, frozen=True, kw_only=True)
class Graph:
    """A whole workflow.

    Attributes:
        kind: Which front end made it.
        steps: In topological order.
        result: What the run results in: one Input named WHOLE, or one a member. Edges as everywhere.
        timeout_s: Bound of the whole run; None: none.
        limits: For the record.
        evaluator: Of inline functions; None: the engine beside the invoker.
    """

    kind: GraphKind
    steps: tuple[Step, ...]
    result: tuple[Input, ...]
    timeout_s: float | None = None
    limits: OwnLimits = OwnLimits()
    evaluator: Evaluator | None = None
    _digest: str = field(default="", compare=False, repr=False)

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the canonical JSON: the graph's name in messages, stores and caches."""
        if not self._digest:
            text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
            object.__setattr__(self, "_digest", hashlib.sha256(text.encode()).hexdigest())
        return self._digest

    def size_bytes(self) -> int:
        """Return about how much memory it takes: parameters of actions and texts of functions can be large."""
        texts = sum(step.call.text_bytes() for step in self.steps if isinstance(step.call, Region))
        return texts + sum(_size_bytes(call) for call in self.calls())

    def to_json(self) -> dict[str, Any]:
        """Return the stored form; `from_json` is its inverse."""
        document: dict[str, Any] = {
            "format": FORMAT,
            "kind": self.kind.value,
            "steps": [_step_to_json(step) for step in self.steps],
            "result": [input_to_json(one) for one in self.result],
            "timeout_s": self.timeout_s,
        }
        if self.limits != OwnLimits():
            own = self.limits
            document["limits"] = [own.timeout_ms, own.logs_mb, own.memory_mb, own.actions]
        if self.evaluator is not None:
            document["evaluator"] = [self.evaluator.kind, self.evaluator.passes_key]
        return document

    def calls(self) -> Iterator[ActionCall | WorkflowCall | Fault]:
        """Yield what its steps call, those in regions included, those of workflows inside not."""
        for step in self.steps:
            if isinstance(step.call, Region):
                yield from step.call.calls()
            else:
                yield step.call

    @property
    def names_by_data(self) -> bool:
        """Whether something in it, however deep, names an action only when it runs."""
        regions = (step.call for step in self.steps if isinstance(step.call, Region))
        inner = (call.graph for call in self.calls() if isinstance(call, WorkflowCall))
        return any(one.names_by_data for one in regions) or any(one.names_by_data for one in inner)

    def with_calls(self, change: Callable[[ActionCall | WorkflowCall | Fault], Any]) -> Graph:
        """Return it with every one of them replaced."""
        steps = (
            replace(step, call=step.call.with_calls(change) if isinstance(step.call, Region) else change(step.call))
            for step in self.steps
        )
        return replace(self, steps=tuple(steps), _digest="")

    def limited(self, timeout_ms: int, logs_mb: int) -> Graph:
        """Return this graph as that of an entity with these limits."""
        limits = replace(self.limits, timeout_ms=timeout_ms, logs_mb=logs_mb)
        return self if limits == self.limits else replace(self, limits=limits, _digest="")

    @staticmethod
    def from_json(document: dict[str, Any]) -> Graph:
        """Read the stored form.

        Raises:
            ValueError: A newer format, or not a graph.
        """
        if document.get("format") != FORMAT:
            raise ValueError(f"graph format {document.get('format')!r} is not {FORMAT}")
        return Graph(
            kind=GraphKind(document["kind"]),
            steps=tuple(_step_from_json(step) for step in document["steps"]),
            result=tuple(input_from_json(one) for one in document["result"]),
            timeout_s=document["timeout_s"],
            limits=OwnLimits(*document.get("limits", ())),
            evaluator=Evaluator(*document["evaluator"]) if "evaluator" in document else None,
        )


_CALL_BYTES: Final = 2048


def _size_bytes(call: ActionCall | WorkflowCall | Fault) -> int:
    match call:
        case ActionCall(parameters=parameters):
            return _CALL_BYTES + len(parameters)
        case WorkflowCall(graph=graph, parameters=parameters):
            return _CALL_BYTES + len(parameters) + graph.size_bytes()
        case Fault():
            return _CALL_BYTES


def action_graph(call: ActionCall) -> Graph:
    """Return the graph of a plain action: one step, all parameters in, the whole result out."""
    step = Step(name="action", call=call, inputs=(whole_of(RUN),), at_most_once=True)
    return Graph(kind=GraphKind.ACTION, steps=(step,), result=(whole_of("action"),))


def call_to_json(call: ActionCall | WorkflowCall | Fault | Region) -> dict[str, Any]:
    match call:
        case Region():
            return region_to_json(call, call_to_json)
        case WorkflowCall():
            inner: dict[str, Any] = {"workflow": call.name, "version": call.version, "graph": call.graph.to_json()}
            if call.parameters != "{}":
                inner["parameters"] = call.parameters
            return inner
        case Fault():
            return {"fault": call.error, "status": call.status}
        case ActionCall():
            document: dict[str, Any] = {
                "action": call.name,
                "version": call.version,
                "revision": call.revision,
                "kind": call.kind,
                "limits": [call.memory_mb, call.timeout_ms, call.logs_mb, call.concurrency],
                "binding": call.binding,
                "parameters": call.parameters,
                "init": list(call.init_names),
            }
            if call.refusal is not None:
                document["refusal"] = call.refusal
            return document


def call_from_json(document: dict[str, Any]) -> ActionCall | WorkflowCall | Fault:
    if "workflow" in document:
        graph = Graph.from_json(document["graph"])
        return WorkflowCall(document["workflow"], document["version"], graph, document.get("parameters", "{}"))
    if "fault" in document:
        return Fault(document["fault"], document["status"])
    memory_mb, timeout_ms, logs_mb, concurrency = document["limits"]
    return ActionCall(
        name=document["action"],
        version=document["version"],
        revision=document["revision"],
        kind=document["kind"],
        memory_mb=memory_mb,
        timeout_ms=timeout_ms,
        logs_mb=logs_mb,
        concurrency=concurrency,
        binding=document["binding"],
        parameters=document["parameters"],
        init_names=tuple(document["init"]),
        refusal=document.get("refusal"),
    )


def _step_to_json(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "call": call_to_json(step.call),
        "inputs": [input_to_json(one) for one in step.inputs],
        "scope": list(step.scope),
        "retry": [step.attempts, step.backoff_s],
        "timeout_s": step.timeout_s,
        "at_most_once": step.at_most_once,
    }


def _step_from_json(document: dict[str, Any]) -> Step:
    attempts, backoff_s = document["retry"]
    return Step(
        name=document["name"],
        call=(
            region_from_json(document["call"], call_from_json)
            if "region" in document["call"]
            else call_from_json(document["call"])
        ),
        inputs=tuple(input_from_json(one) for one in document["inputs"]),
        scope=tuple(document["scope"]),
        attempts=attempts,
        backoff_s=backoff_s,
        timeout_s=document["timeout_s"],
        at_most_once=document["at_most_once"],
    )
