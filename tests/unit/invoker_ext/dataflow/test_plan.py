"""What a plan refuses, and that it is made once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from invoker_ext.contract.graph import Edge, EdgeKind, Graph, Source
from invoker_ext.dataflow import plan as plans
from invoker_ext.dataflow.plan import Plan
from tests.support.graphs import CALL, constant, each, first_of, gather, graph, step, stream, value


def test_equal_graphs_share_one_plan():
    one = graph(step("a"), result=value("a"))
    other = Graph.from_json(one.to_json())

    assert other is not one
    assert Plan.of(other) is Plan.of(one)


def test_the_oldest_plan_goes_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(plans, "_KEPT_PLANS", 1)
    monkeypatch.setattr(plans, "_plans", {})
    first = Plan.of(graph(step("a"), result=value("a")))
    Plan.of(graph(step("b"), result=value("b")))

    assert Plan.of(graph(step("a"), result=value("a"))) is not first


def test_the_oldest_plans_go_when_their_parameters_are_too_many(monkeypatch):
    monkeypatch.setattr(plans, "KEPT_BYTES", 10_000)
    monkeypatch.setattr(plans, "_plans", {})

    def made(name: str) -> Plan:
        call = replace(CALL, parameters=f'{{"x":"{"x" * 6_000}"}}')
        return Plan.of(graph(step(name, call=call), result=value(name)))

    first, second = made("a"), made("b")

    assert made("b") is second
    assert made("a") is not first


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (graph(step("a"), step("a"), result=value("a")), "two steps are named 'a'"),
        (graph(step("a", inputs={"x": value("b.x")}), step("b"), result=value("a")), "'b', which is no earlier step"),
        (graph(step("a"), step("i", scope=("b",), inputs={"x": value("a")}), result=value("a")), "does not fit"),
        (graph(step("a"), step("i", scope=("a",), inputs={"x": value("a")}), result=value("a")), "reads no item"),
        (
            graph(step("a"), step("i", scope=("a",), inputs={"x": each("a.x")}), result=value("i")),
            "the edge from 'i' into the result leaves an `each` without `gather`",
        ),
        (graph(step("a", inputs={"x": Edge(kind=EdgeKind.VALUE)}), result=value("a")), "comes from nowhere"),
        (graph(step("a", inputs={"x": first_of()}), result=value("a")), "has no alternative"),
        (
            graph(step("a"), result={"x": Edge(kind=EdgeKind.CONSTANT, source=Source("a"))}),
            "`constant` into the result reads no output of its own",
        ),
        (
            graph(step("a"), step("b", inputs={"x": first_of(stream("a.x"))}), result=value("b")),
            "can not hold `stream`",
        ),
        (graph(step("a"), result={"x": stream("a.x")}), "be no result"),
        (graph(step("a"), step("b", inputs={"x": stream("a.x", when="no")}), result=value("b")), "no condition"),
        (
            graph(step("a", inputs={"x": Edge(kind=EdgeKind.CONSTANT, constant="1", when="no")}), result=value("a")),
            "a constant into step 'a' can have no condition",
        ),
        (graph(step("a"), result={"x": gather("a.$error")}), "`$error` of 'a' is one value"),
    ],
)
def test_a_graph_that_no_front_end_may_make_is_refused(made, says):
    with pytest.raises(ValueError, match=".*".join(says.split("$"))):
        Plan.of(made)


def test_a_constant_needs_no_source():
    assert Plan.of(graph(step("a", inputs={"x": constant(1)}), result=value("a"))).steps["a"].missing == 0
