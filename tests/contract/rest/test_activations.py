from __future__ import annotations

from dataclasses import replace

import pytest

from invoker_ext.contract.records import Activation
from tests.support.api import SYSTEM, Api

NOT_FOUND = (404, "The requested resource does not exist.")


def error_of(reply) -> tuple[int, str]:
    return reply.status_code, reply.get_json()["error"]


def a_record(number: int, **changes) -> Activation:
    record = Activation(
        activation_id=f"{number:032x}",
        namespace="guest",
        name="a",
        subject="guest",
        version="0.0.1",
        start_ms=number,
        end_ms=number + 5,
        duration_ms=3,
        status=1,
        result=b'{"error":1}',
        annotations=({"key": "path", "value": "guest/a"}, {"key": "kind", "value": "python:3"}),
        logs=("TIME stdout: x",),
        size=11,
        cause=None,
    )
    return replace(record, **changes)


def test_a_record_is_read_as_soon_as_its_invocation_was_answered(api: Api):
    api.action("a")
    activation_id = api.call("POST", "actions/a?blocking=true", {"x": 1}).get_json()["activationId"]
    record = api.call("GET", f"activations/{activation_id}").get_json()
    assert record["response"] == {"result": {"x": 1}, "size": 9, "status": "success", "success": True}
    (item,) = api.call("GET", "activations").get_json()
    assert item["activationId"] == activation_id


def test_a_record_in_its_forms(api: Api):
    record = a_record(1, cause="c" * 32)
    api.activations.put_many([record])
    path = f"activations/{record.activation_id}"
    response = {"result": {"error": 1}, "size": 11, "status": "application error", "success": False}
    assert api.call("GET", path).get_json()["response"] == response
    assert api.call("GET", f"{path}/").get_json()["duration"] == 3
    assert api.call("GET", f"{path}/logs").get_json() == {"logs": ["TIME stdout: x"]}
    assert api.call("GET", f"{path}/result").get_json() == response
    assert api.call("GET", f"{path}/logs/").status_code == 404
    (item,) = api.call("GET", "activations").get_json()
    assert (item["duration"], item["statusCode"], item["cause"]) == (5, 1, "c" * 32)
    assert "logs" not in item
    assert "response" not in item
    (full,) = api.call("GET", "activations?docs=true").get_json()
    assert full["logs"] == ["TIME stdout: x"]


def test_filters_narrow_the_list(api: Api):
    api.activations.put_many([a_record(n) for n in (10, 20, 30)])

    def starts(query: str) -> list[int]:
        return [one["start"] for one in api.call("GET", f"activations?{query}").get_json()]

    assert starts("since=20") == [30, 20]
    assert starts("upto=20") == [20, 10]
    assert starts("since=11&upto=29") == [20]
    assert starts("name=a&skip=1&limit=1") == [20]
    assert starts("name=") == [30, 20, 10]
    assert starts("name=p/a") == []
    assert starts("name=/a/") == starts("name=a") == [30, 20, 10]
    assert starts("name=%20") == starts("limit=0") == [30, 20, 10]
    assert starts(f"since=-1&upto={2**63 - 1}") == [30, 20, 10]
    assert starts("upto=-1") == []
    assert starts("skip=5") == []
    assert api.call("GET", "activations?count=true&since=20").get_json() == {"activations": 2}
    assert api.call("GET", "activations?count=true&since=20&skip=1&limit=0").get_json() == {"activations": 1}
    assert api.call("GET", "activations?count=true&name=a&skip=9").get_json() == {"activations": 0}


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("since=abc", "Parameter is not a valid value for epoch seconds: abc"),
        ("upto=1.5", "Parameter is not a valid value for epoch seconds: 1.5"),
        ("since=", "Parameter is not a valid value for epoch seconds: "),
        (f"since={2**63}", f"Parameter is not a valid value for epoch seconds: {2**63}"),
        ("name=/", "Parameter may be a 'simple' name or 'package-name/simple' name: /"),
        ("name=a!", "Parameter may be a 'simple' name or 'package-name/simple' name: a!"),
        ("since=x&name=a/b/c&docs=x&count=y", "'y' is not a valid Boolean value"),
        ("limit=x&skip=y", "The value 'y' is not an integer for activations."),
        ("upto=x&since=y&name=a", "Parameter is not a valid value for epoch seconds: y"),
        ("name=a/b/c", "Parameter may be a 'simple' name or 'package-name/simple' name: a/b/c"),
        ("docs=true&count=true", "The parameter 'docs' is not permitted with 'count'."),
        ("docs=x", "'x' is not a valid Boolean value"),
    ],
)
def test_bad_filters_are_told(api: Api, query: str, text: str):
    status, error = error_of(api.call("GET", f"activations?{query}"))
    assert status == 400
    assert error.endswith(text)


