"""What a run comes to, worked out one step after the other: the yardstick for the machine.

No events, no time, no partial data: each step runs once, after everything before it, over plain Python values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from invoker_ext.contract.graph import ERROR, RUN, WHOLE, Edge, EdgeKind, Fault, Input, Source, Step
from tests.support.graphs import CONDITIONS, Act, Workload, behave

DEAD: Final = object()
Tag = tuple[int, ...]
Outcome = Mapping[str, Any] | str | None
"""Of a firing: its outputs; the error it failed with; None: it was skipped."""


class RunFailed(Exception):
    """The run has no result."""


def evaluate(work: Workload) -> Any:
    """Return the arguments that the result is made of, by name.

    Raises:
        RunFailed: It has none.
    """
    return _Evaluation(work).run()


class _Evaluation:
    def __init__(self, work: Workload) -> None:
        self.work = work
        self.steps = {step.name: step for step in work.graph.steps}
        whole = {WHOLE: ("field", [dict(work.parameters)])}
        fields = {name: ("list" if isinstance(one, list) else "field", one) for name, one in work.parameters.items()}
        run = whole | {name: (how, one if how == "list" else [one]) for name, (how, one) in fields.items()}
        self.done: dict[tuple[str, Tag], Outcome] = {(RUN, ()): run}

    def run(self) -> Any:
        for step in self.work.graph.steps:
            for tag in self.tags(step.scope, step):
                self.done[step.name, tag] = self.fire(step, tag)
        result = self.read_all(self.work.graph.result, ())
        if result is DEAD:
            raise RunFailed
        return result

    def tags(self, scope: tuple[str, ...], step: Step) -> Iterator[Tag]:
        if not scope:
            yield ()
            return
        for tag in self.tags(scope[:-1], step):
            for index in range(self.count(step, len(scope) - 1, tag)):
                yield (*tag, index)

    def count(self, step: Step, place: int, tag: Tag) -> int:
        """Return how many items the level has; all outputs that bind the step must agree."""
        level = self.done.get((step.scope[place], tag))
        if not isinstance(level, Mapping):
            return 0
        counts = {len(level[output][1]) if output in level else 0 for output in self.bound_to(step, place)}
        if len(counts) != 1:
            raise RunFailed
        return counts.pop()

    def bound_to(self, step: Step, place: int) -> set[str]:
        found: set[str] = set()
        for edge in leaves(step.inputs):
            if edge.source is None:
                continue
            name, depth = edge.source.step, len(self.scope(edge.source.step))
            if edge.kind is EdgeKind.EACH and depth == place:
                found.add(edge.source.output)
            elif depth > place and self.scope(name)[: place + 1] == step.scope[: place + 1]:
                found |= self.bound_to(self.steps[name], place)
        return found

    def scope(self, name: str) -> tuple[str, ...]:
        return () if name == RUN else self.steps[name].scope

    # -- one firing ----------------------------------------------------------------------------

    def fire(self, step: Step, tag: Tag) -> Outcome:
        args = self.read_all(step.inputs, tag)
        if args is DEAD:
            return None
        if isinstance(step.call, Fault):
            return self.failed(step, step.call.error)
        spec = self.work.specs[step.name]
        act = behave(spec, args, step.attempts)
        if act.error is not None:
            outputs = produced(act)
            self.done[step.name, (*tag, -1)] = {name: one for name, one in outputs.items() if one[0] != "field"}
            return self.failed(step, act.error)
        outputs = produced(act)
        self.check(step, outputs)
        return outputs

    def failed(self, step: Step, error: str) -> str:
        if any(edge.source == Source(step.name, ERROR) for edge in self.all_leaves()):
            return error
        raise RunFailed

    def check(self, step: Step, outputs: Mapping[str, Any]) -> None:
        """Fail the run if somebody needs what is not there."""
        for one in self.all_inputs():
            for edge in leaves([one]):
                if edge.source is None or edge.source.step != step.name or edge.source.output == ERROR:
                    continue
                by_item = edge.kind is EdgeKind.EACH or self.is_list(edge, step.name, one)
                needed = not (one.edge.optional or one.edge.kind is EdgeKind.ANY or by_item)
                if needed and edge.source.output not in outputs:
                    raise RunFailed

    def is_list(self, edge: Edge, name: str, one: Input) -> bool:
        if edge.kind is not EdgeKind.GATHER:
            return False
        scope, consumer = self.scope(name), self.scope_of_input(one)
        return scope == consumer[: len(scope)]

    def scope_of_input(self, one: Input) -> tuple[str, ...]:
        return next((step.scope for step in self.work.graph.steps if any(one is own for own in step.inputs)), ())

    def all_inputs(self) -> Iterator[Input]:
        for step in self.work.graph.steps:
            yield from step.inputs
        yield from self.work.graph.result

    def all_leaves(self) -> Iterator[Edge]:
        yield from leaves(list(self.all_inputs()))

    # -- edges ---------------------------------------------------------------------------------

    def read_all(self, inputs: tuple[Input, ...], tag: Tag) -> Any:
        """Return the arguments, or DEAD if a required one is; every condition is evaluated all the same."""
        args: dict[str, Any] = {}
        for one in inputs:
            got = self.read(one.edge, tag, self.scope_of_input(one))
            if got is DEAD and not one.edge.optional:
                return DEAD
            if got is not DEAD:
                args = args | got if one.name == WHOLE else args | {one.name: got}
        return args

    def read(self, edge: Edge, tag: Tag, scope: tuple[str, ...]) -> Any:
        if edge.kind is EdgeKind.CONSTANT:
            return json.loads(edge.constant or "null")
        if edge.kind is EdgeKind.ANY:
            found = (self.read(one, tag, scope) for one in edge.alternatives)
            return next((one for one in found if one is not DEAD), DEAD)
        assert edge.source is not None
        got = self.take(edge, edge.source, tag, scope)
        if got is not DEAD and edge.when is not None and not CONDITIONS[edge.when](got):
            return DEAD
        return got

    def take(self, edge: Edge, source: Source, tag: Tag, scope: tuple[str, ...]) -> Any:
        own = self.scope(source.step)
        if edge.kind is EdgeKind.GATHER and own != scope[: len(own)]:
            prefix = tag[: len(own) - 1]
            if not isinstance(self.done.get((own[-1], prefix)), Mapping):
                return DEAD
            count = self.count(self.steps[source.step], len(own) - 1, prefix)
            every = (self.one(self.done[source.step, (*prefix, index)], source.output) for index in range(count))
            return [one for one in every if one is not DEAD]
        place = tag[: len(own)]
        firing = self.done[source.step, place]
        if edge.kind is EdgeKind.STREAM:
            return self.streamed(firing, self.done.get((source.step, (*place, -1))), source.output)
        if edge.kind is EdgeKind.VALUE:
            return self.one(firing, source.output)
        if not isinstance(firing, Mapping):
            return DEAD
        items = firing.get(source.output, ("list", []))[1]
        return items[tag[len(own)]] if edge.kind is EdgeKind.EACH else items

    @staticmethod
    def one(firing: Outcome, output: str) -> Any:
        if output == ERROR:
            return firing if isinstance(firing, str) else DEAD
        if not isinstance(firing, Mapping) or output not in firing:
            return DEAD
        how, items = firing[output]
        if how == "chunks":
            return "".join(items)
        if how == "list":
            return items
        if len(items) > 1:
            raise RunFailed
        return items[0]

    @staticmethod
    def streamed(firing: Outcome, left: Outcome, output: str) -> Any:
        if isinstance(firing, Mapping):
            return {"parts": firing[output][1], "broken": False} if output in firing else DEAD
        if isinstance(left, Mapping) and output in left and left[output][1]:
            return {"parts": left[output][1], "broken": True}
        return DEAD


def leaves(inputs: Any) -> Iterator[Edge]:
    """Yield the edges that have a source, those in an `any` too."""
    for one in inputs:
        yield from one.edge.alternatives or (one.edge,)


def produced(act: Act) -> dict[str, tuple[str, list[Any]]]:
    """Return outputs as (how, items)."""
    outputs: dict[str, tuple[str, list[Any]]] = {name: ("emits", list(items)) for name, items in act.emitted.items()}
    outputs |= {name: ("chunks", list(items)) for name, items in act.chunked.items()}
    for name, one in act.fields.items():
        outputs[name] = ("list", one) if isinstance(one, list) else ("field", [one])
    outputs[WHOLE] = ("field", [dict(act.fields)])
    return outputs
