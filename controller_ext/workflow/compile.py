"""A checked native workflow and the actions its names stand for → Graph."""

from __future__ import annotations

from typing import Final, Protocol

from controller_ext.workflow.definition import Definition, Repeat, StepDefinition
from controller_ext.workflow.errors import DefinitionError, Finding, WorkflowInvalid
from invoker_ext.contract.graph import ActionCall, Graph, GraphKind, Step, WorkflowCall
from invoker_ext.contract.regions import Region, RegionKind

MAX_GRAPH_STEPS: Final = 10_000
_HERE: Final = "_"


class Resolver(Protocol):
    """Knows what a name stands for at this moment."""

    def resolve(self, full_name: str) -> ActionCall | WorkflowCall | None:
        """Return what `namespace/[package/]name` runs, bindings followed; None: there is no such action.

        Raises:
            DefinitionError: It is a workflow that cannot be compiled itself.
        """


def compile_workflow(definition: Definition, home: str, resolver: Resolver) -> Graph:
    """Return the graph, each step's action fixed as it is now.

    Args:
        definition: From `native.parse`.
        home: `namespace` or `namespace/package` of the workflow; relative names are looked up there.
        resolver: Asked once a name.

    Raises:
        WorkflowInvalid: Actions are missing, nested workflows cannot be compiled (one finding each, naming step and
            action), or the whole is too large.
    """
    calls: dict[str, ActionCall | WorkflowCall | DefinitionError | None] = {}
    findings: list[Finding] = []
    steps: list[Step] = []
    for step in definition.steps:
        names = candidates(step.action, home)
        for name in names:
            if name not in calls:
                calls[name] = _resolved(resolver, name)
        call = next((found for name in names if (found := calls[name]) is not None), None)
        if isinstance(call, ActionCall | WorkflowCall):
            steps.append(_placed(step, call))
        else:
            sentence = _missing(step, names) if call is None else f"step `{step.name}` cannot run: {call}"
            findings.append(Finding(("steps", step.name, "action"), sentence, step.line))
    if findings:
        raise WorkflowInvalid(findings)
    graph = Graph(kind=GraphKind.DATAFLOW, steps=tuple(steps), result=definition.result, timeout_s=definition.timeout_s)
    check_size(graph)
    return graph


def check_size(graph: Graph) -> None:
    """Raise WorkflowInvalid if a graph has more steps, nested ones counted wherever they stand, than can travel."""
    if _size(graph, {}) > MAX_GRAPH_STEPS:
        raise WorkflowInvalid([Finding((), f"the nested workflows have more than {MAX_GRAPH_STEPS} steps together")])


def _size(graph: Graph, known: dict[int, int]) -> int:
    """Return the number of steps; a graph that stands in many places is one object and counted once."""
    if id(graph) not in known:
        known[id(graph)] = len(graph.steps) + sum(
            _size(call.graph, known) for call in graph.calls() if isinstance(call, WorkflowCall)
        )
    return known[id(graph)]


def _resolved(resolver: Resolver, name: str) -> ActionCall | WorkflowCall | DefinitionError | None:
    try:
        return resolver.resolve(name)
    except DefinitionError as error:
        return error


def candidates(action: str, home: str) -> tuple[str, ...]:
    """Return the full names that a step's action may stand for, the first that exists wins.

    A bare name is looked up in the workflow's package, then in the default package of its namespace. `pkg/name` is in
    that namespace, `/ns/[pkg/]name` is full; `_` as namespace is the workflow's.

    Args:
        action: As written in a step.
        home: `namespace` or `namespace/package` of the workflow.
    """
    namespace = home.partition("/")[0]
    parts = action.removeprefix("/").split("/")
    if action.startswith("/") or len(parts) == 3 or parts[0] == _HERE:
        owner = namespace if parts[0] == _HERE else parts[0]
        return ("/".join((owner, *parts[1:])),)
    if len(parts) == 2:
        return (f"{namespace}/{action}",)
    return tuple(dict.fromkeys((f"{home}/{action}", f"{namespace}/{action}")))


def _missing(step: StepDefinition, names: tuple[str, ...]) -> str:
    where = " or ".join(f"/{name}" for name in names)
    return f"step `{step.name}` runs action `{step.action}`, which does not exist as {where}: create it first"


def _placed(step: StepDefinition, call: ActionCall | WorkflowCall) -> Step:
    timeout_s = step.timeout_s
    if timeout_s is not None and isinstance(call, ActionCall):
        # Never above the action's own limit, which may be lowered long after the workflow was deployed.
        timeout_s = min(timeout_s, call.timeout_ms / 1000)
    return Step(
        name=step.name,
        call=call if step.repeat is None else _repeated(call, step.repeat),
        inputs=step.inputs,
        scope=step.scope,
        attempts=step.attempts,
        backoff_s=step.backoff_s,
        timeout_s=timeout_s,
        at_most_once=step.at_most_once,
    )


def _repeated(call: ActionCall | WorkflowCall, repeat: Repeat) -> Region:
    once = Region(kind=RegionKind.CALL, call=call)
    return Region(kind=RegionKind.REPEAT, parts=(once,), condition=repeat.condition, most=repeat.most)
