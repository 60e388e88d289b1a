"""The built-in packages on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from controller_ext.builtins.packages import SAMPLES, UTILS
from tests.support.deploying import Deployer
from tests.support.server import Server, serving
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--workers", "1") as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Deployer]:
    client = server.client()
    yield client
    client.close()


def result(client: Deployer, action: str, arguments: dict[str, Any]) -> Any:
    path = f"../whisk.system/actions/{action}?blocking=true&result=true"
    reply = client.call("POST", path, json=arguments)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.timeout(120)
def test_the_samples_of_all_actions_are_what_they_do(client: Deployer, server: Server):
    for package in (UTILS, SAMPLES):
        for action in package.actions:
            if action.name not in ("curl", "countdown", "date", "hosturl"):
                found = result(client, f"{package.name}/{action.name}", action.about.get("sampleInput", {}))
                assert found == action.about["sampleOutput"], action.name
    url = result(client, "utils/hosturl", {"path": "utils/echo"})["url"]
    assert url == f"{server.url}/api/v1/namespaces/guest/actions/utils/echo"


def test_a_sequence_of_the_callers_may_use_them(client: Deployer):
    components = ["/whisk.system/utils/split", "/whisk.system/utils/sort"]
    reply = client.call(
        "PUT", "actions/sorted?overwrite=true", json={"exec": {"kind": "sequence", "components": components}}
    )
    reply.raise_for_status()
    assert client.run("sorted", payload="b,c,a", separator=",") == {"lines": ["a", "b", "c"], "length": 3}


def test_a_countdown_invokes_itself_with_the_callers_key(client: Deployer):
    result(client, "samples/countdown", {"n": 2})

    def counted() -> bool:
        found = client.call("GET", "activations?name=samples/countdown&docs=true").json()
        return sum("Happy New Year!" in "".join(one["logs"]) for one in found) == 1 and len(found) == 3

    wait_until(counted, within_s=15)


def test_a_page_is_fetched(client: Deployer, server: Server):
    assert '"description":"OpenWhisk"' in result(client, "samples/curl", {"payload": server.url})["msg"]


def test_the_packages_are_there_after_a_restart(server: Server, client: Deployer):
    before = client.call("GET", "../whisk.system/packages/utils").json()
    server.stop()
    server.start()
    again = server.client()
    assert again.call("GET", "../whisk.system/packages/utils").json() == before
    again.close()
