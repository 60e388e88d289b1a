"""The header `Idempotency-Key`: a request that is sent again becomes no second activation."""

import threading
from dataclasses import replace

import pytest
from werkzeug.test import TestResponse

from controller_ext.runs.ports import Accepted, Ended, NoInvoker, Throttled
from invoker_ext.contract.messages import ActivationMessage
from tests.support.api import SYSTEM, Api

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
WORKFLOW = "dataflow: 1\nsteps:\n  a: {action: a}\nresult: a\n"


@pytest.fixture
def api(api: Api) -> Api:
    api.action("a")
    return api


def invoke(api: Api, path: str = "actions/a?blocking=true", body: object = None, key: str = KEY, **more: str):
    return api.call("POST", path, {"x": 1} if body is None else body, Idempotency_Key=key, **more)


def id_of(reply: TestResponse) -> str:
    return reply.headers["X-Openwhisk-Activation-Id"]


def test_the_same_request_again_has_the_first_result(api: Api):
    first, again = invoke(api), invoke(api)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.get_json() == again.get_json()
    assert id_of(first) == id_of(again)
    assert len(api.balancer.messages) == 1


@pytest.mark.parametrize("path", ["actions/a", "actions/a?blocking=true&result=true"])
def test_each_answer_has_the_form_that_its_request_asked_for(api: Api, path: str):
    first = invoke(api)
    again = invoke(api, path)
    assert id_of(again) == id_of(first)
    if path == "actions/a":
        assert (again.status_code, again.get_json()) == (202, {"activationId": id_of(first)})
    else:
        assert (again.status_code, again.get_json()) == (200, {"x": 1})


def test_a_failure_is_given_again_and_not_tried_again(api: Api):
    api.action("a", "def main(a):\n  return {'error': 'no'}\n")
    first, again = invoke(api), invoke(api)
    assert (first.status_code, again.status_code) == (502, 502)
    assert id_of(first) == id_of(again)


def test_another_body_under_the_same_key_is_refused(api: Api):
    first = invoke(api)
    for body in ({"x": 2}, b""):
        reply = invoke(api, body=body)
        assert reply.status_code == 422
        assert reply.get_json()["error"] == (
            "This Idempotency-Key was used for a request with another body. Send the same body, or use a new key."
        )
    assert id_of(invoke(api)) == id_of(first)
    assert len(api.balancer.messages) == 1
    assert len(api.balancer.charged) == 2


def test_a_key_is_that_of_one_action_and_one_namespace(api: Api):
    api.action("b")
    api.put("actions/a", {"exec": {"kind": "python:3", "code": "def main(a):\n  return a\n"}}, auth=SYSTEM)
    ids = {
        id_of(invoke(api)),
        id_of(invoke(api, "actions/b?blocking=true")),
        id_of(invoke(api, key=KEY + "x")),
        id_of(api.call("POST", "actions/a?blocking=true", {"x": 1}, auth=SYSTEM, Idempotency_Key=KEY)),
    }
    assert len(ids) == 4


def test_without_the_header_each_request_is_its_own(api: Api):
    replies = [api.call("POST", "actions/a?blocking=true", {"x": 1}) for _ in range(2)]
    assert len({id_of(reply) for reply in replies}) == 2


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_what_is_no_key_is_refused(api: Api, key: str):
    reply = invoke(api, key=key)
    assert reply.status_code == 400
    assert reply.get_json()["error"] == "The header Idempotency-Key must have 1 to 255 characters."
    assert api.balancer.messages == []


def test_a_request_that_was_refused_claims_nothing(api: Api):
    assert invoke(api, body=b"{").status_code == 400
    assert invoke(api, "actions/missing?blocking=true").status_code == 404
    assert invoke(api).status_code == 200
    api.action("missing")
    assert invoke(api, "actions/missing?blocking=true").status_code == 200


@pytest.mark.parametrize("error", [Throttled("Too many"), NoInvoker("none")])
def test_a_request_that_nobody_took_is_started_by_the_next_one_under_its_id(api: Api, error: Exception):
    api.balancer.refuse = error
    assert invoke(api).status_code in (429, 503)
    api.balancer.refuse = None
    reply = invoke(api)
    assert reply.status_code == 200
    again = invoke(api)
    assert id_of(again) == id_of(reply)
    assert len(api.balancer.messages) == 1


def test_a_repeat_while_the_first_is_under_way_goes_to_the_balancer_under_the_first_id(api: Api):
    told: list[ActivationMessage] = []

    def respond(message: ActivationMessage) -> Accepted | Ended:
        told.append(message)
        return Accepted(message.activation_id)

    api.balancer.respond = respond
    first, again = invoke(api, "actions/a"), invoke(api, "actions/a")
    assert [reply.status_code for reply in (first, again)] == [202, 202]
    assert id_of(first) == id_of(again)
    assert [message.activation_id for message in told] == [id_of(first)] * 2


