"""What a drawing of a workflow consists of: boxes in layers, and arrows. Pure; formats are in `drawing_formats.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Final

from controller_ext.workflow.definition import Definition, StepDefinition
from invoker_ext.contract.graph import ERROR, RUN, WHOLE, Edge, EdgeKind, Input, Source

RESULT: Final = "result"


class BoxKind(Enum):
    """What a box stands for."""

    PARAMETERS = "parameters"
    STEP = "step"
    RESULT = "result"


class ArrowKind(Enum):
    """How an arrow is drawn."""

    PLAIN = "plain"
    MANY = "many"
    """Opens or closes a level: `each`, `gather`."""
    STREAM = "stream"
    MAYBE = "maybe"
    """May be dead: a condition, an alternative, an optional or an error edge."""


@dataclass(slots=True, frozen=True)
class Box:
    """One box.

    Attributes:
        name: `$run`, a step's name, or `result`; unique.
        kind: What it stands for.
        action: What a step runs; empty for the others.
        notes: What is worth knowing of it beside the arrows: constants, retry, scope.
    """

    name: str
    kind: BoxKind
    action: str = ""
    notes: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Arrow:
    """One way data take, from the box `source` to the box `target`."""

    source: str
    target: str
    label: str
    kind: ArrowKind


@dataclass(frozen=True)
class Drawing:
    """A workflow to be drawn."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]

    @cached_property
    def layers(self) -> tuple[tuple[Box, ...], ...]:
        """The boxes by their distance from the start: each arrow leads to a later layer."""
        depth = {box.name: 0 for box in self.boxes}
        for box in self.boxes:  # in topological order
            for arrow in self.into(box.name):
                depth[box.name] = max(depth[box.name], depth[arrow.source] + 1)
        last = max(depth.values(), default=0)
        if self.boxes and self.boxes[-1].kind is BoxKind.RESULT:
            depth[RESULT] = last = max(last, *(depth[box.name] + 1 for box in self.boxes[:-1]), 0)
        return tuple(
            layer
            for level in range(last + 1)
            if (layer := tuple(box for box in self.boxes if depth[box.name] == level))
        )

    def into(self, name: str) -> tuple[Arrow, ...]:
        """Return the arrows that lead to a box."""
        return tuple(arrow for arrow in self.arrows if arrow.target == name)


def from_definition(title: str, workflow: Definition) -> Drawing:
    """Return the drawing of a workflow."""
    boxes = [_step_box(step) for step in workflow.steps]
    arrows = [
        arrow for step in workflow.steps for one in step.inputs for arrow in _arrows(step.name, one.name, one.edge)
    ]
    arrows += [arrow for one in workflow.result for arrow in _arrows(RESULT, one.name, one.edge)]
    if any(arrow.source == RUN for arrow in arrows):
        boxes.insert(0, Box(RUN, BoxKind.PARAMETERS))
    boxes.append(Box(RESULT, BoxKind.RESULT, notes=tuple(_constants(workflow.result))))
    return Drawing(title, tuple(boxes), tuple(dict.fromkeys(arrows)))


def from_components(title: str, components: Sequence[str]) -> Drawing:
    """Return the drawing of a sequence.

    Args:
        title: Its name.
        components: Names of its actions; one may stand in it several times.
    """
    steps: list[StepDefinition] = []
    before = RUN
    for number, action in enumerate(components, 1):
        edge = Edge(kind=EdgeKind.VALUE, source=Source(before))
        before = f"{number}. {action.rpartition('/')[2]}"
        steps.append(StepDefinition(name=before, action=action, inputs=(Input(WHOLE, edge),)))
    result = Edge(kind=EdgeKind.VALUE, source=Source(before))
    return from_definition(title, Definition(steps=tuple(steps), result=(Input(WHOLE, result),)))


def _step_box(step: StepDefinition) -> Box:
    notes = list(_constants(step.inputs))
    if step.scope:
        notes.append(f"once per item of {', '.join(step.scope)}")
    if step.attempts > 1:
        notes.append(f"up to {step.attempts} attempts")
    if step.timeout_s is not None:
        notes.append(f"at most {step.timeout_s:g} s")
    if step.at_most_once:
        notes.append("at most once")
    return Box(step.name, BoxKind.STEP, step.action, tuple(notes))


def _constants(inputs: tuple[Input, ...]) -> Iterator[str]:
    for one in inputs:
        if one.edge.kind is EdgeKind.CONSTANT:
            text = one.edge.constant or "null"
            yield f"{one.name or 'all'} = {text if len(text) <= 30 else text[:29] + '…'}"


def _arrows(target: str, name: str, edge: Edge, alternative: int = 0) -> Iterator[Arrow]:
    for number, inner in enumerate(edge.alternatives, 1):
        yield from _arrows(target, name, inner, number)
    if edge.source is None:
        return
    output = edge.source.output
    words = []
    if alternative:
        words.append(f"any #{alternative}")
    if edge.kind not in (EdgeKind.VALUE, EdgeKind.CONSTANT, EdgeKind.ANY):
        words.append(edge.kind.value)
    if output != WHOLE:
        words.append(output)
    if name not in (WHOLE, output):
        words.append(f"→ {name}")
    if edge.when is not None:
        words.append(f"when {edge.when}")
    if edge.optional:
        words.append("(optional)")
    yield Arrow(edge.source.step, target, " ".join(words), _kind(edge, alternative))


def _kind(edge: Edge, alternative: int) -> ArrowKind:
    source = edge.source
    failing = source is not None and source.output == ERROR
    if alternative or edge.when is not None or edge.optional or failing:
        return ArrowKind.MAYBE
    if edge.kind in (EdgeKind.EACH, EdgeKind.GATHER):
        return ArrowKind.MANY
    return ArrowKind.STREAM if edge.kind is EdgeKind.STREAM else ArrowKind.PLAIN
