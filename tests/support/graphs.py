"""Compiled graphs for tests of what reads them."""

from __future__ import annotations

from invoker_ext.contract.graph import ActionCall, Edge, EdgeKind, Graph, GraphKind, Input, Source, Step


def a_call(name: str) -> ActionCall:
    """Return a call of an action in the namespace `guest`."""
    return ActionCall(
        name=f"guest/{name}",
        version="0.0.1",
        revision=None,
        kind="python:3.11",
        memory_mb=256,
        timeout_ms=60_000,
        logs_mb=10,
    )


def an_edge(kind: EdgeKind, source: str, output: str = "", when: str | None = None, optional: bool = False) -> Edge:
    """Return an edge from an output of a step."""
    return Edge(kind=kind, source=Source(source, output), when=when, optional=optional)


def a_step(name: str, *inputs: tuple[str, Edge], scope: tuple[str, ...] = ()) -> Step:
    """Return a step that runs the action of its name."""
    return Step(name=name, call=a_call(name), inputs=tuple(Input(*one) for one in inputs), scope=scope)


def wordcount() -> Graph:
    """Return the graph of the word count: start, count for each file, merge."""
    return Graph(
        kind=GraphKind.DATAFLOW,
        steps=(
            a_step("start", ("texts", an_edge(EdgeKind.VALUE, "$run", "texts"))),
            a_step("count", ("file", an_edge(EdgeKind.EACH, "start", "file")), scope=("start",)),
            a_step("merge", ("counts", an_edge(EdgeKind.GATHER, "count", "words"))),
        ),
        result=(Input("", an_edge(EdgeKind.VALUE, "merge")),),
    )
