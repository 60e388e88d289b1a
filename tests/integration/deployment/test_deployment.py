"""`dataflower controller` and `dataflower invoker`: Kafka, CouchDB and Docker together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.support import engine, wordcount
from tests.support.deployment import Deployment
from tests.support.drivers import needs_engine
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(150)
ADD = "def main(args):\n    print('adding')\n    return {'n': args['n'] + 1}\n"
Factory = Callable[..., Deployment]


def up(url: str) -> list[str]:
    """Return the invokers that a controller may give work to."""
    return [
        name.partition("/")[0]
        for name, state in requests.get(f"{url}/invokers", timeout=5).json().items()
        if state == "up"
    ]


def test_actions_sequences_and_workflows_run_in_containers_of_two_invokers(deploy: Factory):
    needs_engine()
    kinds = f"python:3=image:{engine.image('python')}"
    deployment = deploy(
        DATAFLOWER_CONTROLLER_KINDS=kinds,
        DATAFLOWER_INVOKER_KINDS=kinds,
        DATAFLOWER_INVOKER_DRIVER="docker",
        DATAFLOWER_INVOKER_STEM_CELLS="1",
        DATAFLOWER_INVOKER_USER_MEMORY_MB="2048",
    )
    controller = deployment.controller()
    invokers = [deployment.invoker(), deployment.invoker()]
    assert requests.get(f"{controller.line}/ping", timeout=5).text == "pong"
    assert sorted(one.line for one in invokers) == ["invoker0", "invoker1"]
    wait_until(lambda: sorted(up(controller.line)) == ["invoker0", "invoker1"], 15.0)
    said = deployment.command("invoker", "--check", "--data-dir", str(deployment.invokers))
    assert said == "slot0, 0 runs, 0 bytes of data, answers\nslot1, 0 runs, 0 bytes of data, answers"

    api = deployment.client(controller)
    api.action("add", ADD)
    body = {"exec": {"kind": "sequence", "components": ["/_/add"] * 3}}
    api.call("PUT", "actions/chain?overwrite=true", json=body).raise_for_status()
    api.workflow(wordcount.TEXT, "wordcount", **wordcount.ACTIONS)
    assert api.run("add", n=1) == {"n": 2}
    assert api.run("chain", n=1) == {"n": 4}
    assert api.run("wordcount", texts=["a b a", "b"]) == {"words": {"a": 2, "b": 2}}
    accepted = api.call("POST", "actions/add", json={"n": 5}).json()["activationId"]
    record = api.finished(accepted)
    assert record["response"]["result"] == {"n": 6}
    assert [line[31:] for line in record["logs"]] == ["stdout: adding"]
    api.close()
    for one in (*invokers, controller):
        one.stop()


def test_an_invoker_that_was_killed_comes_back_under_its_number_and_with_its_runs(deploy: Factory):
    deployment = deploy(DATAFLOWER_CONTROLLER_KINDS="python:3=python", DATAFLOWER_INVOKER_STEM_CELLS="0")
    controller = deployment.controller()
    first = deployment.invoker()
    wait_until(lambda: up(controller.line) == [first.line], 15.0)
    api = deployment.client(controller)
    text = "dataflow: 1\nsteps:\n  one: {action: slow, inputs: $run}\nresult: one\n"
    api.workflow(text, "flow", slow="import time\ndef main(args):\n    time.sleep(1)\n    return args\n")
    accepted = api.call("POST", "actions/flow", json={"n": 7})
    assert accepted.status_code == 202
    first.kill()
    again = deployment.invoker()
    assert again.line == first.line
    assert api.finished(accepted.json()["activationId"], 60.0)["response"]["result"] == {"n": 7}
    assert deployment.invoker().line != first.line
    api.close()


def test_invokers_that_start_at_the_same_time_get_different_numbers(deploy: Factory):
    deployment = deploy(DATAFLOWER_INVOKER_STEM_CELLS="0")
    with ThreadPoolExecutor(3) as pool:
        started = list(pool.map(lambda _: deployment.invoker(), range(3)))
    assert sorted(one.line for one in started) == ["invoker0", "invoker1", "invoker2"]
    assert sorted(path.name for path in deployment.invokers.iterdir()) == ["slot0", "slot1", "slot2"]
