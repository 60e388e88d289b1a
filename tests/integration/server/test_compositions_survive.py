"""A composition that was accepted ends in a record, whichever process dies."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from invoker_ext.owner.owner import RESTARTED
from tests.support.deploying import Deployer
from tests.support.processes import alive
from tests.support.regions import composition
from tests.support.server import Server
from tests.support.waiting import wait_until

SLOW = "import time\ndef main(a):\n    time.sleep(1.5)\n    return {'n': a.get('n', 0) + 1}"
TWICE = {"type": "sequence", "components": [{"type": "action", "name": "/_/slow"}] * 2}


def begun(server: Server) -> tuple[Deployer, str]:
    """Return the id of a composition in the middle of its first action."""
    live = server.client()
    live.action("slow", SLOW)
    live.call("PUT", "actions/comp?overwrite=true", json=composition(TWICE, "python:3")).raise_for_status()
    run = live.call("POST", "actions/comp", json={}).json()["activationId"]

    def at_work() -> bool:
        found: dict[str, Any] = live.call("GET", f"activations/{run}/trace").json().get("live") or {}
        return any(one.get("started") for one in found.get("live", ()))

    wait_until(at_work, within_s=20)
    return live, run


def answered(live: Deployer, run: str) -> bool:
    """Return whether the record is there; a connection may break that was the victim's."""
    try:
        return live.call("GET", f"activations/{run}").status_code == 200
    except requests.ConnectionError:
        return False


@pytest.mark.parametrize("role", ["worker", "balancer"])
def test_a_composition_goes_on_when_what_called_it_dies(shared_server: Server, role: str):
    live, run = begun(shared_server)
    victim = shared_server.kill(role)
    wait_until(lambda: not alive({victim}), message="the end of the victim")
    wait_until(lambda: answered(live, run), within_s=20)
    record = live.finished(run)
    assert (record["response"]["result"], len(record["logs"])) == ({"n": 2}, 2)


def test_a_composition_whose_invoker_dies_ends_with_a_stated_error(shared_server: Server):
    live, run = begun(shared_server)
    victim = shared_server.kill("invoker")
    wait_until(lambda: not alive({victim}), message="the end of the victim")
    record = live.finished(run)
    assert record["response"]["result"] == {"error": RESTARTED}


FOREVER = {"type": "while_nosave", "test": {"type": "function", "function": {"exec": {"code": "() => true"}}}, "body": {
    "type": "sequence", "components": []}}  # fmt: skip


def test_nothing_is_left_of_a_composition_that_is_cancelled_amid_its_functions(shared_server: Server):
    live = shared_server.client()
    live.call("PUT", "actions/loop?overwrite=true", json=composition(FOREVER, "python:3")).raise_for_status()
    run = live.call("POST", "actions/loop", json={}).json()["activationId"]
    wait_until(lambda: live.call("GET", f"activations/{run}/trace").json().get("live") is not None, within_s=20)
    assert live.call("POST", f"activations/{run}/cancel").status_code in (200, 202)
    assert "cancelled" in live.finished(run)["response"]["result"]["error"]
    wait_until(lambda: shared_server.usage()["runs"] == 0, message="the end of all runs")
    assert "run broken" not in (shared_server.data / "log" / "invoker.log").read_text()