def test_many_at_once_are_one_activation(api: Api):
    replies: list[TestResponse] = []
    barrier = threading.Barrier(8)

    def send() -> None:
        client = replace(api, client=api.app.test_client())
        barrier.wait(10)
        replies.append(invoke(client))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len({id_of(reply) for reply in replies}) == 1
    assert {message.activation_id for message in api.balancer.messages} == {id_of(replies[0])}


def test_a_large_request_that_ended_is_not_made_ready_again(api: Api):
    api.put("actions/w", {"exec": {"kind": "dataflow:1", "code": WORKFLOW}})
    api.balancer.respond = lambda message: Accepted(message.activation_id)
    body = {"x": "y" * 600_000}
    first = invoke(api, "actions/w", body)
    assert len(api.balancer.spooled) == 1
    ended = api.balancer._record(api.balancer.messages[0], "guest/w", id_of(first), 1, {"kind": "dataflow:1"})
    api.activations.put_many([replace(ended, result=b"{}")])
    again = invoke(api, "actions/w?blocking=true&result=true", body)
    assert (again.status_code, id_of(again)) == (200, id_of(first))
    assert len(api.balancer.spooled) == 1


def test_a_sequence_by_control_flow_is_run_once(api: Api):
    sequence = {
        "exec": {"kind": "sequence", "components": ["/_/a"]},
        "annotations": [{"key": "dataflow", "value": False}],
    }
    assert api.put("actions/s", sequence).status_code == 200
    first, again = invoke(api, "actions/s"), invoke(api, "actions/s")
    assert (first.status_code, again.status_code) == (202, 202)
    assert id_of(first) == id_of(again)
    assert len(api.control_flow.sequences) == 1


# -- fires of triggers ---------------------------------------------------------------------------


@pytest.fixture
def ready(api: Api) -> Api:
    """Rules `r` and `s` have trigger `t` fire actions `a` and `b`."""
    api.action("b")
    api.put("triggers/t", {})
    for rule, action in (("r", "a"), ("s", "b")):
        api.put(f"rules/{rule}", {"trigger": "/_/t", "action": f"/_/{action}"})
    return api


def fire(api: Api, body: object = None, key: str = KEY) -> TestResponse:
    return api.call("POST", "triggers/t", {"x": 1} if body is None else body, Idempotency_Key=key)


def test_a_fire_that_is_sent_again_starts_nothing_and_names_the_first(ready: Api):
    first = fire(ready)
    ready.put("rules/r", {"trigger": "/_/t", "action": "/_/b"})
    again = fire(ready)
    assert (first.status_code, again.status_code) == (202, 202)
    assert id_of(first) == id_of(again)
    assert len(ready.balancer.messages) == 2


def test_a_fire_whose_worker_died_before_its_record_is_made_whole_by_the_next_one(ready: Api):
    first = fire(ready)
    begun = {one.activation_id for one in ready.balancer.messages}
    record = ready.activations.get("guest", id_of(first))
    assert record is not None
    ready.activations.expire(2**50, None, 100)

    again = fire(ready)

    assert id_of(again) == id_of(first)
    assert {one.activation_id for one in ready.balancer.messages} == begun
    made = ready.activations.get("guest", id_of(first))
    assert made is not None
    assert sorted(made.logs) == sorted(record.logs)


def test_two_keys_are_two_fires_and_another_body_under_one_is_refused(ready: Api):
    first, second = fire(ready), fire(ready, key="2")
    assert id_of(first) != id_of(second)
    assert len({one.activation_id for one in ready.balancer.messages}) == 4
    assert fire(ready, {"x": 2}).status_code == 422
    assert fire(ready, key="").status_code == 400


def test_a_fire_that_nobody_heard_claims_nothing(ready: Api):
    for rule in ("r", "s"):
        ready.call("POST", f"rules/{rule}", {"status": "inactive"})
    assert fire(ready).status_code == 204
    ready.call("POST", "rules/r", {"status": "active"})
    assert fire(ready, {"x": 2}).status_code == 202


def test_a_sequence_by_control_flow_is_not_started_twice_by_one_fire(ready: Api):
    steps = {"kind": "sequence", "components": ["/_/a"]}
    ready.put("actions/q", {"exec": steps, "annotations": [{"key": "dataflow", "value": False}]})
    ready.put("rules/r", {"trigger": "/_/t", "action": "/_/q"})
    first = fire(ready)
    ready.activations.expire(2**50, None, 100)
    again = fire(ready)
    assert id_of(again) == id_of(first)
    assert len(ready.control_flow.sequences) == 1
