"""What an operator can ask a live server without a key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
import requests

from tests.support.deploying import TIMEOUT_S, Deployer
from tests.support.server import serving
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def live() -> Iterator[Deployer]:
    with serving() as server, closing(server.client()) as client:
        yield client


def ask(live: Deployer, path: str) -> requests.Response:
    return requests.get(live.url + path, timeout=TIMEOUT_S)


def test_its_one_invoker_is_up_and_ready(live: Deployer):
    ((name, state),) = ask(live, "/invokers").json().items()
    assert re.fullmatch(r"invoker0/\S+", name)
    assert state == "up"
    assert ask(live, "/invokers/healthy/count").json() == 1
    assert ask(live, "/invokers/ready").json() == {"healthy": "1/1"}
    assert ask(live, "/ping").text == "pong"


def test_runs_count_as_long_as_they_go_on(live: Deployer):
    assert ask(live, "/activation/count").json() == 0
    live.action("held", "import time\ndef main(args):\n    time.sleep(60)\n")
    run = live.call("POST", "actions/held").json()["activationId"]
    wait_until(lambda: ask(live, "/activation/count").json() == 1)
    assert live.call("POST", f"activations/{run}/cancel").status_code == 202
    wait_until(lambda: ask(live, "/activation/count").json() == 0)
