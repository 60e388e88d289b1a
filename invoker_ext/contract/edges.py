"""Ways that data take in a graph, and their stored form."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from action_runtime.wire.values import WHOLE


class EdgeKind(Enum):
    """What an edge does with the data of its source."""

    VALUE = "value"
    """One datum, or the whole result object."""
    EACH = "each"
    """One firing per item; opens a level."""
    GATHER = "gather"
    """List of all items of the innermost level, in order; closes it."""
    ANY = "any"
    """The first live alternative in list order, once all before it are dead."""
    STREAM = "stream"
    """Parts are handed over as they come."""
    CONSTANT = "constant"


@dataclass(slots=True, frozen=True)
class Source:
    """Where data come from: an output of a step; `$run` is the step of the run's parameters."""

    step: str
    output: str = WHOLE


@dataclass(slots=True, frozen=True, kw_only=True)
class Edge:
    """One way data take.

    Attributes:
        kind: What it does with them.
        source: Where they come from; None for ANY and CONSTANT.
        when: CEL condition over `value`; the edge is live only if it holds.
        optional: A dead edge leaves the parameter out instead of skipping the step.
        alternatives: For ANY, in order of preference.
        constant: For CONSTANT, compact JSON text.
    """

    kind: EdgeKind
    source: Source | None = None
    when: str | None = None
    optional: bool = False
    alternatives: tuple[Edge, ...] = ()
    constant: str | None = None


@dataclass(slots=True, frozen=True)
class Input:
    """A named parameter and the edge that feeds it; name WHOLE: the edge's object is all parameters."""

    name: str
    edge: Edge


def whole_of(step: str) -> Input:
    """Return what passes the whole result of a step on: as all parameters of the next one, or as the run's result."""
    return Input(WHOLE, Edge(kind=EdgeKind.VALUE, source=Source(step)))


def edge_to_json(edge: Edge) -> dict[str, Any]:
    """Return the stored form of an edge."""
    document: dict[str, Any] = {"kind": edge.kind.value}
    if edge.source is not None:
        document["from"] = [edge.source.step, edge.source.output]
    if edge.when is not None:
        document["when"] = edge.when
    if edge.optional:
        document["optional"] = True
    if edge.alternatives:
        document["any"] = [edge_to_json(one) for one in edge.alternatives]
    if edge.constant is not None:
        document["constant"] = edge.constant
    return document


def edge_from_json(document: dict[str, Any]) -> Edge:
    """Read it."""
    source = document.get("from")
    return Edge(
        kind=EdgeKind(document["kind"]),
        source=Source(*source) if source else None,
        when=document.get("when"),
        optional=document.get("optional", False),
        alternatives=tuple(edge_from_json(one) for one in document.get("any", ())),
        constant=document.get("constant"),
    )


def input_to_json(one: Input) -> list[Any]:
    """Return the stored form of an input."""
    return [one.name, edge_to_json(one.edge)]


def input_from_json(document: list[Any]) -> Input:
    """Read it."""
    return Input(document[0], edge_from_json(document[1]))
