"""Compositions: actions annotated `conductor`, by every way on which an action is invoked."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.support.api import SYSTEM, Api
from tests.support.waiting import wait_until
from tests.support.web import export, get

CONDUCTOR = [{"key": "conductor", "value": True}]
INC = "def main(a):\n  return {'n': a.get('n', 0) + a.get('by', 1)}\n"
ONCE = """
def main(a):
    if a.pop('$done', False):
        return {'params': a}
    return {'action': a.get('run', 'inc'), 'params': a.get('with', {}), 'state': {'$done': True}}
"""
"""Runs one component and returns what it came to."""
ARRAY = "def main(a):\n  return [1, 2]\n"


@pytest.fixture
def ready(api: Api) -> Api:
    """Actions `inc` and `once`, the conductor."""
    api.compose()
    api.action("inc", INC)
    api.action("once", ONCE, annotations=CONDUCTOR)
    return api


def invoke(api: Api, name: str = "once", body: dict[str, Any] | None = None) -> TestResponse:
    return api.call("POST", f"actions/{name}?blocking=true", body or {})


def result(api: Api, name: str = "once", body: dict[str, Any] | None = None) -> Any:
    """Invoke, wait, and return the result, whatever the status."""
    reply = api.call("POST", f"actions/{name}?blocking=true&result=true", body or {})
    return reply.get_json()


def record(api: Api, activation_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.call("GET", f"activations/{activation_id}").get_json()
    return found


def finished(api: Api, activation_id: str) -> dict[str, Any]:
    """Wait for the record of a call that nobody waited for."""
    wait_until(lambda: api.call("GET", f"activations/{activation_id}").status_code == 200)
    return record(api, activation_id)


def note(found: dict[str, Any], key: str) -> Any:
    return next((one["value"] for one in found["annotations"] if one["key"] == key), None)


@pytest.mark.parametrize("value", [True, 1, "false", {}, [], {"type": "sequence"}])
def test_an_action_is_a_conductor_if_the_annotation_is_truthy(ready: Api, value: Any):
    ready.action("c", ONCE, annotations=[{"key": "conductor", "value": value}])
    assert result(ready, "c", {"with": {"n": 1}}) == {"n": 2}


@pytest.mark.parametrize("value", [False, 0, "", None])
def test_an_action_is_plain_if_the_annotation_is_not_truthy(ready: Api, value: Any):
    ready.action("c", ONCE, annotations=[{"key": "conductor", "value": value}])
    assert result(ready, "c")["action"] == "inc"


def test_the_annotation_says_nothing_about_a_sequence(ready: Api):
    ready.put("actions/s", {"exec": {"kind": "sequence", "components": ["/_/inc"]}, "annotations": CONDUCTOR})
    assert result(ready, "s", {"n": 1}) == {"n": 2}
    assert ready.control_flow.sequences == []


def test_the_records_are_those_of_stock(ready: Api):
    reply = invoke(ready, body={"with": {"n": 1}})
    whole = reply.get_json()
    assert reply.status_code == 200
    assert reply.headers["X-Openwhisk-Activation-Id"] == whole["activationId"]
    assert record(ready, whole["activationId"]) == whole
    assert "size" not in whole["response"]
    assert "cause" not in whole
    parts = [record(ready, one) for one in whole["logs"]]
    assert [one["name"] for one in parts] == ["once", "inc", "once"]
    assert {one["cause"] for one in parts} == {whole["activationId"]}
    assert {note(one, "causedBy") for one in parts} == {"sequence"}
    assert [note(one, "kind") for one in parts] == ["python:3"] * 3
    assert whole["duration"] == sum(one["duration"] for one in parts)


def test_a_call_that_is_not_waited_for_goes_on_by_itself(ready: Api):
    reply = ready.call("POST", "actions/once", {"with": {"n": 1}})
    assert reply.status_code == 202
    (composition,) = ready.control_flow.compositions
    assert reply.get_json() == {"activationId": composition.message.activation_id}
    assert finished(ready, composition.message.activation_id)["response"]["result"] == {"n": 2}


def test_one_call_is_one_invocation_for_the_rate(ready: Api):
    before = len(ready.balancer.charged)
    invoke(ready)
    assert len(ready.balancer.charged) == before + 1
    assert all(one.cause is not None for one in ready.balancer.messages)


@pytest.mark.parametrize("path", ["inc", "/_/inc", "/guest/inc"])
def test_names_are_resolved_in_the_callers_namespace(ready: Api, path: str):
    assert result(ready, body={"run": path, "with": {"n": 1}}) == {"n": 2}


@pytest.mark.parametrize("path", ["p/inc", "/_/p/inc", "guest/p/inc", "b/inc", "guest/b/inc"])
def test_packages_and_bindings_are_followed_and_give_their_parameters(ready: Api, path: str):
    ready.put("packages/p", {"parameters": [{"key": "by", "value": 10}]})
    ready.action("p/inc", INC)
    ready.put("packages/b", {"binding": {"namespace": "_", "name": "p"}})
    assert result(ready, body={"run": path, "with": {"n": 1}}) == {"n": 11}


def test_a_conductor_through_a_binding_says_so_in_all_its_records(ready: Api):
    ready.put("packages/p", {"parameters": [{"key": "with", "value": {"n": 5}}]})
    ready.action("p/once", ONCE, annotations=CONDUCTOR)
    ready.put("packages/b", {"binding": {"namespace": "_", "name": "p"}})
    whole = invoke(ready, "b/once").get_json()
    # The conductor's parameters come back in every step.
    assert whole["response"]["result"] == {"n": 6, "with": {"n": 5}}
    assert (note(whole, "path"), note(whole, "binding")) == ("guest/p/once", "guest/b")
    assert note(record(ready, whole["logs"][0]), "binding") == "guest/b"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("nosuch", "Failed to resolve action with name 'guest/nosuch' during composition."),
        ("p/nosuch", "Failed to resolve action with name 'guest/p/nosuch' during composition."),
        ("p", "Failed to resolve action with name 'guest/p' during composition."),
        ("nopackage/a", "Failed entitlement check for action with name 'guest/nopackage/a' during composition."),
        ("/whisk.system/a", "Failed entitlement check for action with name 'whisk.system/a' during composition."),
        ("/whisk.system/p/a", "Failed entitlement check for action with name 'whisk.system/p/a' during composition."),
        ("a#b", 'Failed to parse action name from json value "a#b" during composition.'),
        (42, "Failed to parse action name from json value 42 during composition."),
    ],
)
def test_what_cannot_be_run_is_told_to_the_conductor(ready: Api, path: Any, error: str):
    ready.put("packages/p", {})
    reply = invoke(ready, body={"run": path})
    whole = reply.get_json()
    assert (reply.status_code, whole["response"]["status"]) == (200, "success")
    assert whole["response"]["result"] == {"error": error}
    assert len(whole["logs"]) == 2


def test_a_published_package_of_others_can_be_used(ready: Api):
    path = "/api/v1/namespaces/whisk.system"
    ready.call("PUT", f"{path}/packages/p", {"publish": True}, auth=SYSTEM)
    ready.call("PUT", f"{path}/actions/p/inc", {"exec": {"kind": "python:3", "code": INC}}, auth=SYSTEM)
    assert result(ready, body={"run": "/whisk.system/p/inc", "with": {"n": 1}}) == {"n": 2}


def test_a_component_that_is_changed_meanwhile_is_taken_as_it_is_then(ready: Api):
    assert result(ready, body={"with": {"n": 1}}) == {"n": 2}
    ready.action("inc", INC.replace("+", "-"))
    assert result(ready, body={"with": {"n": 1}}) == {"n": 0}


def test_an_array_of_a_component_is_boxed(ready: Api):
    ready.action("array", ARRAY)
    assert result(ready, body={"run": "array"}) == {"value": [1, 2]}


def test_an_array_of_the_conductor_is_boxed(ready: Api):
    ready.action("array", ARRAY, annotations=CONDUCTOR)
    assert result(ready, "array") == {"value": [1, 2]}


def test_an_array_before_a_conductor_in_a_sequence_is_boxed(ready: Api):
    ready.action("array", ARRAY)
    ready.action("same", "def main(a):\n  return a\n", annotations=CONDUCTOR, parameters=[{"key": "p", "value": 1}])
    ready.put("actions/s", {"exec": {"kind": "sequence", "components": ["/_/array", "/_/same"]}})
    assert result(ready, "s") == {"value": [1, 2], "p": 1}


def test_a_final_parameter_of_the_conductor_cannot_be_given_but_its_state_may_go_over_it(ready: Api):
    annotations = [*CONDUCTOR, {"key": "final", "value": True}]
    parameters = [{"key": "$done", "value": False}]
    ready.action("c", ONCE, annotations=annotations, parameters=parameters)
    assert invoke(ready, "c", {"$done": True}).status_code == 400
    assert result(ready, "c", {"with": {"n": 1}}) == {"n": 2}


def test_a_final_parameter_of_a_component_may_be_given_as_in_stock(ready: Api):
    final = [{"key": "final", "value": True}]
    ready.action("inc", INC, annotations=final, parameters=[{"key": "by", "value": 5}])
    assert result(ready, body={"with": {"n": 1, "by": 2}}) == {"n": 3}


@pytest.mark.parametrize("data_flow", [True, False])
def test_a_sequence_with_a_conductor_in_it_runs_it_as_a_composition(ready: Api, data_flow: bool):
    ready.action("thrice", ONCE.replace("a.get('with', {})", "{'n': 3 * a['n']}"), annotations=CONDUCTOR)
    exec_ = {"kind": "sequence", "components": ["/_/inc", "/_/thrice", "/_/inc"]}
    ready.put("actions/s", {"exec": exec_, "annotations": [{"key": "dataflow", "value": data_flow}]})
    ready.put("actions/outer", {"exec": {"kind": "sequence", "components": ["/_/s"]}})
    whole = invoke(ready, "s", {"n": 1}).get_json()
    assert whole["response"]["result"] == {"n": 8}
    assert note(whole, "conductor") is None
    inner = record(ready, whole["logs"][1])
    assert (inner["cause"], len(inner["logs"]), note(inner, "conductor")) == (whole["activationId"], 3, True)
    assert whole["duration"] == sum(record(ready, one)["duration"] for one in whole["logs"])
    assert result(ready, "outer", {"n": 1}) == {"n": 8}


def test_a_sequence_follows_when_an_action_in_it_becomes_a_conductor_and_ceases_to_be(ready: Api):
    ready.action("a", ONCE)
    ready.put("actions/s", {"exec": {"kind": "sequence", "components": ["/_/a"]}})
    assert result(ready, "s", {"with": {"n": 1}})["action"] == "inc"
    ready.action("a", ONCE, annotations=CONDUCTOR)
    assert result(ready, "s", {"with": {"n": 1}}) == {"n": 2}
    ready.action("a", ONCE, annotations=[{"key": "conductor", "value": False}])
    assert result(ready, "s", {"with": {"n": 1}})["action"] == "inc"


@pytest.mark.parametrize("data_flow", [True, False])
def test_a_sequence_can_be_a_component(ready: Api, data_flow: bool):
    exec_ = {"kind": "sequence", "components": ["/_/inc", "/_/inc"]}
    ready.put("actions/s", {"exec": exec_, "annotations": [{"key": "dataflow", "value": data_flow}]})
    whole = invoke(ready, body={"run": "s", "with": {"n": 1}}).get_json()
    assert whole["response"]["result"] == {"n": 3}
    inner = record(ready, whole["logs"][1])
    assert (inner["cause"], len(inner["logs"])) == (whole["activationId"], 2)
    assert (note(inner, "causedBy"), note(inner, "topmost")) == ("sequence", False)
    assert any(one.graph is not None for one in ready.balancer.messages) is data_flow


def test_a_sequence_whose_component_is_out_of_reach_cannot_be_resolved(ready: Api):
    system = "/api/v1/namespaces/whisk.system"
    ready.call("PUT", f"{system}/packages/p", {"publish": True}, auth=SYSTEM)
    ready.call("PUT", f"{system}/actions/p/inc", {"exec": {"kind": "python:3", "code": INC}}, auth=SYSTEM)
    ready.put("actions/s", {"exec": {"kind": "sequence", "components": ["/whisk.system/p/inc"]}})
    ready.call("PUT", f"{system}/packages/p?overwrite=true", {"publish": False}, auth=SYSTEM)
    error = "Failed to resolve action with name 'guest/s' during composition."
    assert result(ready, body={"run": "s"}) == {"error": error}


WORKFLOW = """
dataflow: 1
steps:
  one: {action: ACTION, inputs: $run}
