"""Compositions of Composer, as `deploy` sends them: what is stored, what is shown, and which of them become graphs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller_ext.entities.names import Name
from controller_ext.runs.compositions import REASON
from controller_ext.runs.ports import OnlyStock
from invoker_ext.contract.graph import Fault, Graph, GraphKind, Region, WorkflowCall
from tests.support.api import Api
from tests.support.containers import GUEST
from tests.support.regions import PROGRAMS, composition

INC = "def main(a):\n  return {'n': a.get('n', 0) + 1}\n"
KIND = "python:3"
"""The kind of a conductor says nothing about its program; this server has only one."""
CHOIR = {"type": "choir"}


@pytest.fixture
def ready(api: Api) -> Api:
    """Actions a, b and c."""
    for name in "abc":
        api.action(name, INC)
    return api


def put(api: Api, program: Any, name: str = "comp", **annotations: Any) -> dict[str, Any]:
    reply = api.call("PUT", f"actions/{name}?overwrite=true", composition(program, KIND, **annotations))
    assert reply.status_code == 200, reply.get_json()
    found: dict[str, Any] = reply.get_json()
    return found


def reason(document: dict[str, Any]) -> str | None:
    return next((one["value"] for one in document["annotations"] if one["key"] == REASON), None)


def graph(api: Api, name: str = "comp") -> Graph | None:
    """Return the graph that an invocation runs; None: it runs as a conductor."""
    plan = api.services.acceptor.plan(GUEST, Name("guest", None, name))
    if plan.graph is None:
        assert plan.conductor
        return None
    stored = api.entities.graph(plan.graph)
    assert stored is not None
    return Graph.from_json(stored)


@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - {"async"}))
def test_a_composition_is_stored_as_it_was_sent_and_becomes_a_graph(ready: Api, name: str):
    document = put(ready, PROGRAMS[name])
    sent = composition(PROGRAMS[name], KIND)
    assert document["exec"]["code"] == sent["exec"]["code"]
    assert [one for one in document["annotations"] if one["key"] != "exec"] == sent["annotations"]
    found = graph(ready)
    assert found is not None
    assert found.kind is GraphKind.COMPOSITION


def test_what_cannot_be_lowered_runs_as_a_conductor_and_says_why(ready: Api):
    put(ready, CHOIR)
    shown = ready.call("GET", "actions/comp").get_json()
    assert reason(shown) == (
        "It runs as a conductor, not as data flow: root is `choir`, which is no combinator that is known."
    )
    assert graph(ready) is None


def test_an_update_that_can_be_lowered_drops_the_reason(ready: Api):
    put(ready, CHOIR)
    assert reason(put(ready, PROGRAMS["if"])) is None
    assert graph(ready) is not None


def test_who_asks_for_control_flow_gets_it(ready: Api):
    assert reason(put(ready, PROGRAMS["if"], dataflow=False)) is None
    assert graph(ready) is None


def test_a_composition_around_a_conductor_of_another_make_runs_as_one(ready: Api):
    ready.action("a", INC, annotations=[{"key": "conductor", "value": True}])
    assert "it runs /guest/a, which is a conductor and no composition" in (
        reason(put(ready, PROGRAMS["sequence"])) or ""
    )
    assert graph(ready) is None


def test_a_composition_that_runs_itself_runs_as_a_conductor(ready: Api):
    put(ready, PROGRAMS["sequence"], "b")
    assert "contains itself: guest/b" in (reason(put(ready, PROGRAMS["sequence"], "b")) or "")
    assert graph(ready, "b") is None


def test_a_composition_in_a_composition_or_a_sequence_is_a_graph_in_a_graph(ready: Api):
    put(ready, PROGRAMS["sequence"], "inner")
    put(ready, {"type": "action", "name": "/_/inner"})
    outer = graph(ready)
    assert outer is not None
    [call] = outer.calls()
    assert isinstance(call, WorkflowCall)
    assert call.graph.kind is GraphKind.COMPOSITION
    ready.call("PUT", "actions/seq", {"exec": {"kind": "sequence", "components": ["/_/inner", "/_/a"]}})
    sequence = graph(ready, "seq")
    assert sequence is not None
    assert isinstance(next(iter(sequence.calls())), WorkflowCall)


def test_a_composition_is_a_step_of_a_workflow(ready: Api):
    put(ready, PROGRAMS["sequence"], "inner")
    text = json.dumps({"dataflow": 1, "steps": {"one": {"action": "inner", "inputs": "$run"}}, "result": "one"})
    reply = ready.call("PUT", "actions/flow", {"exec": {"kind": "dataflow:1", "code": text}})
    assert reply.status_code == 200, reply.get_json()


def faults(api: Api, name: str) -> list[str]:
    put(api, {"type": "action", "name": name})
    found = graph(api)
    assert found is not None
    region = found.steps[0].call
    assert isinstance(region, Region)
    return [region.error] if region.error else [call.error for call in region.calls() if isinstance(call, Fault)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("/_/nosuch", "Failed to resolve action with name 'guest/nosuch' during composition."),
        ("/_/p/nosuch", "Failed entitlement check for action with name 'guest/p/nosuch' during composition."),
        ("/_/bad#name", 'Failed to parse action name from json value "/_/bad#name" during composition.'),
        ("/other/a", "Failed entitlement check for action with name 'other/a' during composition."),
        ("/_/a", None),
    ],
)
def test_actions_that_cannot_be_run_are_told_of_in_stocks_words(ready: Api, name: str, text: str | None):
    assert faults(ready, name) == ([] if text is None else [text])


def test_an_action_that_comes_later_is_found_by_the_next_invocation(ready: Api):
    assert faults(ready, "/_/later")
    ready.action("later", INC)
    found = graph(ready)
    assert found is not None
    assert not [call for call in found.calls() if isinstance(call, Fault)]


def test_a_composition_that_no_invoker_takes_runs_as_a_conductor(ready: Api):
    put(ready, PROGRAMS["sequence"])
    ready.balancer.refuse = OnlyStock("only stock")
    assert ready.call("POST", "actions/comp", {"x": 1}).status_code == 202
    (composition_,) = ready.control_flow.compositions
    assert (composition_.needs.memory_mb, composition_.needs.timeout_s) == (256, 60)
