"""Compositions on a real server: their components are what an invoker runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller_ext.cli.timeline import from_trace
from tests.support.deploying import Deployer
from tests.support.server import Server

CONDUCTOR = [{"key": "conductor", "value": True}]
INC = "def main(args):\n    return {'n': args.get('n', 0) + 1}"
STEPS = """
    def main(args):
        at = args.pop("$at", 0)
        steps = args.pop("$steps", None) or args.pop("steps", [])
        if at == len(steps):
            return {"params": args}
        return {"action": steps[at], "params": args, "state": {"$at": at + 1, "$steps": steps}}
    """
"""Runs the actions of `steps` one after the other."""
WORKFLOW = """
    dataflow: 1
    steps:
      one: {action: inc, inputs: {n: $run.n}}
      two: {action: inc, inputs: {n: one.n}}
    result: two
    """


@pytest.fixture(scope="module", autouse=True)
def deployed(live: Deployer) -> None:
    """Action `inc`, conductor `steps`, a workflow `flow`, and a sequence of each mode."""
    live.action("inc", INC)
    live.action("steps", STEPS, annotations=CONDUCTOR)
    live.workflow(WORKFLOW)
    for name, data_flow in (("seq", True), ("stepwise", False)):
        exec_ = {"kind": "sequence", "components": ["/_/inc", "/_/inc"]}
        body = {"exec": exec_, "annotations": [{"key": "dataflow", "value": data_flow}]}
        live.call("PUT", f"actions/{name}", json=body).raise_for_status()


def note(record: dict[str, Any], key: str) -> Any:
    return next((one["value"] for one in record["annotations"] if one["key"] == key), None)


def test_actions_sequences_workflows_and_conductors_are_components(live: Deployer):
    steps = ["inc", "seq", "stepwise", "flow", "steps", "/_/inc"]
    run, parts = live.firings("steps", n=0, steps=steps)

    assert run["response"] == {"result": {"n": 8}, "status": "success", "success": True}
    assert [one["name"] for one in parts[1::2]] == ["inc", "seq", "stepwise", "flow", "steps", "inc"]
    assert {one["name"] for one in parts[::2]} == {"steps"}
    assert {one["cause"] for one in parts} == {run["activationId"]}
    assert {note(one, "causedBy") for one in parts} == {"sequence"}
    assert [note(one, "topmost") for one in parts[1::2]] == [None, False, False, False, False, None]
    assert [len(one["logs"]) for one in parts[3:10:2]] == [2, 2, 2, 1]
    assert run["duration"] == sum(one["duration"] for one in parts)
    assert note(run, "limits")["memory"] == max(note(one, "limits")["memory"] for one in parts)


def test_a_composition_is_traced_by_the_records_of_its_parts(live: Deployer):
    run, _ = live.firings("steps", n=0, steps=["inc", "seq", "flow"])
    trace = live.call("GET", f"activations/{run['activationId']}/trace").json()
    line = from_trace(trace)
    assert [one.activation_id for one in line.firings] == run["logs"]
    assert line.bytes_in.keys() <= {"inline", "memory", "disk"}


def test_a_conductor_is_a_component_of_a_sequence(live: Deployer):
    live.action("once", STEPS, annotations=CONDUCTOR, parameters=[{"key": "steps", "value": ["inc"]}])
    exec_ = {"kind": "sequence", "components": ["/_/inc", "/_/once"]}
    live.call("PUT", "actions/around", json={"exec": exec_}).raise_for_status()

    run, parts = live.firings("around", n=0)

    assert run["response"]["result"]["n"] == 2
    assert (note(run, "conductor"), note(run, "topmost")) == (None, True)
    assert (note(parts[1], "conductor"), note(parts[1], "topmost")) == (True, False)
    assert (parts[1]["cause"], len(parts[1]["logs"])) == (run["activationId"], 3)


def test_a_component_that_takes_too_long_is_the_conductors_to_handle(live: Deployer):
    slow = "import time\ndef main(args):\n    time.sleep(9)"
    live.action("slow", slow, limits={"timeout": 200})
    error = live.run("steps", steps=["slow"])["error"]
    assert error == "The action exceeded its time limits of 200 milliseconds."


def test_a_conductor_that_takes_too_long_ends_the_composition(live: Deployer):
    live.action(
        "asleep", "import time\ndef main(args):\n    time.sleep(9)", annotations=CONDUCTOR, limits={"timeout": 200}
    )
    run, parts = live.firings("asleep")
    assert run["response"]["status"] == "action developer error"
    assert run["response"]["result"] == {"error": "The action exceeded its time limits of 200 milliseconds."}
    assert [one["name"] for one in parts] == ["asleep"]


def test_a_wait_that_is_over_leaves_the_composition_running(live: Deployer):
    live.action("nap", "import time\ndef main(args):\n    time.sleep(1)\n    return args")
    reply = live.call("POST", "actions/steps?blocking=true&timeout=100", json={"n": 1, "steps": ["nap", "inc"]})
    assert reply.status_code == 202
    assert live.finished(reply.json()["activationId"])["response"]["result"] == {"n": 2}


def test_a_rule_runs_a_composition(live: Deployer):
    live.call("PUT", "triggers/t", json={}).raise_for_status()
    live.call("PUT", "rules/r", json={"trigger": "/_/t", "action": "/_/steps"}).raise_for_status()
    fired = live.call("POST", "triggers/t", json={"n": 1, "steps": ["inc"]})
    assert fired.status_code == 202
    (line,) = live.finished(fired.json()["activationId"])["logs"]
    run = live.finished(json.loads(line)["activationId"])
    assert (run["response"]["result"], note(run, "conductor")) == ({"n": 2}, True)


def test_compositions_at_the_same_time_do_not_disturb_each_other(live: Deployer):
    accepted = [
        live.call("POST", "actions/steps", json={"n": at, "steps": ["inc", "inc"]}).json()["activationId"]
        for at in range(20)
    ]
    assert [live.finished(one)["response"]["result"]["n"] for one in accepted] == list(range(2, 22))


def test_only_the_call_itself_is_throttled():
    names = ("INVOCATIONS_PER_MINUTE", "CONCURRENT_INVOCATIONS")
    server = Server(environ={f"DATAFLOWER_CONTROLLER_{name}": "1" for name in names})
    try:
        live = server.start().client()
        live.action("inc", INC)
        live.action("steps", STEPS, annotations=CONDUCTOR)
        body = {"n": 0, "steps": ["inc", "inc", "inc"]}
        # The minute may change in between, once.
        replies = [live.call("POST", "actions/steps?blocking=true&result=true", json=body) for _ in range(3)]
        live.close()
        server.stop()
    finally:
        server.remove()
    assert (replies[0].status_code, replies[0].json()) == (200, {"n": 3})
    assert 429 in {one.status_code for one in replies}