@pytest.mark.parametrize("tail", ["", "/logs", "/result", "/trace"])
def test_an_id_is_checked_before_it_is_looked_up(api: Api, tail: str):
    assert error_of(api.call("GET", f"activations/xyz{tail}")) == (400, "Activation id length is 3 but must be 32.")
    assert error_of(api.call("GET", f"activations/{'A' * 32}{tail}")) == (400, "The activation id is not valid.")
    assert error_of(api.call("GET", f"activations/{'0' * 32}{tail}")) == NOT_FOUND


def test_an_id_is_checked_before_the_namespace_is_refused(api: Api):
    foreign = "/api/v1/namespaces/whisk.system/activations"
    assert error_of(api.call("GET", f"{foreign}/xyz")) == (400, "Activation id length is 3 but must be 32.")
    assert error_of(api.call("GET", f"{foreign}/{'0' * 32}"))[0] == 403
    assert error_of(api.call("GET", f"{foreign}?since=x"))[0] == 403


def test_through_a_binding_a_record_is_found_by_either_package(api: Api):
    notes = ({"key": "path", "value": "guest/pkg/a"}, {"key": "binding", "value": "guest/bound"})
    api.activations.put_many([a_record(10, annotations=notes)])
    for name, count in (("pkg/a", 1), ("bound/a", 1), ("a", 0), ("other/a", 0)):
        assert api.call("GET", f"activations?count=true&name={name}").get_json() == {"activations": count}


def test_records_of_others_are_not_found(api: Api):
    api.activations.put_many([a_record(1)])
    path = f"activations/{1:032x}"
    assert error_of(api.call("GET", path, auth=SYSTEM)) == NOT_FOUND
    assert api.call("GET", f"/api/v1/namespaces/guest/{path}", auth=SYSTEM).status_code == 403


def test_a_running_run_can_be_cancelled_once(api: Api):
    running, done, unknown = (f"{n:032x}" for n in (1, 2, 3))
    api.balancer.running[running] = "guest"
    api.activations.put_many([a_record(2)])
    assert api.call("POST", f"activations/{running}/cancel").status_code == 202
    assert error_of(api.call("POST", f"activations/{done}/cancel")) == (409, "The run has ended.")
    assert error_of(api.call("POST", f"activations/{unknown}/cancel")) == NOT_FOUND


def test_the_trace_of_a_run_shows_its_firings(api: Api):
    kind = {"key": "kind", "value": "sequence"}
    first = a_record(1, dataflow={"started": 1})
    second = a_record(2, annotations=({"key": "dataflow", "value": {"started": 2}},))
    run = a_record(3, annotations=(kind,), logs=(first.activation_id, second.activation_id))
    api.activations.put_many([first, second, run])
    document = api.call("GET", f"activations/{run.activation_id}/trace").get_json()
    assert document["run"]["activationId"] == run.activation_id
    assert [one["dataflow"] for one in document["firings"]] == [{"started": 1}, {"started": 2}]
    assert document["live"] is None
    alone = api.call("GET", f"activations/{first.activation_id}/trace").get_json()
    assert [one["activationId"] for one in alone["firings"]] == [first.activation_id]


@pytest.mark.parametrize(
    ("result", "told"),
    [(b'{"error":"no"}', "no"), (b'{"error":{"code":7}}', '{"code": 7}'), (b'{"error":null}', None), (b"[1]", None)],
)
def test_the_trace_tells_what_a_firing_failed_with(api: Api, result: bytes, told: str | None):
    record = a_record(1, result=result)
    api.activations.put_many([record])
    (firing,) = api.call("GET", f"activations/{record.activation_id}/trace").get_json()["firings"]
    assert firing.get("error") == told


def test_the_trace_of_a_running_run_shows_what_its_invoker_knows(api: Api):
    ended, running = a_record(1), f"{2:032x}"
    at_work = {"activationId": running, "started": None}
    api.balancer.running["f" * 32] = "guest"
    api.balancer.begun = [ended.activation_id, running]
    api.balancer.live = [at_work]
    api.activations.put_many([ended])
    document = api.call("GET", f"activations/{'f' * 32}/trace").get_json()
    assert document["live"] == {"ids": api.balancer.begun, "live": [at_work], "ended": False}
    assert document["run"] is None
    assert [one["activationId"] for one in document["firings"]] == [ended.activation_id]


def test_a_trace_waits_for_records_that_are_still_to_be_written(api: Api):
    first, second = a_record(1), a_record(2)
    kind = {"key": "kind", "value": "sequence"}
    run = a_record(3, annotations=(kind,), logs=(first.activation_id, second.activation_id))
    api.activations.put_many([run, first])
    api.balancer.pending = [second]
    document = api.call("GET", f"activations/{run.activation_id}/trace").get_json()
    assert [one["activationId"] for one in document["firings"]] == list(run.logs)


def test_running_runs_of_others_are_neither_shown_nor_ended(api: Api):
    run = "f" * 32
    api.balancer.running[run] = "guest"
    assert error_of(api.call("GET", f"activations/{run}/trace", auth=SYSTEM)) == NOT_FOUND
    assert error_of(api.call("POST", f"activations/{run}/cancel", auth=SYSTEM)) == NOT_FOUND
    assert api.call("POST", f"activations/{run}/cancel").status_code == 202
