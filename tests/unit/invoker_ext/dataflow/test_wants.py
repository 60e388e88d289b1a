"""Which outputs and parameters are needed, and how."""

from __future__ import annotations

from invoker_ext.dataflow.wants import RunMembers, run_members, wants
from tests.support.graphs import each, first_of, gather, graph, step, stream, value


def test_an_output_is_wanted_as_items_if_anybody_reads_it_item_by_item():
    made = graph(
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.xs"), "all": value("a.xs"), "v": value("a.v")}),
        step("b", inputs={"in": stream("a.flow"), "ys": gather("i.y"), "list": gather("a.list")}),
        step("h", inputs={"e": value("a.$error"), "w": first_of(value("b"), value("b.z"))}),
        result={"h": value("h")},
    )

    assert wants(made) == {
        "a": {"xs": "items", "v": "value", "flow": "items", "list": "items"},
        "i": {"y": "value"},
        "b": {"": "value", "z": "value"},
        "h": {"": "value"},
    }
    assert wants(made) is wants(made)


def test_parameters_are_needed_as_they_are_read():
    made = graph(
        step("a", scope=("$run",), inputs={"x": each("$run.xs"), "all": value("$run.xs"), "p": value("$run.p")}),
        step("b", inputs={"": value("$run"), "in": stream("$run.flow")}),
        result=value("b"),
    )

    assert run_members(made) == RunMembers(values=frozenset({"", "xs", "p"}), items=frozenset({"xs", "flow"}))
