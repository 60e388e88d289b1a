"""What a graph means to the machine, worked out once and shared by all runs of it.

A *slot* is a named input of a step; a *leaf* is one place its value can come from (`any` has several). Leaves are
grouped by the output they read and by how they read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from action_runtime.wire.values import ERROR, RUN
from invoker_ext.contract.graph import Edge, EdgeKind, Fault, Graph, GraphKind, Source, Step
from invoker_ext.dataflow.commands import Constant, Wants

RESULT: Final = "$result"
"""Name of the pseudo step whose inputs are the run's result."""
PENDING: Final = object()
"""Nothing has arrived at a leaf."""
DEAD: Final = object()
"""The leaf can no longer become live."""
VALUE: Final = "value"
ITEMS: Final = "items"
_KEPT_PLANS: Final = 1024
KEPT_BYTES: Final = 64 << 20
"""Of the graphs that they are made from."""


@dataclass(slots=True, eq=False)
class LeafPlan:
    """One place the value of a slot can come from.

    Attributes:
        index: Position among the leaves of its step.
        kind: How it reads its source.
        when: CEL condition.
        depth: Length of the tag it arrives under; less than the consumer's: the value is the same for all items below.
        slot: Whose value it is.
        consumer: Whose slot it is.
    """

    index: int
    kind: EdgeKind
    when: str | None
    depth: int
    slot: SlotPlan
    consumer: StepPlan


@dataclass(slots=True, eq=False)
class SlotPlan:
    """A named input.

    Attributes:
        index: Position among the slots of its step.
        name: Of the parameter; WHOLE: all of them.
        optional: Dead means absent.
        choice: It is an `any`: the first live leaf counts.
        constant: It is live from the start.
        leaves: In order of preference.
    """

    index: int
    name: str
    optional: bool
    choice: bool
    constant: bool = False
    leaves: list[LeafPlan] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class OutputPlan:
    """Who reads an output, by how they read it.

    Attributes:
        each: One item a firing.
        streams: Items as they come.
        values: One value, by firings below the same items (or deeper).
        gathers: One value from each item of the level that the edge closes.
        lists: All items of this one firing as a list (`gather` without an `each` between).
        single: `values` and `gathers`.
        needs: Leaves that make the run fail if the output is not produced.
    """

    name: str
    each: list[LeafPlan] = field(default_factory=list)
    streams: list[LeafPlan] = field(default_factory=list)
    values: list[LeafPlan] = field(default_factory=list)
    gathers: list[LeafPlan] = field(default_factory=list)
    lists: list[LeafPlan] = field(default_factory=list)
    single: list[LeafPlan] = field(default_factory=list)
    needs: list[LeafPlan] = field(default_factory=list)

    @property
    def by_item(self) -> bool:
        """Somebody reads the items one by one, so that a list that is returned must be spread."""
        return bool(self.each or self.streams or self.lists)


@dataclass(slots=True, eq=False)
class StepPlan:
    """A step, or the run's parameters (RUN), or its result (RESULT).

    Attributes:
        step: As in the graph; None for the pseudo steps.
        scope: Levels around it.
        title: Its name in sentences.
        slots: Its inputs.
        leaves: Of all slots.
        initial: What each leaf holds before anything arrived.
        missing: Slots that something must arrive for.
        outputs: The outputs that somebody reads.
        widths: For each level of `scope`, the outputs of the level's step that must all have as many items.
        members: Steps somewhere below the items of this step, with the level's place in their scope.
        closers: Gathering leaves that close the level of this step, with the step they read.
        fault: The step cannot run.
        recovers: A lost attempt whose function had begun may be executed again.
        conditional: Some leaf has a condition, which is then evaluated whatever becomes of the step.
        streaming: Some leaf is a stream.
        choosing: Some slot is an `any`.
        gathering: Some leaf closes a level.
        handled: Somebody reads `$error`: a failure does not fail the run.
    """

    name: str
    step: Step | None
    scope: tuple[str, ...]
    title: str
    slots: list[SlotPlan] = field(default_factory=list)
    leaves: list[LeafPlan] = field(default_factory=list)
    initial: list[Any] = field(default_factory=list)
    missing: int = 0
    outputs: dict[str, OutputPlan] = field(default_factory=dict)
    widths: list[set[str]] = field(default_factory=list)
    members: list[tuple[StepPlan, int]] = field(default_factory=list)
    closers: list[tuple[LeafPlan, StepPlan]] = field(default_factory=list)
    fault: Fault | None = None
    recovers: bool = False
    conditional: bool = False
    streaming: bool = False
    choosing: bool = False
    gathering: bool = False
    handled: bool = False
    depth: int = 0


