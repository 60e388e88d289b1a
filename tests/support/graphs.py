"""Random workflows whose steps behave deterministically, and builders for hand-made ones.

A step's behaviour is a pure function of its name and arguments, so a run's result depends on the graph alone, never on
the order of events; `tests/support/reference.py` says what it is.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hypothesis import strategies as st

from invoker_ext.contract.graph import (
    ERROR,
    RUN,
    WHOLE,
    ActionCall,
    Edge,
    EdgeKind,
    Fault,
    Graph,
    GraphKind,
    Input,
    Source,
    Step,
)  # fmt: skip

CALL: Final = ActionCall(
    name="guest/act", version="0.0.1", revision=None, kind="python:3", memory_mb=256, timeout_ms=60_000, logs_mb=10
)
CONDITIONS: Final = {
    "value.n % 2 == 0": lambda value: value["n"] % 2 == 0,
    "value.n >= 0": lambda value: True,
    "value.n < 0": lambda value: False,
}

# -- builders ----------------------------------------------------------------------------------


def source(text: str) -> Source:
    """Read `step.output`, or `step` for the whole result."""
    name, _, output = text.partition(".")
    return Source(name, output or WHOLE)


def value(text: str, **more: Any) -> Edge:
    return Edge(kind=EdgeKind.VALUE, source=source(text), **more)


def each(text: str, **more: Any) -> Edge:
    return Edge(kind=EdgeKind.EACH, source=source(text), **more)


def gather(text: str, **more: Any) -> Edge:
    return Edge(kind=EdgeKind.GATHER, source=source(text), **more)


def stream(text: str, **more: Any) -> Edge:
    return Edge(kind=EdgeKind.STREAM, source=source(text), **more)


def constant(what: object) -> Edge:
    return Edge(kind=EdgeKind.CONSTANT, constant=json.dumps(what, separators=(",", ":")))


def first_of(*alternatives: Edge, **more: Any) -> Edge:
    return Edge(kind=EdgeKind.ANY, alternatives=alternatives, **more)


def step(name: str, *, scope: tuple[str, ...] = (), inputs: Mapping[str, Edge] | None = None, **more: Any) -> Step:
    """Make a step; inputs by name, WHOLE for all parameters."""
    bound = tuple(Input(key, edge) for key, edge in (inputs or {}).items())
    return Step(name=name, inputs=bound, scope=scope, call=more.pop("call", CALL), **more)


def graph(*steps: Step, result: Edge | Mapping[str, Edge], kind: GraphKind = GraphKind.DATAFLOW, **more: Any) -> Graph:
    """Make a graph; `result` is one edge, or one a member."""
    members = {WHOLE: result} if isinstance(result, Edge) else result
    return Graph(kind=kind, steps=steps, result=tuple(Input(name, edge) for name, edge in members.items()), **more)


# -- behaviour ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spec:
    """What a step does.

    Attributes:
        name: The step's.
        produces: Of `v maybe list` (returned) and `e m c` (one emit, several, chunks).
        fails: It fails for about every third set of arguments.
        flaky: Number of first attempts that fail.
        uneven: `m` has one item more than `list`.
        pad: Characters by which each item is made larger.
    """

    name: str
    produces: frozenset[str]
    fails: bool = False
    flaky: int = 0
    uneven: bool = False
    pad: int = 0


@dataclass(frozen=True)
class Act:
    """What one attempt does: emits in order, then returns fields or fails.

    Attributes:
        emitted: Output → values, in order.
        chunked: Output → parts.
        fields: The result object.
        error: The error value, if it fails.
    """

    emitted: Mapping[str, list[Any]]
    chunked: Mapping[str, list[str]]
    fields: Mapping[str, Any]
    error: str | None = None


def behave(spec: Spec, args: object, attempt: int) -> Act:
    """Return what a step does with its arguments; `attempt` counts executions from 1."""
    seed = zlib.crc32(json.dumps([spec.name, args], sort_keys=True).encode())

    def item(output: str, index: int = 0) -> dict[str, Any]:
        made: dict[str, Any] = {"n": zlib.crc32(f"{seed}/{output}/{index}".encode()) % 1000}
        return {**made, "pad": "x" * spec.pad} if spec.pad else made

    count = seed // 7 % 4
    emitted = {}
    if "e" in spec.produces:
        emitted["e"] = [item("e")]
    if "m" in spec.produces and count + spec.uneven:
        emitted["m"] = [item("m", index) for index in range(count + spec.uneven)]
    chunked = {"c": [f"{seed % 97}-{index};" for index in range(count)]} if "c" in spec.produces else {}
    if attempt <= spec.flaky or (spec.fails and seed % 3 == 0):
        return Act(emitted, chunked, {}, f"{spec.name} failed on {seed % 1000}")
    fields: dict[str, Any] = {"n": seed % 1000}
    if "v" in spec.produces:
        fields["v"] = item("v")
    if "maybe" in spec.produces and seed % 2:
        fields["maybe"] = item("maybe")
    if "list" in spec.produces:
        fields["list"] = [item("list", index) for index in range(count)]
    return Act(emitted, chunked, fields)


_ACTION: Final = """\
import json
import zlib

