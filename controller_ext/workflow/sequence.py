"""Stock's sequence as a graph, with its checks and texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from controller_ext.workflow.compile import Resolver, check_size
from controller_ext.workflow.definition import Definition, StepDefinition
from invoker_ext.contract.graph import (
    RUN,
    Fault,
    Graph,
    GraphKind,
    Step,
    WorkflowCall,
    whole_of,
)

MAX_ACTIONS: Final = 50
"""Default bound of atomic actions in a sequence, nested ones inlined."""
NO_COMPONENT: Final = "No component specified for the sequence."
TOO_MANY: Final = "Too many actions in the sequence."
MISSING: Final = "Sequence component does not exist."
CYCLE: Final = "Sequence may not refer to itself."


def compile_sequence(components: Sequence[str], resolver: Resolver, limit: int = MAX_ACTIONS) -> Graph:
    """Return the graph of a sequence: a chain along which each edge carries the whole result.

    What stock finds out while it runs is in the graph as a Fault at that place: a component that is gone, and the first
    one for which no turn is left because `limit` atomic actions have run, counted through nested sequences.

    Args:
        components: `[/]namespace/[package/]name` of each, as stored; at least one.
        resolver: A nested sequence comes back as a WorkflowCall.
        limit: Atomic actions; ≥ 1.

    Raises:
        ValueError: No component.
        DefinitionError: A component is a native workflow that cannot be compiled, or the whole is too large.
    """
    if not components:
        raise ValueError(NO_COMPONENT)
    calls = [(component, resolver.resolve(component.removeprefix("/"))) for component in components]
    steps: list[Step] = []
    before = RUN
    for component, call in calls:
        name = _name(component, {step.name for step in steps})
        steps.append(
            Step(
                name=name,
                call=Fault(MISSING) if call is None else call,
                inputs=(whole_of(before),),
                at_most_once=True,
            )
        )
        before = name
    graph = Graph(kind=GraphKind.SEQUENCE, steps=tuple(steps), result=(whole_of(before),))
    bounded = _bounded(graph, 0, limit)[0]
    check_size(bounded)
    return bounded


def by_name(components: Sequence[str]) -> Definition:
    """Return a sequence with its actions by name only, for drawings.

    Args:
        components: As `compile_sequence`.
    """
    steps: list[StepDefinition] = []
    before = RUN
    for component in components:
        name = _name(component, {step.name for step in steps})
        steps.append(StepDefinition(name=name, action=component, inputs=(whole_of(before),)))
        before = name
    return Definition(steps=tuple(steps), result=(whole_of(before),))


@dataclass(slots=True, frozen=True)
class Component:
    """What a component's name stands for when a sequence is created.

    Attributes:
        name: `namespace/[package/]name`, bindings followed.
        components: Names of its own components; None: an atomic action.
    """

    name: str
    components: tuple[str, ...] | None = None


def check_components(
    name: str, components: Sequence[str], lookup: Callable[[str], Component | None], limit: int = MAX_ACTIONS
) -> str | None:
    """Return stock's text if a sequence must not be created (HTTP 400); None: it may.

    Args:
        name: `namespace/[package/]name` of the sequence, bindings followed.
        components: As `compile_sequence`.
        lookup: Full name → what it is now; None: missing.
        limit: Bound of direct components, and of atomic actions with nested sequences inlined.
    """
    if not components:
        return NO_COMPONENT
    outcome = _count(name, components, lookup, limit, {})
    if isinstance(outcome, str):
        return outcome
    return TOO_MANY if outcome > limit else None


def _count(
    name: str,
    components: Sequence[str],
    lookup: Callable[[str], Component | None],
    limit: int,
    counted: dict[str, int | None],
) -> int | str:
    """Return the number of atomic actions, or what is wrong. `counted` holds None while a sequence is being counted."""
    if len(components) > limit:
        return TOO_MANY
    total = 0
    for written in components:
        component = lookup(written.removeprefix("/"))
        if component is None:
            return MISSING
        if component.name == name:
            return CYCLE
        if component.components is None:
            total += 1
            continue
        if component.name not in counted:
            counted[component.name] = None
            inner = _count(name, component.components, lookup, limit, counted)
            if isinstance(inner, str):
                return inner
            counted[component.name] = inner
        known = counted[component.name]
        if known is None:
            return CYCLE  # made by two updates at the same time
        total += known
    return total


def _bounded(graph: Graph, used: int, limit: int) -> tuple[Graph, int]:
    """Return the chain with a Fault where no turn is left, and how many atomic actions have run after it."""
    steps: list[Step] = []
    for step in graph.steps:
        call = step.call
        if used >= limit:
            steps.append(replace(step, call=Fault(TOO_MANY)))
            continue
        if isinstance(call, WorkflowCall) and call.graph.kind is GraphKind.SEQUENCE:
            inner, used = _bounded(call.graph, used, limit)
            call = call if inner == call.graph else replace(call, graph=inner)
        else:
            used += 1
        steps.append(step if call is step.call else replace(step, call=call))
    bounded = tuple(steps)
    return (graph if bounded == graph.steps else replace(graph, steps=bounded, _digest="")), used


def _name(component: str, taken: set[str]) -> str:
    """Return a step's name after the component's, made unique: `echo`, `echo-2`."""
    base = re.sub(r"[^A-Za-z0-9_-]", "_", component.rpartition("/")[2])
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name
