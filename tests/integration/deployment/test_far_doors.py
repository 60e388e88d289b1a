"""What a controller and an invoker of different hosts say to each other beside the bus."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.support.deployment import Deployment
from tests.support.processes import cut
from tests.support.regions import composition
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(120)
TWICE = "def main(args):\n    return {'text': args['text'] + args['text']}\n"
SLOW = "import time\ndef main(args):\n    time.sleep(30)\n    return {}\n"
FLOW = "dataflow: 1\nsteps:\n  {0}: {{action: {0}, inputs: $run}}\nresult: {0}\n"
TEXT = "0123456789abcdef" * (3 << 16)
WAITS = "def main(args):\n    open(args['when']).read()\n    return {'n': 1}\n"
Factory = Callable[..., Deployment]


def on_one_host(deploy: Factory, port: int) -> Deployment:
    """Return a deployment whose processes reach each other's doors."""
    return deploy(
        DATAFLOWER_CONTROLLER_KINDS="python:3=python",
        DATAFLOWER_CONTROLLER_WORKERS="1",
        DATAFLOWER_CONTROLLER_PEER_LISTEN=f"127.0.0.1:{port}",
        DATAFLOWER_INVOKER_KINDS="python:3=python",
        DATAFLOWER_INVOKER_DRIVER="process",
        DATAFLOWER_INVOKER_STEM_CELLS="1",
        DATAFLOWER_INVOKER_PEER_LISTEN="127.0.0.1:0",
    )


def test_large_parameters_and_results_and_calls_about_runs_cross_hosts(deploy: Factory, free_port):
    deployment = on_one_host(deploy, free_port)
    controller = deployment.controller()
    deployment.invoker()
    api = deployment.client(controller)
    wait_until(lambda: "up" in requests.get(f"{controller.line}/invokers", timeout=5).json().values(), 20.0)
    for name, code in (("twice", TWICE), ("slow", SLOW)):
        api.workflow(FLOW.format(name), f"{name}-flow", **{name: code})

    # Both prove themselves by the secret that the store holds.
    # 3 MiB of parameters are spooled by the controller, 6 MiB of result are held by the invoker.
    assert api.run("twice-flow", text=TEXT) == {"text": TEXT + TEXT}
    # One of 128 KiB is held by the invoker, too, and told as a small one is.
    some = TEXT[: 1 << 16]
    ended = api.call("POST", "actions/twice-flow?blocking=true", json={"text": some}).json()
    assert ended["response"]["result"] == {"text": some + some}

    # What a composition names by its data is compiled at that door.
    parts = {"kind": "sequence", "components": ["/_/twice", "/_/twice"]}
    api.call("PUT", "actions/four", json={"exec": parts}).raise_for_status()
    named = composition({"type": "dynamic", "path": ""}, "python:3")
    api.call("PUT", "actions/named", json=named).raise_for_status()
    assert api.run("named", type="action", name="four", params={"text": "x"}) == {"text": "xxxx"}

    running = api.call("POST", "actions/slow-flow", json={}).json()["activationId"]
    trace = f"activations/{running}/trace"
    wait_until(lambda: api.call("GET", trace).status_code == 200, 20.0, "a trace of what runs")
    assert api.call("POST", f"activations/{running}/cancel").status_code == 202
    assert "cancel" in str(api.finished(running)["response"]["result"])
    # What has ended a moment ago is in the list, whichever host has its record.
    assert running in {one["activationId"] for one in api.call("GET", "activations").json()}


def test_a_result_goes_to_its_controllers_door_and_by_kafka_when_that_breaks(deploy: Factory, free_port, tmp_path):
    deployment = on_one_host(deploy, free_port)
    controller, invoker = deployment.controller(), deployment.invoker()
    api = deployment.client(controller)
    wait_until(lambda: "up" in requests.get(f"{controller.line}/invokers", timeout=5).json().values(), 20.0)
    api.action("waits", WAITS)
    when = tmp_path / "when"
    os.mkfifo(when)

    def invoked(meanwhile: Callable[[], object]) -> str:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(api.call, "POST", "actions/waits?blocking=true", json={"when": str(when)})
            with when.open("w"):  # the function has begun
                meanwhile()
            ended = answer.result(20.0).json()
        assert ended["response"]["result"] == {"n": 1}
        return str(ended["activationId"])

    def cut_once() -> None:
        assert cut(invoker.pid, free_port) == 1

    invoked(lambda: None)  # the invoker has come to know the door
    straight, broken = invoked(lambda: None), invoked(cut_once)
    again = invoked(lambda: None)
    wait_until(lambda: len(ends(deployment, broken)) == 2, message="what kafka carries")
    assert ends(deployment, straight) == ends(deployment, again) == []
    assert ends(deployment, broken) == [("result", True), ("over", False)]


def ends(deployment: Deployment, run: str) -> list[tuple[str | None, bool]]:
    """Return what Kafka carried of the end of a run: of each message its kind, and whether the result is in it."""
    return [(one.get("ack"), "at" in one) for _, one in deployment.topic("completed0") if one.get("id") == run]
