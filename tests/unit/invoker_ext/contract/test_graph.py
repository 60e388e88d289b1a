import json

import pytest
from hypothesis import given, settings, strategies as st

from invoker_ext.contract.graph import (
    ActionCall,
    Edge,
    EdgeKind,
    Fault,
    Graph,
    GraphKind,
    Input,
    OwnLimits,
    Source,
    Step,
    WorkflowCall,
    action_graph,
)
from tests.support.actions import an_action

_NAMES = st.text(st.characters(codec="utf-8"), max_size=8)
_TEXTS = st.none() | _NAMES
_SECONDS = st.none() | st.floats(0.001, 1e6)
_SOURCES = st.builds(Source, _NAMES, _NAMES)
_LEAVES = st.builds(
    Edge,
    kind=st.sampled_from([EdgeKind.VALUE, EdgeKind.EACH, EdgeKind.GATHER, EdgeKind.STREAM]),
    source=_SOURCES,
    when=_TEXTS,
    optional=st.booleans(),
)
_CONSTANTS = st.builds(Edge, kind=st.just(EdgeKind.CONSTANT), constant=_NAMES)
_ANYS = st.builds(
    Edge, kind=st.just(EdgeKind.ANY), alternatives=st.lists(_LEAVES | _CONSTANTS, min_size=1, max_size=3).map(tuple)
)
_INPUTS = st.lists(st.builds(Input, _NAMES, _LEAVES | _CONSTANTS | _ANYS), max_size=3).map(tuple)
_ACTIONS = st.builds(
    ActionCall,
    name=_NAMES,
    version=_NAMES,
    revision=_TEXTS,
    kind=_NAMES,
    memory_mb=st.integers(128, 512),
    timeout_ms=st.integers(100, 300_000),
    logs_mb=st.integers(0, 10),
    binding=_TEXTS,
    parameters=st.just('{"a":1}'),
    init_names=st.lists(_NAMES, max_size=2).map(tuple),
)


def _graphs(calls: st.SearchStrategy[ActionCall | WorkflowCall | Fault]) -> st.SearchStrategy[Graph]:
    steps = st.builds(
        Step,
        name=_NAMES,
        call=calls,
        inputs=_INPUTS,
        scope=st.lists(_NAMES, max_size=2).map(tuple),
        attempts=st.integers(1, 9),
        backoff_s=st.floats(0, 100),
        timeout_s=_SECONDS,
        at_most_once=st.booleans(),
    )
    return st.builds(
        Graph,
        kind=st.sampled_from(GraphKind),
        steps=st.lists(steps, max_size=3).map(tuple),
        result=_INPUTS,
        timeout_s=_SECONDS,
        limits=st.builds(OwnLimits, st.integers(100, 300_000), st.integers(0, 10)),
    )


_FAULTS = st.builds(Fault, _NAMES, st.integers(1, 3))
_GRAPHS = _graphs(_ACTIONS | _FAULTS | st.builds(WorkflowCall, _NAMES, _NAMES, _graphs(_ACTIONS | _FAULTS)))


@settings(max_examples=60, deadline=None)
@given(graph=_GRAPHS)
def test_a_graph_survives_its_stored_form(graph):
    read = Graph.from_json(json.loads(json.dumps(graph.to_json())))
    assert read == graph
    assert read.digest == graph.digest


def test_a_graph_of_another_format_is_refused():
    document = action_graph(an_action("ns/a")).to_json()
    with pytest.raises(ValueError, match="format 2 is not 1"):
        Graph.from_json(document | {"format": 2})


def test_different_graphs_have_different_digests():
    one, other = action_graph(an_action("ns/a")), action_graph(an_action("ns/a", 5))
    assert one.digest != other.digest


def test_limits_of_an_entity_make_another_graph_unless_they_are_the_usual_ones():
    graph = action_graph(an_action("ns/a"))
    assert graph.limited(60_000, 10) is graph
    assert "limits" not in graph.to_json()
    limited = graph.limited(1000, 5)
    assert limited.limits == OwnLimits(1000, 5)
    assert limited.digest != graph.digest


def test_the_digest_names_what_stores_hold_and_must_not_drift():
    assert action_graph(an_action("ns/a")).digest == "0b141af2acf4bd66d354e5f5bbc6357e8912f7e58554d202e7cdc27728eec7c5"
