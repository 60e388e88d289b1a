from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from controller_ext.entities.subjects import Subjects
from controller_ext.runs import firing
from controller_ext.runs.ports import Accepted, NoInvoker, Throttled
from invoker_ext.store import StoreUnavailable
from tests.support.api import SYSTEM, Api

SYSTEM_NS = "/api/v1/namespaces/whisk.system"
TOO_MANY = "Too many requests in the last minute (count: 61, allowed: 60)."


def error_of(reply) -> tuple[int, str]:
    return reply.status_code, reply.get_json()["error"]


def lines_of(api: Api, reply) -> list[dict[str, Any]]:
    """The log lines of the record of a fire."""
    activation_id = reply.get_json()["activationId"]
    return [json.loads(line) for line in api.call("GET", f"activations/{activation_id}").get_json()["logs"]]


def failed(error: str, action: str = "guest/a", status: int = 1, rule: str = "guest/r") -> dict[str, Any]:
    return {"statusCode": status, "success": False, "rule": rule, "error": error, "action": action}


def arguments(api: Api) -> dict[str, Any]:
    """What the last invocation was given."""
    content = api.balancer.messages[-1].content
    assert content is not None
    given: dict[str, Any] = json.loads(content)
    return given


@pytest.fixture
def ready(api: Api) -> Api:
    """Rule `r` has trigger `t` fire action `a`."""
    api.balancer.respond = lambda message: Accepted(message.activation_id)
    api.put("triggers/t", {"parameters": [{"key": "p", "value": 1}, {"key": "q", "value": 2}]})
    api.action("a")
    api.put("rules/r", {"trigger": "/_/t", "action": "/_/a"})
    return api


class TestTheAnswer:
    def test_is_the_id_of_the_triggers_record(self, ready: Api):
        reply = ready.call("POST", "triggers/t", {"n": 1})
        activation_id = reply.get_json()["activationId"]
        assert (reply.status_code, reply.headers["X-Openwhisk-Activation-Id"]) == (202, activation_id)
        record = ready.call("GET", f"activations/{activation_id}").get_json()
        assert set(record) == {
            "namespace", "name", "version", "subject", "activationId", "start", "publish", "annotations", "logs",
            "response",
        }  # fmt: skip
        assert (record["name"], record["version"], record["annotations"]) == ("t", "0.0.1", [])
        assert record["response"] == {"result": {"n": 1}, "status": "success", "success": True}
        [started] = ready.balancer.messages
        line = {"statusCode": 0, "success": True, "activationId": started.activation_id}
        assert record["logs"] == [json.dumps({**line, "rule": "guest/r", "action": "guest/a"}, separators=(",", ":"))]

    @pytest.mark.parametrize("make", ["none", "all inactive", "deleted"])
    def test_is_empty_without_an_active_rule(self, ready: Api, make: str):
        if make == "all inactive":
            ready.call("POST", "rules/r", {"status": "inactive"})
        elif make == "deleted":
            ready.call("DELETE", "rules/r")
        else:
            ready.put("triggers/u", {})
        reply = ready.call("POST", "triggers/u" if make == "none" else "triggers/t", {"n": 1})
        assert (reply.status_code, reply.data) == (204, b"")
        assert "Content-Type" not in reply.headers
        assert "X-Openwhisk-Activation-Id" not in reply.headers
        assert ready.balancer.messages == []
        assert ready.call("GET", "activations").get_json() == []

    @pytest.mark.parametrize(
        ("body", "status"), [(b"{", 400), (b"[1]", 400), (b"null", 400), (b'{"a":"' + b"x" * 1048576 + b'"}', 413)]
    )
    def test_is_a_refusal_of_a_bad_payload_before_a_missing_trigger(self, ready: Api, body: bytes, status: int):
        for trigger in ("t", "nosuch"):
            assert ready.call("POST", f"triggers/{trigger}", body).status_code == status
        assert ready.balancer.messages == []

    def test_does_not_wait_for_the_actions(self, ready: Api):
        ready.balancer.respond = None
        ready.action("a", "import time\ndef main(a):\n  time.sleep(1)\n  return a\n")
        activation_id = ready.call("POST", "triggers/t", {}).get_json()["activationId"]
        assert ready.call("GET", f"activations/{activation_id}").status_code == 200
        assert ready.balancer.pending == []
        ready.balancer.finish()


