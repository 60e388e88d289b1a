from __future__ import annotations

from dataclasses import replace

from invoker_ext.contract.graph import Graph, GraphKind
from invoker_ext.contract.messages import Identity
from invoker_ext.contract.records import Activation
from invoker_ext.dataflow.events import Outcome
from invoker_ext.owner.outcomes import Judgement
from invoker_ext.owner.run_record import RunSpec, Tally, run_record

USER = Identity(subject="somebody", namespace="guest", uuid="u", api_key="u:k", limits={})
SPEC = RunSpec(
    activation_id="a" * 32,
    path="guest/pkg/flow",
    version="0.0.1",
    binding=None,
    user=USER,
    transid=["t", 990],
    controller="0",
    received_ms=990,
)
SEQUENCE = Graph(kind=GraphKind.SEQUENCE, steps=(), result=())
NATIVE = Graph(kind=GraphKind.DATAFLOW, steps=(), result=())
GOOD = Judgement(Outcome.SUCCESS, b'{"n":1}', None, 7)


def a_tally(**changes) -> Tally:
    return replace(Tally(ids=["b" * 32], duration_ms=30, memory_mb=128, bytes_in=5, bytes_out=7), **changes)


def record(graph: Graph = SEQUENCE, spec: RunSpec = SPEC, tally: Tally | None = None) -> Activation:
    return run_record(spec, graph, GOOD, tally or a_tally(), 1000, 1100)


def keys(made: Activation) -> list[str]:
    return [one["key"] for one in made.annotations]


def test_an_outermost_sequence_begins_with_topmost():
    made = record()
    assert keys(made) == ["topmost", "path", "waitTime", "kind", "limits"]
    assert (made.annotation("topmost"), made.annotation("waitTime"), made.annotation("kind")) == (True, 10, "sequence")
    assert made.name == "flow"


def test_a_nested_sequence_ends_with_its_cause_and_topmost():
    made = record(spec=replace(SPEC, cause="c" * 32))
    assert keys(made) == ["path", "waitTime", "kind", "limits", "causedBy", "topmost"]
    assert (made.annotation("causedBy"), made.annotation("topmost"), made.cause) == ("sequence", False, "c" * 32)


def test_the_limits_are_those_of_the_entity_with_the_memory_of_its_largest_step():
    made = record(SEQUENCE.limited(1000, 5))
    assert made.annotation("limits") == {"timeout": 1000, "logs": 5, "memory": 128, "concurrency": 1}
    assert record().annotation("limits") == {"timeout": 60_000, "logs": 10, "memory": 128, "concurrency": 1}


def test_a_run_in_which_nothing_was_executed_shows_no_limits():
    assert "limits" not in keys(record(tally=a_tally(ids=[])))


def test_a_sequence_lasts_as_long_as_its_components_and_a_native_run_from_start_to_end():
    assert record().duration_ms == 30
    assert record(NATIVE).duration_ms == 100


def test_the_totals_stand_beside_the_record_of_a_sequence_and_in_that_of_a_native_run():
    line = {"firings": 1, "accepted": 1000, "ended": 1100, "in": 5, "out": 7}
    assert (record().dataflow, record().annotation("dataflow")) == (line, None)
    assert (record(NATIVE).dataflow, record(NATIVE).annotation("dataflow")) == (None, line)
