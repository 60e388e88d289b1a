"""What Composer deploys and cannot run as data flow runs as the conductor it is, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.composer import in_python, python_oracle, trees
from tests.support.deploying import Deployer

REASON = "It runs as a conductor, not as data flow: "


@pytest.fixture(scope="module")
def ready(live: Deployer) -> Deployer:
    live.action("inc", "def main(args):\n    return {'n': args.get('n', 0) + 1}")
    live.action("odd", "def main(args):\n    return {'value': args['n'] % 2}")
    live.action("refuse", "def main(args):\n    return {'error': 'no'}")
    return live


def put(live: Deployer, body: dict[str, Any], name: str = "composed") -> dict[str, Any]:
    """Deploy an action as a new one; return its annotations."""
    live.call("DELETE", f"actions/{name}")
    reply = live.call("PUT", f"actions/{name}", json=body)
    assert reply.status_code == 200, reply.text
    return {one["key"]: one["value"] for one in live.call("GET", f"actions/{name}").json()["annotations"]}


def test_a_program_of_composer_for_python_runs_as_data_flow(ready):
    program = python_oracle.when(
        trees.action("odd"), python_oracle.repeat(2, trees.action("inc")), python_oracle.literal([])
    )
    notes = put(ready, in_python.deployed(program))
    run, parts = ready.firings("composed", n=1)

    assert "conductorReason" not in notes
    assert run["response"]["result"] == {"n": 3}
    assert [part["name"] for part in parts] == ["odd", "inc", "inc"]
    assert ready.run("composed", n=2) == {"value": []}
    assert ready.run("composed", n=3) == {"n": 5}, "each run begins with the variables as they are declared"


def test_a_program_of_composer_for_python_with_functions_of_its_own_runs_by_its_conductor(ready):
    handler = in_python.function("note", "def note(env, args):\n    return {'caught': args['error']}")
    program = {
        "type": "sequence",
        "components": [
            trees.action("inc"),
            in_python.function("double", "def double(env, args):\n    return {'n': 2 * args['n']}"),
            {"type": "do", "body": trees.action("refuse"), "handler": handler},
        ],
    }
    notes = put(ready, in_python.deployed(program))
    run, parts = ready.firings("composed", n=2)

    assert notes["conductorReason"].startswith(f"{REASON}the function root[1] is Python")
    assert run["response"]["result"] == {"caught": "no"}
    assert [part["name"] for part in parts] == ["composed", "inc", "composed", "refuse", "composed"]


@pytest.mark.parametrize(
    ("ast", "reason"),
    [
        (trees.function("() => require('fs')"), "the function root uses `require`, which is there in containers"),
        (trees.seq("inc", trees.function("p => process.env")), "the function root[1] uses `process`"),
    ],
)
def test_a_function_that_needs_node_makes_its_composition_a_conductor(ready, ast, reason):
    assert put(ready, with_kind(trees.deployed(ast)))["conductorReason"].startswith(REASON + reason)


def test_a_composition_of_another_version_of_composer_says_so(ready):
    assert "Composer 1.0" in put(ready, with_kind(trees.deployed(trees.seq(), version="1.0.0")))["conductorReason"]


@pytest.mark.parametrize("asked", [False, "false"])
def test_a_composition_may_be_asked_to_run_as_a_conductor(ready, asked):
    body = with_kind(trees.deployed(trees.seq("inc")))
    put(ready, body)
    assert ready.run("composed", n=1) == {"n": 2}
    body["annotations"].append({"key": "dataflow", "value": asked})
    put(ready, body)
    # The code is JavaScript, and its kind says Python: only the conductor looks at that.
    assert "failed to generate or locate a binary" in ready.fail("composed")


def with_kind(body: dict[str, Any]) -> dict[str, Any]:
    """Return what is deployed as it would be with `deploy --kind`: no node is needed to store it."""
    return {**body, "exec": {**body["exec"], "kind": "python:3"}}
