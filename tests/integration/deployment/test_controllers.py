"""Several controllers on one Kafka and one CouchDB."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.support.deploying import Deployer
from tests.support.deployment import Deployment
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(120)
ADD = "def main(args):\n    return {'n': args['n'] + 1}\n"
MORE = "def main(args):\n    return {'n': args['n'] + 100}\n"
SLOW = "import time\ndef main(args):\n    time.sleep(args['s'])\n    return args\n"
IN_FLIGHT = 5
SHARE = 3
"""Of two controllers: a fifth more than is allowed, halved."""
GONE_S = 25.0
Factory = Callable[..., Deployment]


def invalidations(deployment: Deployment) -> list[dict[str, Any]]:
    """Return all that was said on stock's topic."""
    return [json.loads(payload) for payload, _ in deployment.topic("cacheInvalidation")]


def settled(deployment: Deployment) -> set[str]:
    """Return the controllers that say that they know who else is there."""
    said = [json.loads(payload) for payload, _ in deployment.topic("controllers")]
    return {one["controller"] for one in said if one["settled"]}


def refused_double(deployment: Deployment) -> str:
    """Start another controller with the id of one; return what it says when it goes."""
    wait_until(lambda: "0" in settled(deployment), 15.0)  # of two that begin together either may go
    folder = str(deployment.folder / "double")
    return deployment.refusal("controller", "--port", "0", "--id", "0", "--data-dir", folder)


def allowed_at_once(api: Deployer, count: int) -> bool:
    """Return whether so many invocations may be under way."""

    def invoke(_: int) -> int:
        client = Deployer(api.url)
        try:
            return client.call("POST", "actions/slow?blocking=true", json={"s": 0.7}).status_code
        finally:
            client.close()

    with ThreadPoolExecutor(count) as pool:
        return all(status == 200 for status in pool.map(invoke, range(count)))


def sent(pool: ThreadPoolExecutor, api: Deployer, *, blocking: bool, s: float = 0.5) -> Future[requests.Response]:
    """Send a request that carries a key."""
    query = f"?blocking={str(blocking).lower()}"
    return pool.submit(
        api.call, "POST", f"actions/slow{query}", json={"s": s}, headers={"Idempotency-Key": "one and the same"}
    )


def of_one_key(pool: ThreadPoolExecutor, first: Deployer, second: Deployer) -> str:
    """Send one request to both, while it runs and once it has ended; return the id that all answers name."""
    ran = [one.result() for one in [sent(pool, api, blocking=True) for api in (first, second)]]
    ran += [sent(pool, api, blocking=False).result() for api in (second, first)]
    assert [one.status_code for one in ran] == [200, 200, 202, 202]
    assert sent(pool, second, blocking=True, s=0.4).result().status_code == 422
    (found,) = {one.json()["activationId"] for one in ran}
    return str(found)


def health_test(deployment: Deployment, controller: str) -> tuple[str, int]:
    """Return kind and memory of the action by which a controller tests stock's invokers."""
    url, prefix = (deployment.environ[f"DATAFLOWER_CONTROLLER_STORE_{name}"] for name in ("URL", "PREFIX"))
    doc = f"{url}/{prefix}whisks/whisk.system%2FinvokerHealthTestAction{controller}"
    stored = requests.get(doc, timeout=5).json()
    return stored["exec"]["kind"], stored["limits"]["memory"]


def test_controllers_share_entities_records_limits_and_invokers(deploy: Factory):
    deployment = deploy(
        DATAFLOWER_CONTROLLER_KINDS="python:3=python",
        DATAFLOWER_CONTROLLER_CONCURRENT_INVOCATIONS=str(IN_FLIGHT),
        DATAFLOWER_CONTROLLER_WORKERS="1",
        DATAFLOWER_INVOKER_STEM_CELLS="0",
    )
    with ThreadPoolExecutor(3) as pool:
        starting = [pool.submit(deployment.controller, "--id", name) for name in ("0", "1")]
        pool.submit(deployment.invoker).result()
        a, b = (one.result() for one in starting)
    wait_until(lambda: all(requests.get(f"{one.line}/invokers", timeout=5).json() for one in (a, b)), 15.0)
    first, second = deployment.client(a), deployment.client(b)
    pool = ThreadPoolExecutor(3)
    double = pool.submit(refused_double, deployment)

    # Stock's invokers are tested by an action of each controller.
    assert [health_test(deployment, name) for name in ("0", "1")] == [("python:3", 128)] * 2

    # What one wrote the other uses at once; what one ran the other finds.
    first.action("add", ADD)
    assert second.run("add", n=1) == {"n": 2}
    first.action("add", MORE)
    assert second.run("add", n=1) == {"n": 101}
    second.action("slow", SLOW)
    accepted = first.call("POST", "actions/slow", json={"s": 0.1}).json()["activationId"]
    assert second.finished(accepted)["response"]["result"] == {"s": 0.1}
    first.call("PUT", "triggers/t", json={}).raise_for_status()
    first.call("DELETE", "triggers/t").raise_for_status()
    said = [
        ("guest/add", "controller0"),
        ("guest/add", "controller0"),
        ("guest/slow", "controller1"),
        ("guest/t", "controller0"),
        ("guest/t", "controller0"),
    ]
    wanted = [{"key": {"mainId": name}, "instanceId": instance} for name, instance in said]
    wait_until(lambda: len(invalidations(deployment)) >= len(wanted))
    assert invalidations(deployment) == wanted

    # A request that comes again, to whichever of them, is the same one.
    ran = of_one_key(pool, first, second)
    records = second.call("GET", "activations", params={"name": "slow"}).json()
    assert {one["activationId"] for one in records} == {accepted, ran}

    # One that has the id of another does not stay, and harms nobody.
    assert (
        "another controller with the id '0' is alive on this Kafka: give this one an --id of its own" in double.result()
    )
    pool.shutdown()

    # Limits are shared while both are there, and whole again when one was killed under its callers.
    assert not allowed_at_once(first, SHARE + 1)
    assert allowed_at_once(first, SHARE)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second.call, "POST", "actions/slow?blocking=true", json={"s": 10})
        wait_until(lambda: second_is_at_work(b.line))
        b.kill()
        with pytest.raises(requests.ConnectionError):
            waiting.result()
    wait_until(lambda: allowed_at_once(first, IN_FLIGHT), GONE_S)
    first.close()
    second.close()
    a.stop()


def second_is_at_work(url: str) -> bool:
    """Return whether a controller has given work to an invoker."""
    return int(requests.get(f"{url}/activation/count", timeout=5).json()) > 0
