"""`compose/docker-compose.yml` as its users start it."""

from __future__ import annotations

import time

import pytest
import requests

from tests.support.deploying import Deployer
from tests.support.stack import Stack
from tests.support.waiting import wait_until

# The first one may wait until `docker compose` and the images were built.
pytestmark = pytest.mark.timeout(900)
READY_S = 60.0
ADD = """
import os

def main(args):
    return {"n": args["n"] + 1, "host": os.environ["__OW_API_HOST"]}
"""


def up(url: str) -> set[str]:
    """Return the invokers that get work."""
    states = requests.get(f"{url}/invokers", timeout=5).json()
    return {name.partition("/")[0] for name, state in states.items() if state == "up"}


def test_a_stack_answers_within_a_minute_grows_and_leaves_nothing(composed: Stack):
    begin_s = time.monotonic()
    composed.up()
    api = Deployer(composed.url)
    api.action("add", ADD)
    assert api.run("add", n=1) == {"n": 2, "host": "http://controller:3233"}
    assert time.monotonic() - begin_s < READY_S
    wait_until(lambda: up(composed.url) == {"invoker0", "invoker1"}, 15.0)

    composed.up("--scale", "invoker=4")
    wait_until(lambda: up(composed.url) == {f"invoker{number}" for number in range(4)}, 15.0)
    assert api.run("add", n=2)["n"] == 3
    api.close()

    composed.down()
    assert composed.left() == []
