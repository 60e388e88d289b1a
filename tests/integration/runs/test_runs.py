"""What the records of runs say, and what is told of runs that go on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from invoker_ext.stores.subjects import SYSTEM_KEY
from tests.support.deploying import TIMEOUT_S, Deployer
from tests.support.waiting import wait_until

INC = """
    import time
    def main(args):
        time.sleep(args.get("s", 0))
        return {"n": args.get("n", 0) + 1}
    """
HELD = """
    import time
    def main(args):
        time.sleep(60)
    """
TWO_STEPS = """
    dataflow: 1
    steps:
      first: {action: inc, inputs: {n: $run.n}}
      second: {action: inc, inputs: {n: first.n}}
    result: second
    """
HANGS = """
    dataflow: 1
    steps:
      first: {action: inc, inputs: {n: $run.n}}
      second: {action: held, inputs: {n: first.n}}
    result: second
    """


def a_sequence(live: Deployer, name: str, *components: str, data_flow: bool = True, **body: Any) -> None:
    live.action("inc", INC)
    # Always said: an update keeps the annotations of the sequence of that name that another test made.
    annotations = [{"key": "dataflow", "value": data_flow}]
    exec_ = {"kind": "sequence", "components": [f"/_/{one}" for one in components]}
    body = {"exec": exec_, "annotations": annotations, **body}
    live.call("PUT", f"actions/{name}?overwrite=true", json=body).raise_for_status()


def keys(record: dict[str, Any]) -> list[str]:
    return [one["key"] for one in record["annotations"]]


def annotation(record: dict[str, Any], key: str) -> Any:
    return next((one["value"] for one in record["annotations"] if one["key"] == key), None)


@pytest.fixture
def hanging(live: Deployer) -> Iterator[str]:
    """A run whose second firing is at work, and ends only if somebody ends it."""
    live.workflow(HANGS, "hangs", inc=INC, held=HELD)
    run: str = live.call("POST", "actions/hangs", json={"n": 1}).json()["activationId"]
    wait_until(lambda: [one["step"] for one in at_work(live, run) if one["started"]] == ["second"], within_s=20)
    yield run
    live.call("POST", f"activations/{run}/cancel")


def trace(live: Deployer, run: str) -> dict[str, Any]:
    document: dict[str, Any] = live.call("GET", f"activations/{run}/trace").json()
    return document


def at_work(live: Deployer, run: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (trace(live, run).get("live") or {}).get("live", [])
    return found


@pytest.mark.parametrize("data_flow", [True, False])
def test_the_duration_of_a_sequence_is_the_sum_of_its_components(live: Deployer, data_flow: bool):
    a_sequence(live, "three", "inc", "inc", "inc", data_flow=data_flow)
    run, firings = live.firings("three", n=0)
    assert [one["cause"] for one in firings] == [run["activationId"]] * 3
    assert run["duration"] == sum(one["duration"] for one in firings)


@pytest.mark.parametrize("data_flow", [True, False])
def test_records_of_nested_sequences_are_annotated_as_recorded(live: Deployer, data_flow: bool):
    a_sequence(live, "three", "inc", "inc", "inc", data_flow=data_flow)
    a_sequence(live, "nest", "three", "inc", data_flow=data_flow)
    outer, (inner, _) = live.firings("nest", n=0)
    assert keys(outer) == ["topmost", "path", "waitTime", "kind", "limits"]
    assert keys(inner) == ["path", "waitTime", "kind", "limits", "causedBy", "topmost"]
    assert inner["cause"] == outer["activationId"]


@pytest.mark.parametrize("data_flow", [True, False])
def test_a_sequence_shows_its_own_limits_nested_or_not(live: Deployer, data_flow: bool):
    a_sequence(live, "lim", "inc", data_flow=data_flow, limits={"timeout": 1000, "logs": 5})
    a_sequence(live, "around", "lim", "inc", data_flow=data_flow, limits={"timeout": 2000})
    outer, (inner, _) = live.firings("around", n=0)
    common = {"memory": 256, "concurrency": 1}
    assert annotation(outer, "limits") == {"timeout": 2000, "logs": 10, **common}
    assert annotation(inner, "limits") == {"timeout": 1000, "logs": 5, **common}


def test_the_totals_of_a_run_are_the_sums_over_all_its_firings(live: Deployer):
    live.workflow(TWO_STEPS, inc=INC)
    run, firings = live.firings(n=1)
    totals = annotation(run, "dataflow")
    lines = [annotation(one, "dataflow") for one in firings]
    assert totals["firings"] == 2
    assert totals["in"] == sum(sum(one["in"].values()) for one in lines) > 0
    assert totals["out"] == sum(sum(one["out"].values()) for one in lines)
    assert all(sum(one["out"].values()) > 0 for one in lines), "the last firing made the result"


def test_the_totals_of_a_sequence_count_its_nested_ones(live: Deployer):
    a_sequence(live, "three", "inc", "inc", "inc")
    a_sequence(live, "nest", "three", "inc")
    outer, (inner, last) = live.firings("nest", n=0)
    totals, inside = (trace(live, one["activationId"])["run"]["dataflow"] for one in (outer, inner))
    line = trace(live, last["activationId"])["firings"][0]["dataflow"]
    assert totals["in"] == inside["in"] + line["in"]["inline"]
    assert totals["out"] == inside["out"] + line["out"]["inline"]
    assert line["out"]["inline"] == len('{"n":4}') + 1


def test_a_trace_of_a_run_that_goes_on_has_the_instants_of_the_firing_at_work(live: Deployer, hanging: str):
    document = trace(live, hanging)
    (ended,) = document["firings"]
    (line,) = document["live"]["live"]
    assert (ended["dataflow"]["step"], line["step"]) == ("first", "second")
    assert document["run"] is None
    assert document["live"]["ids"] == [ended["activationId"], line["activationId"]]
    accepted, now = document["live"]["accepted"], document["live"]["now"]
    assert accepted <= line["matched"] <= line["started"] <= now
    assert (line["returned"], line["drained"]) == (None, None)


def test_another_namespace_can_neither_see_nor_end_a_run(live: Deployer, hanging: str):
    with requests.Session() as other:
        user, _, key = SYSTEM_KEY.partition(":")
        other.auth = (user, key)
        path = f"{live.url}/api/v1/namespaces/_/activations/{hanging}"
        assert other.get(f"{path}/trace", timeout=TIMEOUT_S).status_code == 404
        assert other.post(f"{path}/cancel", timeout=TIMEOUT_S).status_code == 404
    assert at_work(live, hanging)
    assert live.call("POST", f"activations/{hanging}/cancel").status_code == 202
    record = live.finished(hanging)
    assert record["response"]["result"] == {"error": "The run was cancelled by its user."}
    assert live.call("POST", f"activations/{hanging}/cancel").status_code == 409


def test_a_workflow_in_control_flow_fails_by_itself_if_its_result_cannot_be_passed_on(live: Deployer):
    live.action("long", 'def main(args):\n    return {"text": "x" * 700_000}')
    code = """
        dataflow: 1
        steps:
          one: {action: long}
          two: {action: long}
        result: {one: one.text, two: two.text}
        """
    live.workflow(code, "longer")
    a_sequence(live, "passes_on", "longer", "inc", data_flow=False)

    ended = live.call("POST", "actions/passes_on?blocking=true", json={}).json()["response"]

    assert ended["status"] == "application error"
    assert "exceeded the allowed length" in ended["result"]["error"]
    assert "> 1048576 bytes" in ended["result"]["error"]