result: one
"""


def test_a_conductor_is_refused_as_a_step_of_a_workflow(ready: Api):
    text = "/guest/once is a conductor, which no workflow can run: let it run the workflow"
    ready.put("actions/s", {"exec": {"kind": "sequence", "components": ["/_/once"]}})
    for action in ("once", "s"):
        code = WORKFLOW.replace("ACTION", action)
        reply = ready.put("actions/w", {"exec": {"kind": "dataflow:1", "code": code}})
        assert reply.status_code == 400
        assert text in reply.get_json()["error"]


def test_a_workflow_whose_step_becomes_a_conductor_says_so_wherever_it_runs(ready: Api):
    code = WORKFLOW.replace("ACTION", "later")
    ready.action("later", ONCE)
    ready.put("actions/w", {"exec": {"kind": "dataflow:1", "code": code}})
    ready.put("actions/s", {"exec": {"kind": "sequence", "components": ["/_/w"]}})
    ready.action("later", ONCE, annotations=CONDUCTOR)
    for name in ("w", "s"):
        reply = invoke(ready, name)
        assert (reply.status_code, "/guest/later is a conductor" in reply.get_json()["error"]) == (400, True)
    error = "Failed to resolve action with name 'guest/w' during composition."
    assert result(ready, body={"run": "w"}) == {"error": error}


def test_a_rule_can_run_a_composition(ready: Api):
    ready.put("triggers/t", {})
    ready.put("rules/r", {"trigger": "/_/t", "action": "/_/once"})
    assert ready.call("POST", "triggers/t", {"with": {"n": 1}}).status_code == 202
    (composition,) = ready.control_flow.compositions
    assert finished(ready, composition.message.activation_id)["response"]["result"] == {"n": 2}


def test_a_web_action_can_be_a_composition(ready: Api):
    html = "def main(a):\n  return {'body': 'n is ' + str(a['n'])}\n"
    ready.action("html", html)
    code = ONCE.replace("a.get('with', {})", "{'n': a['n']}").replace("a.get('run', 'inc')", "'html'")
    export(ready, "page", exec={"kind": "python:3", "code": code}, conductor=True)
    reply = get(ready, "default/page.html?n=7")
    assert (reply.status_code, reply.data) == (200, b"n is 7")


def test_a_repeated_request_starts_no_second_composition(ready: Api):
    body = {"with": {"n": 1}}
    path = "actions/once?blocking=true&result=true"
    first, again = (ready.call("POST", path, body, Idempotency_Key="k") for _ in range(2))
    assert (first.get_json(), again.get_json()) == ({"n": 2}, {"n": 2})
    assert len(ready.control_flow.compositions) == 1