@dataclass(slots=True, eq=False, frozen=True)
class Plan:
    """A graph, ready to run.

    Attributes:
        steps: By name, in topological order.
        run: The pseudo step of the run's parameters.
        result: The pseudo step of its result.
        wants: For each step, the outputs that somebody reads, and how; see `wants.py`.
    """

    graph: Graph
    steps: Mapping[str, StepPlan]
    run: StepPlan
    result: StepPlan
    wants: Mapping[str, Wants]

    @staticmethod
    def of(graph: Graph) -> Plan:
        """Return the plan of a graph, the same object for equal graphs as long as it is kept.

        Raises:
            ValueError: The graph is not one that a front end may make: an unknown source, a source that comes later,
                an edge that leaves a level without `gather`, or a form that the rules of workflows exclude.
        """
        known = _plans.get(graph.digest)
        if known is not None:
            return known[0]
        plan, size_bytes = _Compiler(graph).compile(), graph.size_bytes()
        while _plans and (len(_plans) >= _KEPT_PLANS or _kept_bytes() + size_bytes > KEPT_BYTES):
            del _plans[next(iter(_plans))]
        _plans[graph.digest] = plan, size_bytes
        return plan


def _kept_bytes() -> int:
    return sum(size_bytes for _, size_bytes in _plans.values())


_plans: Final[dict[str, tuple[Plan, int]]] = {}
# A cache of immutable values by content: sharing it between machines shares no state.


