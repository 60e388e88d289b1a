"""What Composer's `compose` and `deploy` do beside creating a conductor."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.composer.deploying import CONFLICT, Composer
from tests.support.composer.trees import function, node, seq
from tests.support.deploying import Deployer

pytestmark = pytest.mark.timeout(90)


def notes(live: Deployer, name: str) -> dict[str, Any]:
    return {one["key"]: one["value"] for one in live.call("GET", f"actions/{name}").json()["annotations"]}


def test_what_is_there_is_replaced_only_if_that_is_asked_for(composer: Composer, live: Deployer):
    composer.compose(seq(function("() => 1")), "twice")
    assert composer.deploy("twice") == "ok: created action /_/twice\n"
    status, said = composer.refused("twice")
    assert (status, "resource already exists" in said) == (CONFLICT, True)
    composer.compose(seq(function("() => 2")), "twice")
    composer.deploy("twice", "-w")
    assert live.run("twice") == {"value": 2}


def test_what_is_stored_is_what_was_sent_with_its_limits_and_annotations(composer: Composer, live: Deployer):
    ast = seq(function("() => 1"))
    composer.compose(ast, "noted")
    composer.deploy("noted", "-a", "mine=Yes", "-t", "5000", "-m", "128", "-l", "1")
    stored = live.call("GET", "actions/noted").json()
    limits = {name: stored["limits"][name] for name in ("timeout", "memory", "logs")}
    found = notes(live, "noted")
    assert limits == {"timeout": 5000, "memory": 128, "logs": 1}
    assert (found["conductor"], found["composerVersion"], found["mine"]) == (ast, "0.12.0", "Yes")
    assert "conductorReason" not in found


def test_a_composition_that_is_to_run_as_a_conductor_does(composer: Composer, live: Deployer):
    composer.compose(seq(function("() => 1")), "stepwise")
    composer.deploy("stepwise", "-a", "dataflow=false")
    run, parts = live.firings("stepwise")
    assert (run["response"]["result"], [part["name"] for part in parts]) == ({"value": 1}, ["stepwise"])


def test_a_function_that_needs_node_runs_in_the_conductor(composer: Composer, live: Deployer):
    composer.compose(
        seq(function("() => ({cpus: require('os').cpus().length > 0, key: process.env.__OW_NAMESPACE})")), "os"
    )
    composer.deploy("os")
    assert "uses `require`" in notes(live, "os")["conductorReason"]
    assert live.run("os") == {"cpus": True, "key": "guest"}


def test_an_async_part_goes_on_by_itself(composer: Composer, live: Deployer):
    live.action("echo", "def main(args):\n    return args")
    composer.compose(seq(node("async", "echo"), function("p => p")), "later")
    composer.deploy("later")
    started = live.run("later", n=1)
    assert (set(started), started["method"]) == ({"method", "activationId", "sessionId"}, "async")
    assert live.finished(started["activationId"])["response"]["result"] == {"n": 1}
