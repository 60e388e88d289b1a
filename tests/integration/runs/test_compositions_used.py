"""Compositions by every way on which an action is invoked: the web, rules, other entities' names."""

from __future__ import annotations

from typing import Any

import requests

from tests.support.deploying import Deployer
from tests.support.regions import PROGRAMS, composition
from tests.support.waiting import wait_until


def deploy(live: Deployer, program: Any, **notes: Any) -> dict[str, Any]:
    live.action("a", "def main(a): return {'n': a.get('n', 0) + 1}")
    live.action("b", "def main(a): return {'body': {'n': a['n']}}")
    reply = live.call("PUT", "actions/comp?overwrite=true", json=composition(program, "python:3", **notes))
    assert reply.status_code == 200, reply.text
    document: dict[str, Any] = reply.json()
    return document


def test_a_composition_that_is_exported_answers_the_web(live: Deployer):
    deploy(live, PROGRAMS["sequence"], **{"web-export": True})
    reply = requests.get(f"{live.url}/api/v1/web/guest/default/comp.http", timeout=20)
    assert (reply.status_code, reply.json()) == (200, {"n": 1})


def test_a_rule_fires_a_composition(live: Deployer):
    deploy(live, PROGRAMS["repeat"])
    live.call("PUT", "triggers/t?overwrite=true", json={}).raise_for_status()
    live.call("PUT", "rules/r?overwrite=true", json={"trigger": "/_/t", "action": "/_/comp"}).raise_for_status()
    assert live.call("POST", "triggers/t", json={"n": 5}).status_code == 202

    def ended() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = live.call("GET", "activations?name=comp&docs=true").json()
        return [one for one in found if one["response"]["result"] == {"n": 7}]

    wait_until(lambda: bool(ended()))


def test_a_composition_is_updated_and_deleted_like_any_action(live: Deployer):
    before = deploy(live, PROGRAMS["repeat"])
    assert live.run("comp", n=1) == {"n": 3}
    after = deploy(live, PROGRAMS["retain"])
    assert (before["version"], after["version"]) != (after["version"], before["version"])
    assert live.run("comp", n=1) == {"params": {"n": 1}, "result": {"n": 2}}
    assert live.call("GET", "actions/comp").json()["exec"]["code"] == composition(PROGRAMS["retain"])["exec"]["code"]
    assert live.call("DELETE", "actions/comp").status_code == 200
    assert live.call("GET", "actions/comp").status_code == 404


def test_parameters_of_a_composition_lie_under_what_its_caller_sends(live: Deployer):
    deploy(live, {"type": "action", "name": "/_/a"})
    given = {"parameters": [{"key": "n", "value": 10}]}
    live.call("PUT", "actions/comp?overwrite=true", json=given).raise_for_status()
    assert live.run("comp") == {"n": 11}
    assert live.run("comp", n=1) == {"n": 2}
    live.call("DELETE", "actions/comp").raise_for_status()  # an update would keep the parameter