class TestTheArguments:
    def test_are_the_triggers_parameters_below_headers_below_the_payload(self, ready: Api):
        ready.call("POST", "triggers/t", {"q": 3}, X_Custom="y", X_Utf8="é".encode().decode("latin-1"))
        given = arguments(ready)
        headers = given.pop("__ow_headers")
        assert given == {"p": 1, "q": 3}
        assert (headers["x-custom"], headers["x-utf8"]) == ("y", "é")
        assert headers.keys() & {"authorization", "content-type", "content-length"} == set()

    def test_a_payload_may_have_headers_of_its_own(self, ready: Api):
        ready.call("POST", "triggers/t", {"__ow_headers": "mine"})
        assert arguments(ready)["__ow_headers"] == "mine"

    def test_without_a_payload_are_parameters_and_headers(self, ready: Api):
        reply = ready.call("POST", "triggers/t")
        assert arguments(ready).keys() == {"p", "q", "__ow_headers"}
        record = ready.call("GET", f"activations/{reply.get_json()['activationId']}").get_json()
        assert record["response"]["result"] == {}

    def test_lie_above_those_of_binding_package_and_action(self, ready: Api):
        parameters = [{"key": one, "value": "package"} for one in ("p", "x", "y")]
        ready.put("packages/k", {"parameters": parameters})
        ready.put("packages/bound", {"binding": {"namespace": "_", "name": "k"}, "parameters": [parameters[2]]})
        ready.action("k/c", parameters=[{"key": "z", "value": "action"}])
        ready.put("rules/r", {"action": "/_/bound/c"})
        ready.call("POST", "triggers/t")
        given = arguments(ready)
        assert (given["p"], given["x"], given["z"]) == (1, "package", "action")
        [message] = ready.balancer.messages
        assert (message.action, message.binding) == ("guest/k/c", "guest/bound")

    def test_the_run_is_the_firing_users_and_nobodys_part(self, ready: Api):
        ready.call("POST", "triggers/t", X_Request_ID="given")
        [message] = ready.balancer.messages
        assert (message.user.namespace, message.cause, message.blocking) == ("guest", None, False)
        assert message.transid[0] == "given"


class TestARuleThatFails:
    def test_for_a_final_parameter_is_told(self, ready: Api):
        ready.action("a", parameters=[{"key": "p", "value": 9}], annotations=[{"key": "final", "value": True}])
        text = "Request defines parameters that are not allowed (e.g., reserved properties)."
        assert lines_of(ready, ready.call("POST", "triggers/t")) == [failed(text)]
        assert len(ready.balancer.charged) == 1

    def test_for_a_missing_action_is_told(self, ready: Api):
        ready.call("DELETE", "actions/a")
        assert lines_of(ready, ready.call("POST", "triggers/t")) == [failed("The requested resource does not exist.")]

    def test_for_a_package_that_is_shared_no_more_is_told(self, ready: Api):
        ready.call("PUT", f"{SYSTEM_NS}/packages/open", {"publish": True}, auth=SYSTEM)
        exec_ = {"kind": "python:3", "code": "x"}
        ready.call("PUT", f"{SYSTEM_NS}/actions/open/x", {"exec": exec_}, auth=SYSTEM)
        ready.put("rules/r", {"action": "/whisk.system/open/x"})
        ready.call("PUT", f"{SYSTEM_NS}/packages/open?overwrite=true", {"publish": False}, auth=SYSTEM)
        text = "The supplied authentication is not authorized to access 'whisk.system/open/x'."
        lines = lines_of(ready, ready.call("POST", "triggers/t"))
        assert lines == [failed(text, action="whisk.system/open/x")]

    def test_for_arguments_that_became_too_large_is_told(self, ready: Api):
        ready.put("triggers/t", {"parameters": [{"key": "p", "value": "x" * 600_000}]})
        [line] = lines_of(ready, ready.call("POST", "triggers/t", {"n": "x" * 600_000}))
        assert line["error"].startswith("Request larger than allowed: 120")
        assert line["error"].endswith(" > 1048576 bytes.")

    @pytest.mark.parametrize(
        ("error", "status", "text"),
        [
            (Throttled(TOO_MANY), 1, TOO_MANY),
            (NoInvoker("none"), 3,
             "The server is currently unavailable (because it is overloaded or down for maintenance)."),
        ],
    )  # fmt: skip
    def test_behind_the_api_is_told_with_whose_fault_it_is(self, ready: Api, error: Exception, status: int, text: str):
        ready.balancer.refuse = error
        assert lines_of(ready, ready.call("POST", "triggers/t")) == [failed(text, status=status)]

    def test_does_not_keep_the_others_from_running(self, ready: Api):
        ready.action("b")
        ready.put("rules/s", {"trigger": "/_/t", "action": "/_/b"})
        ready.put("rules/off", {"trigger": "/_/t", "action": "/_/b"})
        ready.call("POST", "rules/off", {"status": "inactive"})
        ready.call("DELETE", "actions/a")
        gone, started, off = lines_of(ready, ready.call("POST", "triggers/t"))
        assert gone == failed("The requested resource does not exist.")
        assert (started["success"], started["rule"], started["action"]) == (True, "guest/s", "guest/b")
        text = "Rule 'guest/off' is inactive, action 'guest/b' was not activated."
        assert off == failed(text, action="guest/b", rule="guest/off")


