import pytest

from controller_ext.workflow.nesting import NestingResolver, SequenceEntity
from controller_ext.workflow.sequence import (
    CYCLE,
    MISSING,
    NO_COMPONENT,
    TOO_MANY,
    Component,
    by_name,
    check_components,
    compile_sequence,
)
from invoker_ext.contract.graph import (
    RUN,
    WHOLE,
    Edge,
    EdgeKind,
    Fault,
    Graph,
    GraphKind,
    Input,
    Source,
    WorkflowCall,
    action_graph,
)
from tests.support.actions import Shelf, an_action, loading

ECHO = an_action("ns/echo")


def whole(step: str) -> Input:
    return Input(WHOLE, Edge(kind=EdgeKind.VALUE, source=Source(step, WHOLE)))


def faults(graph: Graph) -> list[str | None]:
    return [step.call.error if isinstance(step.call, Fault) else None for step in graph.steps]


def nested(graph: Graph, at: int) -> Graph:
    call = graph.steps[at].call
    assert isinstance(call, WorkflowCall)
    return call.graph


def test_a_plain_action_is_a_graph_of_one_step():
    graph = action_graph(ECHO)
    assert graph.kind is GraphKind.ACTION
    assert [(step.name, step.call, step.inputs) for step in graph.steps] == [("action", ECHO, (whole(RUN),))]
    assert graph.steps[0].at_most_once
    assert graph.result == (whole("action"),)


def test_a_sequence_is_a_chain_of_whole_results_run_at_most_once():
    graph = compile_sequence(["/ns/echo", "ns/pkg/other", "/ns/echo"], Shelf(ECHO, an_action("ns/pkg/other")))
    assert graph.kind is GraphKind.SEQUENCE
    assert [step.name for step in graph.steps] == ["echo", "other", "echo-2"]
    assert [step.inputs for step in graph.steps] == [(whole(RUN),), (whole("echo"),), (whole("other"),)]
    assert all(step.at_most_once and step.attempts == 1 and not step.scope for step in graph.steps)
    assert graph.result == (whole("echo-2"),)


def test_a_sequence_by_name_is_the_same_chain_without_looking_anything_up():
    chain = by_name(["/ns/a", "/ns/p/b", "/ns/a"])

    assert [(step.name, step.action) for step in chain.steps] == [("a", "/ns/a"), ("b", "/ns/p/b"), ("a-2", "/ns/a")]
    sources = [one.edge.source for step in chain.steps for one in step.inputs]
    assert [*sources, chain.result[0].edge.source] == [Source(name) for name in ("$run", "a", "b", "a-2")]


def test_names_of_steps_stay_unique():
    calls = [an_action(f"ns/{name}") for name in ("a", "a-2", "a b", "a_b")]
    graph = compile_sequence(["ns/a", "ns/a-2", "ns/a", "ns/a b", "ns/a_b"], Shelf(*calls))
    assert [step.name for step in graph.steps] == ["a", "a-2", "a-3", "a_b", "a_b-2"]


def test_a_component_that_is_gone_is_a_fault_at_its_place():
    assert faults(compile_sequence(["/ns/echo", "/ns/gone"], Shelf(ECHO))) == [None, MISSING]


def test_a_sequence_without_components_is_refused():
    with pytest.raises(ValueError, match=NO_COMPONENT):
        compile_sequence([], Shelf())


def test_the_turn_after_the_last_atomic_action_is_a_fault_inside_the_nested_sequence():
    """Stock's own example: of `echo, x, echo` with x of 50 echoes the outer logs two ids, the inner 49."""
    entities = {"ns/echo": ECHO, "ns/x": SequenceEntity("ns/x", "0.0.1", ("/ns/echo",) * 50)}
    graph = compile_sequence(["/ns/echo", "/ns/x", "/ns/echo"], NestingResolver(loading(entities)))
    inner = nested(graph, 1)
    assert faults(inner) == [None] * 49 + [TOO_MANY]
    assert faults(graph) == [None, None, TOO_MANY]


def test_a_nested_sequence_whose_turn_comes_after_the_bound_is_itself_the_fault():
    entities = {"ns/echo": ECHO, "ns/x": SequenceEntity("ns/x", "0.0.1", ("/ns/echo",) * 50)}
    assert faults(compile_sequence(["/ns/x", "/ns/x"], NestingResolver(loading(entities)))) == [None, TOO_MANY]


def test_a_sequence_within_the_bound_has_no_fault():
    entities = {"ns/echo": ECHO, "ns/x": SequenceEntity("ns/x", "0.0.1", ("/ns/echo",) * 24)}
    graph = compile_sequence(["/ns/x", "/ns/echo", "/ns/x", "/ns/echo"], NestingResolver(loading(entities)))
    assert faults(graph) == [None] * 4
    assert nested(graph, 0) == nested(graph, 2)
    assert nested(graph, 0).digest == nested(graph, 2).digest


def test_the_digest_of_a_bounded_graph_is_its_own():
    entities = {"ns/echo": ECHO, "ns/x": SequenceEntity("ns/x", "0.0.1", ("/ns/echo",) * 3)}
    free = compile_sequence(["/ns/x"], NestingResolver(loading(entities)))
    bound = compile_sequence(["/ns/x"], NestingResolver(loading(entities)), limit=2)
    assert nested(free, 0).digest != nested(bound, 0).digest
    assert Graph.from_json(bound.to_json()).digest == bound.digest


WORLD = {
    "ns/a": Component("ns/a"),
    "ns/bound/a": Component("prov/pkg/a"),
    "ns/five": Component("ns/five", ("/ns/a",) * 5),
    "ns/forty": Component("ns/forty", ("/ns/five",) * 8),
    "ns/holds-new": Component("ns/holds-new", ("/ns/a", "/ns/new")),
    "ns/broken": Component("ns/broken", ("/ns/gone",)),
    "ns/ring1": Component("ns/ring1", ("/ns/ring2",)),
    "ns/ring2": Component("ns/ring2", ("/ns/ring1",)),
    "ns/new": Component("ns/new"),
}


@pytest.mark.parametrize(
    ("components", "text"),
    [
        (["/ns/a"], None),
        (["ns/a", "/ns/bound/a"], None),
        (["/ns/a"] * 50, None),
        (["/ns/forty", "/ns/five", "/ns/five"], None),
        ([], NO_COMPONENT),
        (["/ns/a"] * 51, TOO_MANY),
        (["/ns/forty", "/ns/five", "/ns/five", "/ns/a"], TOO_MANY),
        (["/ns/new"], CYCLE),
        (["/ns/holds-new"], CYCLE),
        (["/ns/ring1"], CYCLE),
        (["/ns/gone"], MISSING),
        (["/ns/a", "/ns/broken"], MISSING),
    ],
)
def test_what_stock_checks_when_a_sequence_is_created(components, text):
    assert check_components("ns/new", components, WORLD.get) == text


def test_self_reference_is_seen_through_a_binding():
    assert check_components("prov/pkg/a", ["/ns/bound/a"], WORLD.get) == CYCLE


def test_nested_sequences_are_counted_once_and_not_again():
    looked: list[str] = []

    def lookup(name: str) -> Component | None:
        looked.append(name)
        return WORLD.get(name)

    check_components("ns/new", ["/ns/forty"], lookup)
    assert looked.count("ns/a") == 5