class _Compiler:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._run = StepPlan(RUN, None, (), "the run")
        self._steps: dict[str, StepPlan] = {RUN: self._run}

    def compile(self) -> Plan:
        for step in self._graph.steps:
            if step.name in self._steps:
                raise ValueError(f"two steps are named '{step.name}'")
            plan = StepPlan(step.name, step, step.scope, f"step '{step.name}'", depth=len(step.scope))
            plan.fault = step.call if isinstance(step.call, Fault) else None
            plan.recovers = self._graph.kind is GraphKind.DATAFLOW and not step.at_most_once
            self._inputs(plan, ((one.name, one.edge) for one in step.inputs))
            for place, level in enumerate(step.scope):
                if level not in self._steps or self._steps[level].scope != step.scope[:place]:
                    raise ValueError(f"step '{step.name}' lies below the items of '{level}', which does not fit")
                if not plan.widths[place]:
                    raise ValueError(f"step '{step.name}' reads no item of '{level}', but lies below it")
                self._steps[level].members.append((plan, place))
            self._steps[step.name] = plan
        result = StepPlan(RESULT, None, (), "the result")
        self._inputs(result, ((one.name, one.edge) for one in self._graph.result))
        for plan in self._steps.values():
            plan.handled = ERROR in plan.outputs
            for output in plan.outputs.values():
                output.single = output.values + output.gathers
        del self._steps[RUN]
        wants = {name: _wants(plan) for name, plan in self._steps.items()}
        return Plan(self._graph, self._steps, self._run, result, wants)

    def _inputs(self, plan: StepPlan, inputs: Iterable[tuple[str, Edge]]) -> None:
        plan.widths = [set() for _ in plan.scope]
        for name, edge in inputs:
            choice = edge.kind is EdgeKind.ANY
            slot = SlotPlan(len(plan.slots), name, edge.optional, choice)
            plan.slots.append(slot)
            for one in _alternatives(edge):
                self._leaf(plan, slot, one)
            if not slot.leaves:
                raise ValueError(f"an `any` into {plan.title} has no alternative")
            slot.constant = slot.leaves[0].kind is EdgeKind.CONSTANT
            plan.missing += not slot.constant
            plan.choosing |= choice
        plan.streaming = any(leaf.kind is EdgeKind.STREAM for leaf in plan.leaves)
        plan.conditional = any(leaf.when is not None for leaf in plan.leaves)

    def _leaf(self, plan: StepPlan, slot: SlotPlan, edge: Edge) -> None:
        leaf = LeafPlan(len(plan.leaves), edge.kind, edge.when, 0, slot, plan)
        plan.leaves.append(leaf)
        slot.leaves.append(leaf)
        if edge.constant is not None:
            if edge.when is not None:
                raise ValueError(f"a constant into {plan.title} can have no condition")
            plan.initial.append(Constant(edge.constant))
            return
        plan.initial.append(PENDING)
        if edge.source is None:
            raise ValueError(f"an edge into {plan.title} comes from nowhere")
        producer = self._steps.get(edge.source.step)
        if producer is None:
            raise ValueError(f"an edge into {plan.title} comes from '{edge.source.step}', which is no earlier step")
        self._place(leaf, edge.source, producer)
        output = producer.outputs.setdefault(edge.source.output, OutputPlan(edge.source.output))
        readers = self._readers(leaf, output, producer)
        if edge.source.output == ERROR and readers is not output.values and readers is not output.gathers:
            raise ValueError(f"`$error` of '{edge.source.step}' is one value; {plan.title} reads its items")
        readers.append(leaf)
        if readers is output.gathers:
            leaf.consumer.gathering = True
            self._steps[producer.scope[-1]].closers.append((leaf, producer))
        by_item = readers is output.each or readers is output.lists
        # An action that emits nothing has no items; a run without the parameter was called wrongly.
        if not slot.optional and not slot.choice and (not by_item or producer is self._run):
            output.needs.append(leaf)

    @staticmethod
    def _place(leaf: LeafPlan, source: Source, producer: StepPlan) -> None:
        """Find the tag under which the leaf arrives and the items that the consumer is bound to."""
        consumer, scope = leaf.consumer, producer.scope
        if leaf.kind is EdgeKind.EACH:
            scope = (*scope, producer.name)
        elif leaf.kind is EdgeKind.GATHER and scope and consumer.scope[: len(scope)] != scope:
            scope = scope[:-1]
        if consumer.scope[: len(scope)] != scope:
            raise ValueError(f"the edge from '{source.step}' into {consumer.title} leaves an `each` without `gather`")
        leaf.depth = len(scope)
        for place in range(min(len(scope), len(producer.scope))):
            consumer.widths[place] |= producer.widths[place]
        if leaf.kind is EdgeKind.EACH:
            consumer.widths[-1 + len(scope)].add(source.output)

    @staticmethod
    def _readers(leaf: LeafPlan, output: OutputPlan, producer: StepPlan) -> list[LeafPlan]:
        match leaf.kind:
            case EdgeKind.EACH:
                return output.each
            case EdgeKind.STREAM:
                if leaf.when is not None or leaf.consumer.name == RESULT:
                    raise ValueError(f"a stream into {leaf.consumer.title} can have no condition and be no result")
                return output.streams
            case EdgeKind.VALUE:
                return output.values
            case EdgeKind.GATHER:
                return output.lists if leaf.depth == producer.depth else output.gathers
            case EdgeKind.ANY | EdgeKind.CONSTANT:
                raise ValueError(f"`{leaf.kind.value}` into {leaf.consumer.title} reads no output of its own")


def _wants(plan: StepPlan) -> Wants:
    return {name: ITEMS if output.by_item else VALUE for name, output in plan.outputs.items() if name != ERROR}


def _alternatives(edge: Edge) -> Iterable[Edge]:
    """Yield the edge, or what an `any` chooses from; nested ones are one list, their order is the same."""
    if edge.kind is not EdgeKind.ANY:
        yield edge
        return
    for one in edge.alternatives:
        if one.kind not in (EdgeKind.VALUE, EdgeKind.CONSTANT, EdgeKind.ANY):
            raise ValueError(f"an `any` can not hold `{one.kind.value}`")
        yield from _alternatives(one)