class TestSequences:
    def test_run_as_data_flow(self, ready: Api):
        ready.put("actions/s", {"exec": {"kind": "sequence", "components": ["/_/a", "/_/a"]}})
        ready.put("rules/r", {"action": "/_/s"})
        [line] = lines_of(ready, ready.call("POST", "triggers/t", {"n": 1}))
        [message] = ready.balancer.messages
        assert (message.activation_id, message.graph is not None) == (line["activationId"], True)

    def test_run_by_control_flow_where_they_say_so(self, ready: Api):
        annotations = [{"key": "dataflow", "value": False}]
        ready.put("actions/s", {"exec": {"kind": "sequence", "components": ["/_/a"]}, "annotations": annotations})
        ready.put("rules/r", {"action": "/_/s"})
        [line] = lines_of(ready, ready.call("POST", "triggers/t", {"n": 1}))
        [sequence] = ready.control_flow.sequences
        assert sequence.message.activation_id == line["activationId"]


def test_every_fire_is_counted_whatever_comes_of_it(ready: Api):
    ready.call("POST", "triggers/t")
    ready.call("POST", "triggers/nosuch")
    ready.call("POST", "triggers/t", b"{")
    ready.call("POST", f"{SYSTEM_NS}/triggers/t")
    assert [user.namespace for user in ready.balancer.fired] == ["guest"] * 4
    assert ready.call("POST", "triggers/a,b").status_code == 400  # no trigger can have this name
    assert len(ready.balancer.fired) == 4
    ready.balancer.refuse_fire = Throttled(TOO_MANY)
    for trigger in ("t", "nosuch"):
        assert error_of(ready.call("POST", f"triggers/{trigger}", b"{")) == (429, TOO_MANY)
    assert len(ready.balancer.messages) == 1


def test_the_rules_of_a_fire_are_started_side_by_side_and_no_more_than_so_many(
    ready: Api, monkeypatch: pytest.MonkeyPatch
):
    many = 3 * firing.RULES_AT_A_TIME
    for number in range(many):
        ready.put(f"rules/r{number}", {"trigger": "/_/t", "action": "/_/a"})
    guard, full = threading.Lock(), threading.Event()
    inside: list[int] = [0, 0]

    def respond(message) -> Accepted:
        with guard:
            inside[0] += 1
            inside[1] = max(inside)
            if inside[0] == firing.RULES_AT_A_TIME:
                full.set()
        assert full.wait(10)
        with guard:
            inside[0] -= 1
        return Accepted(message.activation_id)

    ready.balancer.respond = respond
    lines = lines_of(ready, ready.call("POST", "triggers/t"))
    assert [line["rule"] for line in lines] == ["guest/r", *(f"guest/r{number}" for number in range(many))]
    assert all(line["success"] for line in lines)
    assert inside == [0, firing.RULES_AT_A_TIME]


def test_rules_whose_turn_comes_too_late_are_not_started(ready: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(firing, "PATIENCE_S", 0.0)
    [line] = lines_of(ready, ready.call("POST", "triggers/t"))
    assert (line["statusCode"], ready.balancer.messages) == (3, [])


def test_a_record_that_cannot_be_written_takes_nothing_back(ready: Api, monkeypatch: pytest.MonkeyPatch):
    def full(records: object) -> None:
        raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(ready.activations, "put_many", full)
    assert ready.call("POST", "triggers/t").status_code == 202
    assert len(ready.balancer.messages) == 1


def test_a_namespace_may_do_without_records(ready: Api):
    Subjects(ready.entities).set_limits("guest", {"storeActivations": False})
    reply = ready.call("POST", "triggers/t")
    assert reply.status_code == 202
    assert ready.call("GET", f"activations/{reply.get_json()['activationId']}").status_code == 404
    assert len(ready.balancer.messages) == 1