from action_runtime import emit

NAME, PRODUCES, FAILS, UNEVEN = {name!r}, {produces!r}, {fails!r}, {uneven!r}


def main(args):
    seed = zlib.crc32(json.dumps([NAME, args], sort_keys=True).encode())

    def item(output, index=0):
        return {{"n": zlib.crc32(f"{{seed}}/{{output}}/{{index}}".encode()) % 1000}}

    count = seed // 7 % 4
    if "e" in PRODUCES:
        emit("e", item("e"))
    if "m" in PRODUCES:
        for index in range(count + UNEVEN):
            emit("m", item("m", index))
    if FAILS and seed % 3 == 0:
        return {{"error": f"{{NAME}} failed on {{seed % 1000}}"}}
    fields = {{"n": seed % 1000}}
    if "v" in PRODUCES:
        fields["v"] = item("v")
    if "maybe" in PRODUCES and seed % 2:
        fields["maybe"] = item("maybe")
    if "list" in PRODUCES:
        fields["list"] = [item("list", index) for index in range(count)]
    return fields
"""


def action_source(spec: Spec) -> str:
    """Return Python code of an action that does what `behave` says, for the steps of stateless workloads."""
    return _ACTION.format(name=spec.name, produces=sorted(spec.produces), fails=spec.fails, uneven=int(spec.uneven))


# -- random workflows --------------------------------------------------------------------------


@dataclass(frozen=True)
class Workload:
    """A graph, how its steps behave (those that are no Fault), and the parameters of a run."""

    graph: Graph
    specs: Mapping[str, Spec]
    parameters: Mapping[str, Any]


@dataclass
class _Growing:
    stateless: bool
    steps: list[Step] = field(default_factory=list)
    specs: dict[str, Spec] = field(default_factory=dict)

    def scope(self, name: str) -> tuple[str, ...]:
        return () if name == RUN else next(step.scope for step in self.steps if step.name == name)

    def below(self, scope: tuple[str, ...]) -> list[str]:
        """Names of the steps whose values a step in `scope` sees."""
        return [step.name for step in self.steps if step.scope == scope[: len(step.scope)]]


_ITEMS: Final = ("m", "list")
_PARAMETERS: Final = {"p": {"n": 4}, "q": {"n": 7}, "items": [{"n": 1}, {"n": 2}, {"n": 3}], "none": []}


@st.composite
def workloads(draw: st.DrawFn, max_steps: int = 7, *, stateless: bool = False) -> Workload:
    """Draw a valid workflow of every edge kind: nested levels, conditions, failures, retries, streams.

    Args:
        draw: Hypothesis's.
        max_steps: At most so many.
        stateless: Only what `action_source` can do: no attempts that differ, no chunks, no streams, no Fault.
    """
    growing = _Growing(stateless)
    for number in range(draw(st.integers(1, max_steps))):
        name = f"s{number}"
        scope, inputs = draw(_inputs(growing))
        emits = draw(st.booleans())
        rest = {"maybe"} if not emits else set() if stateless else {"c"}
        flaky = 0 if stateless else draw(st.sampled_from((0, 0, 0, 1)))
        growing.specs[name] = Spec(
            name,
            frozenset({"e", "m"} if emits else {"v", "list"}) | frozenset(rest if draw(st.booleans()) else ()),
            fails=draw(st.sampled_from((False, False, False, True))),
            flaky=flaky,
            uneven=draw(st.integers(0, 9)) == 9,
        )
        attempts = draw(st.sampled_from((1, 2, 3))) if flaky else 1
        backoff_s = draw(st.sampled_from((0.0, 0.5)))
        fault = not stateless and draw(st.integers(0, 19)) == 19
        call = Fault("no such action") if fault else CALL
        growing.steps.append(step(name, scope=scope, inputs=inputs, attempts=attempts, backoff_s=backoff_s, call=call))
    result = {f"r{number}": draw(_outward(growing, ())) for number in range(draw(st.integers(1, 3)))}
    made = graph(*growing.steps, result=result)
    return Workload(made, growing.specs, _PARAMETERS)


@st.composite
def _inputs(draw: st.DrawFn, growing: _Growing) -> tuple[tuple[str, ...], dict[str, Edge]]:
    """Draw a scope and inputs that fit it."""
    inputs: dict[str, Edge] = {}
    scope: tuple[str, ...] = ()
    # More often than not go on inside a level or open one: that is where the difficult cases are.
    levels = [one for one in growing.steps if len(one.scope) < 2]
    form = draw(st.sampled_from(("outside", "run", "each", "each", "within", "within")))
    if form == "run":
        scope = (RUN,)
        inputs["item"] = each(f"{RUN}.{draw(st.sampled_from(('items', 'items', 'none')))}", **draw(_condition()))
    elif form == "each" and levels:
        level = draw(st.sampled_from(levels))
        scope = (*level.scope, level.name)
        outputs = [one for one in _ITEMS if one in growing.specs[level.name].produces]
        inputs["item"] = each(f"{level.name}.{draw(st.sampled_from(outputs))}", **draw(_condition()))
        if draw(st.booleans()):
            inputs["zipped"] = each(f"{level.name}.{draw(st.sampled_from(outputs))}", **draw(_condition()))
    elif form == "within" and growing.steps:
        inside = draw(st.sampled_from([one.name for one in growing.steps]))
        scope = growing.scope(inside)
        inputs["inner"] = value(f"{inside}.{draw(_one_value(growing, inside))}")
    for number in range(draw(st.integers(0, 2))):
        inputs[f"in{number}"] = draw(_inward(growing, scope))
    return scope, inputs


def _condition() -> st.SearchStrategy[dict[str, Any]]:
    conditions = st.sampled_from([{"when": text} for text in CONDITIONS])
    return st.one_of(st.just({}), st.just({}), conditions, st.just({"optional": True}))


def _one_value(growing: _Growing, name: str) -> st.SearchStrategy[str]:
    """Draw an output that reads as one value with a member `n`."""
    return st.sampled_from(["e"] if "e" in growing.specs[name].produces else ["v", WHOLE])


@st.composite
def _plain(draw: st.DrawFn, growing: _Growing, scope: tuple[str, ...]) -> Edge:
    """Draw a plain edge or a constant."""
    names = growing.below(scope)
    form = draw(st.sampled_from(("value", "value", "value", "run", "constant", "error", "whole")))
    if form == "run" or not names:
        return value(f"{RUN}.{draw(st.sampled_from(('p', 'q')))}", **draw(_condition()))
    if form == "constant":
        return constant({"n": draw(st.integers(0, 9))})
    name = draw(st.sampled_from(names))
    if form == "error":
        return value(f"{name}.{ERROR}", **draw(st.sampled_from(({}, {"optional": True}))))
    if form == "whole":
        others = [one for one in ("list", "c", "maybe") if one in growing.specs[name].produces]
        if others:
            other = draw(st.sampled_from(others))
            return value(f"{name}.{other}", optional=other == "maybe" and draw(st.booleans()))
    return value(f"{name}.{draw(_one_value(growing, name))}", **draw(_condition()))


@st.composite
def _inward(draw: st.DrawFn, growing: _Growing, scope: tuple[str, ...]) -> Edge:
    """Draw an edge that a step in `scope` may have beside the one that binds it there."""
    form = draw(st.sampled_from(("plain", "plain", "any", "gather", "plain" if growing.stateless else "stream")))
    if form == "any":
        alternatives = draw(st.lists(_plain(growing, scope), min_size=1, max_size=3))
        return first_of(*(replace(one, optional=False) for one in alternatives), optional=draw(st.booleans()))
    names = growing.below(scope)
    if form == "stream" and names:
        name = draw(st.sampled_from(names))
        outputs = sorted(growing.specs[name].produces & {"e", "m", "c", "list"})
        # An emit that never comes is no stream, so `m` is optional.
        output = draw(st.sampled_from(outputs))
        return stream(f"{name}.{output}", optional=output == "m" or draw(st.booleans()))
    if form == "gather":
        return draw(_outward(growing, scope))
    return draw(_plain(growing, scope))


@st.composite
def _outward(draw: st.DrawFn, growing: _Growing, scope: tuple[str, ...]) -> Edge:
    """Draw an edge into `scope` that closes a level if there is one to close."""
    closing = [one.name for one in growing.steps if one.scope and one.scope[:-1] == scope[: len(one.scope) - 1]]
    closing = [name for name in closing if growing.scope(name) != scope[: len(growing.scope(name))]]
    if closing and draw(st.integers(0, 3)) > 0:
        name = draw(st.sampled_from(closing))
        closed = ERROR if draw(st.integers(0, 4)) == 0 else draw(_one_value(growing, name))
        return gather(f"{name}.{closed}", optional=draw(st.booleans()))
    names = growing.below(scope)
    if names and draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from(names))
        listed = sorted(growing.specs[name].produces & {"m", "list"})
        return gather(f"{name}.{draw(st.sampled_from(listed))}", optional=draw(st.booleans()))
    return replace(draw(_plain(growing, scope)), optional=True)
