"""Compositions whose functions are evaluated in containers of Node.js: what node adds is there, and nothing goes on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import needs
from tests.support.composer.trees import Tree, deployed, function, let, node, seq
from tests.support.deploying import Deployer
from tests.support.dialects import NODE

ENVIRON = {"DATAFLOWER_CONTROLLER_INLINE_FUNCTIONS": "nodejs"}


@pytest.fixture(autouse=True)
def _node():
    needs("node", NODE is not None, "install nodejs 18 or newer")


def put(live: Deployer, ast: Tree, name: str = "composed", **limits: int) -> dict[str, Any]:
    """Deploy a composition; return its annotations."""
    body = deployed(ast)
    body["limits"].update(limits)
    reply = live.call("PUT", f"actions/{name}?overwrite=true", json=body)
    assert reply.status_code == 200, reply.text
    return {one["key"]: one["value"] for one in reply.json()["annotations"]}


def noted(record: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: one["value"] for one in record["annotations"]}


def test_functions_that_need_node_run_as_data_flow(live):
    ast = seq(
        function("async () => { await new Promise(done => setTimeout(done, 1)); return {name: 'node'} }"),
        "hello",
        let({"x": 1}, function("p => { console.log('seen'); x = require('path').join(p.hello, 'b') }"),
            function("p => ({x, who: process.env.__OW_NAMESPACE, key: typeof process.env.__OW_API_KEY, p})")),
    )  # fmt: skip
    assert "conductorReason" not in put(live, ast)
    run, parts = live.firings("composed")
    assert run["response"]["result"] == {"x": "node/b", "who": "guest", "key": "string", "p": {"hello": "node"}}
    assert [part["name"] for part in parts] == ["hello"]
    assert noted(run)["functionLog"] == "seen\n"


def test_branches_and_parts_that_nobody_waits_for_have_them_too(live):
    twice = function("p => ({twice: Buffer.from([p.value]).readUInt8() * 2})")
    put(live, seq(node("map", twice), function("({value}) => ({all: value.map(one => one.twice)})")))
    assert live.run("composed", value=list(range(20))) == {"all": [2 * number for number in range(20)]}

    put(live, let({"x": 3}, node("async", function("() => ({x, node: typeof require('os').EOL})"))))
    started = live.run("composed")
    assert live.finished(started["activationId"])["response"]["result"] == {"x": 3, "node": "string"}


def test_a_composition_inside_a_sequence_has_them(live):
    put(live, function("() => ({name: Buffer.from('YQ==', 'base64').toString()})"), "inner")
    parts = {"kind": "sequence", "components": ["/_/inner", "/_/hello"]}
    live.call("PUT", "actions/outer?overwrite=true", json={"exec": parts}).raise_for_status()
    assert live.run("outer") == {"hello": "a"}


CAUGHT = function("() => ({caught: true})")
ENDED = "The action did not produce a valid response and exited unexpectedly."


@pytest.mark.parametrize(
    ("code", "limits", "text"),
    [
        ("() => { for (;;); }", {"timeout": 1500}, "The action exceeded its time limits of 1500 milliseconds."),
        ("() => { const a = []; for (;;) a.push(new Array(100000).fill(a.length)) }", {"memory": 128},
         "The action exhausted its memory and was aborted."),
        ("() => process.exit()", {}, ENDED),
        ("() => process.kill(process.pid, 'SIGKILL')", {}, ENDED),
    ],
    ids=["loop", "memory", "exit", "kill"],
)  # fmt: skip
def test_what_ends_its_container_ends_the_composition_as_in_stock(live, code, limits, text):
    put(live, node("try", body=function(code), handler=CAUGHT), **limits)
    assert live.fail("composed") == text


@pytest.mark.parametrize(
    "code", ["() => { throw new Error('x') }", "() => nosuch", "} evil {", "() => Promise.reject()"]
)
def test_what_throws_is_the_handlers(live, code):
    put(live, node("try", body=function(code), handler=CAUGHT))
    run, _ = live.firings("composed")
    assert run["response"]["result"] == {"caught": True}
    assert noted(run)["functionLog"]


def test_a_run_that_is_cancelled_ends_its_function(live, server):
    put(live, function("() => { for (;;); }"))
    started = live.call("POST", "actions/composed").json()["activationId"]
    reply = live.call("POST", f"activations/{started}/cancel")
    assert reply.status_code == 202, reply.text
    assert not live.finished(started)["response"]["success"]
