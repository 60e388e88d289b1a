"""What a drawing shows: nodes with lines of text, and links between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from controller_ext.workflow.definition import Definition, Repeat, StepDefinition
from invoker_ext.contract.graph import (
    ERROR,
    RUN,
    WHOLE,
    ActionCall,
    Edge,
    EdgeKind,
    Fault,
    Graph,
    Input,
    Step,
    WorkflowCall,
)
from invoker_ext.contract.regions import Region, RegionKind

MAX_LINE_CHARS: Final = 64
_RESULT: Final = "result"


class NodeKind(Enum):
    """What a node stands for."""

    PARAMETERS = "parameters"
    STEP = "step"
    MANY = "many"
    """A step below an `each`: it fires once per item."""
    RESULT = "result"


class LinkKind(Enum):
    """What may travel along a link."""

    PLAIN = "plain"
    MANY = "many"
    """Items: `each` and `gather`."""
    STREAM = "stream"
    MAYBE = "maybe"
    """May be dead: conditions, alternatives, optional and error edges."""


@dataclass(slots=True, frozen=True)
class Node:
    """One box.

    Attributes:
        kind: What it stands for.
        title: A step's name, `$run` or `result`.
        lines: What it runs, takes and keeps to; at most MAX_LINE_CHARS each.
    """

    kind: NodeKind
    title: str
    lines: tuple[str, ...] = ()

    @property
    def text(self) -> tuple[str, ...]:
        """All lines, the title first."""
        return (self.title, *self.lines)


@dataclass(slots=True, frozen=True)
class Link:
    """One edge: indices of nodes, source before target, and the label `input ← output`."""

    source: int
    target: int
    label: str
    kind: LinkKind


@dataclass(slots=True, frozen=True)
class Picture:
    """A workflow to be drawn; nodes stand in topological order."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]

    @staticmethod
    def of(workflow: Graph | Definition) -> Picture:
        """Return the picture of a workflow, compiled or not."""
        steps: tuple[Step | StepDefinition, ...] = tuple(workflow.steps)
        nodes = [_node(step) for step in steps]
        inputs = [*((step.name, step.inputs) for step in steps), (_RESULT, workflow.result)]
        used = {source for _, group in inputs for one in group for source, _ in _sources(one.edge)}
        index: dict[str, int] = {}
        if RUN in used:
            nodes.insert(0, Node(NodeKind.PARAMETERS, RUN))
            index[RUN] = 0
        index |= {step.name: at for at, step in enumerate(steps, len(index))}
        nodes.append(Node(NodeKind.RESULT, _RESULT, tuple(_lines(workflow.result))))
        links = [
            Link(index[source], target, _cut(label), kind)
            for target, (_, group) in enumerate(inputs, len(nodes) - len(inputs))
            for one in group
            for source, label, kind in _links(one)
        ]
        return Picture(tuple(nodes), tuple(dict.fromkeys(links)))


def _node(step: Step | StepDefinition) -> Node:
    lines = []
    action = _action(step)
    if action != step.name:
        lines.append(_cut(f"▸ {action}"))
    lines += _lines(step.inputs)
    if step.scope:
        lines.append(_cut(f"↻ per item of {', '.join(step.scope)}"))
    repeat = _repeat(step)
    if repeat is not None:
        lines.append(_cut(f"⟳ while {repeat.condition}"))
        lines.append(f"at most {repeat.most} times")
    if step.attempts > 1:
        lines.append(f"up to {step.attempts} attempts")
    if step.timeout_s is not None:
        lines.append(f"within {step.timeout_s:g} s")
    return Node(NodeKind.MANY if step.scope else NodeKind.STEP, step.name, tuple(lines))


def _repeat(step: Step | StepDefinition) -> Repeat | None:
    if isinstance(step, StepDefinition):
        return step.repeat
    region = step.call
    if not isinstance(region, Region) or region.kind is not RegionKind.REPEAT:
        return None
    return Repeat(region.condition, region.most)


def _action(step: Step | StepDefinition) -> str:
    if isinstance(step, StepDefinition):
        return step.action
    call = next(step.call.calls(), None) if isinstance(step.call, Region) else step.call
    match call:
        case ActionCall(name=name):
            return f"/{name}"
        case WorkflowCall(name=name):
            return f"/{name} (workflow)"
        case Fault(error=error):
            return f"✗ {error}"
        case None:
            return step.name


def _lines(inputs: tuple[Input, ...]) -> Iterator[str]:
    for one in inputs:
        yield _cut(f"{one.name} ← {_describe(one.edge)}".lstrip())


def _describe(edge: Edge) -> str:
    """Return an edge as text: `each start.file`."""
    text = _form(edge)
    if edge.when is not None:
        text += f" when {edge.when}"
    return f"{text}, optional" if edge.optional else text


def _form(edge: Edge) -> str:
    match edge.kind:
        case EdgeKind.CONSTANT:
            return edge.constant or "null"
        case EdgeKind.ANY:
            return "any of " + " | ".join(_describe(one) for one in edge.alternatives)
        case EdgeKind.VALUE:
            return _reference(edge)
        case EdgeKind.EACH | EdgeKind.GATHER | EdgeKind.STREAM:
            return f"{edge.kind.value} {_reference(edge)}"


def _reference(edge: Edge) -> str:
    if edge.source is None:
        return "?"
    return edge.source.step if edge.source.output == WHOLE else f"{edge.source.step}.{edge.source.output}"


def _sources(edge: Edge) -> Iterator[tuple[str, Edge]]:
    if edge.source is not None:
        yield edge.source.step, edge
    for one in edge.alternatives:
        yield from _sources(one)


def _links(one: Input) -> Iterator[tuple[str, str, LinkKind]]:
    for source, edge in _sources(one.edge):
        alternative = one.edge.kind is EdgeKind.ANY
        label = f"{one.name} ← {'any ' if alternative else ''}{_describe(edge)}"
        yield source, label.lstrip(), _kind(edge, alternative or one.edge.optional)


def _kind(edge: Edge, maybe: bool) -> LinkKind:
    if maybe or edge.when is not None or (edge.source is not None and edge.source.output == ERROR):
        return LinkKind.MAYBE
    if edge.kind in (EdgeKind.EACH, EdgeKind.GATHER):
        return LinkKind.MANY
    return LinkKind.STREAM if edge.kind is EdgeKind.STREAM else LinkKind.PLAIN


def _cut(text: str) -> str:
    """Return text that fits a line and cannot steer a terminal."""
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(text.split()))
    return line if len(line) <= MAX_LINE_CHARS else line[: MAX_LINE_CHARS - 1] + "…"
