"""Kinds on a live server: what is offered can be run, alone, in sequences and in workflows."""

import json
import sys
from contextlib import closing

import pytest
import requests

from tests.conftest import needs
from tests.support.dialects import NODE
from tests.support.server import Server, serving

OWN = f"python:3.{sys.version_info.minor}"
SPLIT = """
from action_runtime import emit

def main(args):
    for word in args["text"].split():
        emit("word", word)
    emit("raw", b"\\x00\\xff")
    return {}
"""
UPPER = "function main({word}) { return {upper: word.toUpperCase(), letters: [...word]}; }"
JOIN = "def main(args):\n    return {'text': ' '.join(args['words']), 'n': len(args['letters']), 'raw': args['raw']}\n"
KNOWS = "function main({raw}) { return {raw: raw.$data.base64}; }"
FLOW = """
dataflow: 1
steps:
  split: {action: split, inputs: {text: $run.text}}
  upper: {action: upper, inputs: {word: {each: split.word}}}
  raw: {action: knows, inputs: {raw: split.raw}}
  join:
    action: join
    inputs: {words: {gather: upper.upper}, letters: {gather: upper.letters}, raw: raw.raw}
result: join
"""


@pytest.fixture(scope="module")
def live():
    needs("node", NODE is not None, "install nodejs 18 or newer")
    with serving() as server, closing(server.client()) as client:
        yield client


def offered(client):
    runtimes = requests.get(f"{client.url}/", timeout=10).json()["runtimes"]
    return {one["kind"]: one for family in runtimes.values() for one in family}


def test_every_kind_that_is_offered_runs(live):
    kinds = offered(live)
    codes = {"python": "def main(args):\n    return args\n", "nodejs": "const main = (args) => args;"}

    assert {OWN, "python:3"} <= set(kinds)
    assert any(kind.startswith("nodejs:") for kind in kinds)
    for number, kind in enumerate(kinds):
        live.action(f"echo{number}", codes[kind.partition(":")[0]], kind=kind)
        assert live.run(f"echo{number}", a=[1, "❄"]) == {"a": [1, "❄"]}


def test_the_default_of_a_family_is_stored_as_the_kind_it_stands_for(live):
    kinds = offered(live)
    for family in ("python", "nodejs"):
        (default,) = [kind for kind, one in kinds.items() if one["default"] and kind.startswith(family)]
        reply = live.put("default", "x", kind=f"{family}:default").json()
        assert reply["exec"]["kind"] == default
        assert {"key": "exec", "value": default} in reply["annotations"]


def test_a_kind_that_nobody_runs_is_refused_with_those_that_are_offered(live):
    reply = live.put("bad", "x", kind="ruby:2.5")

    valid = ", ".join(f"'{kind}'" for kind in (*offered(live), "sequence", "blackbox"))
    text = f"The specified runtime 'ruby:2.5' is not supported by this platform. Valid values are: {valid}."
    assert reply.status_code == 400
    assert reply.json()["error"] == f"The request content was malformed:\n{text}"


def test_an_action_in_javascript_has_the_record_of_a_stock_one(live):
    code = "function main({name}) { console.log('hi', name); return {id: process.env.__OW_ACTIVATION_ID}; }"
    live.action("js", code, kind="nodejs:default", parameters=[{"key": "name", "value": "you"}])
    reply = live.call("POST", "actions/js?blocking=true", json={})

    record = live.finished(reply.headers["X-Openwhisk-Activation-Id"])
    assert record["response"] == {
        "result": {"id": record["activationId"]}, "size": len(json.dumps({"id": "0" * 32})) - 1,
        "status": "success", "success": True,
    }  # fmt: skip
    assert [line[31:] for line in record["logs"]] == ["stdout: hi you"]
    annotations = {one["key"]: one["value"] for one in record["annotations"]}
    assert annotations["kind"].startswith("nodejs:")
    assert annotations["initTime"] > 0


def test_failures_of_javascript_have_stocks_status(live):
    codes = {
        "returned": ("function main() { return {error: 'no', more: 1}; }", "no"),
        "rejected": ("async function main() { throw 'no'; }", "no"),
        "thrown": ("function main() { throw 'no'; }", "An error has occurred: no"),
        "text": ("function main() { return 'no'; }", "The action did not return a dictionary."),
        "nothing": (
            "function main() { return null; }",
            "The action did not produce a valid JSON or JSON Array response: null\n",
        ),
        "exit": (
            "function main() { process.exit(); }",
            "The action did not produce a valid response and exited unexpectedly.",
        ),
        "slow": (
            "function main() { return new Promise(() => {}); }",
            "The action exceeded its time limits of 300 milliseconds.",
        ),
    }
    for name, (code, error) in codes.items():
        live.action(name, code, kind="nodejs:default", limits={"timeout": 300 if name == "slow" else 60_000})
        assert live.fail(name) == error, name


def test_init_parameters_and_the_api_key_reach_javascript_as_in_stock(live):
    code = (
        "const early = process.env.SECRET;\n"
        "function main(args) { return {early, args: Object.keys(args), key: process.env.__OW_API_KEY ?? null}; }"
    )
    parameters = [{"key": "SECRET", "value": "s", "init": True}, {"key": "plain", "value": 1}]
    live.action("keyless", code, kind="nodejs:default", parameters=parameters)
    live.action(
        "keyed", code, kind="nodejs:default", annotations=[{"key": "provide-api-key", "value": True}],
        parameters=parameters,
    )  # fmt: skip

    assert live.run("keyless") == {"early": "s", "args": ["plain"], "key": None}
    assert live.run("keyed")["key"].startswith("23bc46b1-71f6-4ed5-8c54-816aa4f8c502:")


def test_steps_of_both_languages_make_a_workflow(live):
    live.action("upper", UPPER, kind="nodejs:default")
    live.action("knows", KNOWS, kind="nodejs:default")
    live.workflow(FLOW, split=SPLIT, join=JOIN)

    assert live.run(text="tick tock tack") == {"text": "TICK TOCK TACK", "n": 3, "raw": "AP8="}


def test_actions_of_both_languages_make_a_sequence(live):
    live.action("double", "function main({n}) { return {n: 2 * n}; }", kind="nodejs:default")
    live.action("next", "def main(args):\n    return {'n': args['n'] + 1}\n")
    body = {"exec": {"kind": "sequence", "components": ["/guest/double", "/guest/next", "/guest/double"]}}
    live.call("PUT", "actions/seq?overwrite=true", json=body).raise_for_status()

    assert live.run("seq", n=5) == {"n": 22}


def test_an_image_is_stored_and_its_invocation_says_what_to_do(live):
    body = {"exec": {"kind": "blackbox", "image": "me/img:1"}}
    stored = live.call("PUT", "actions/box?overwrite=true", json=body)
    assert stored.json()["exec"] == {"kind": "blackbox", "image": "me/img:1", "binary": False}

    reply = live.call("POST", "actions/box?blocking=true", json={})

    assert reply.status_code == 502
    assert reply.json()["response"]["status"] == "action developer error"
    assert reply.json()["response"]["result"] == {"error": "Failed to pull container image 'me/img:1'."}
    record = live.finished(reply.json()["activationId"])
    assert any("runs no images" in line for line in record["logs"])


def test_a_server_that_allows_it_runs_activations_of_an_action_side_by_side():
    needs("node", NODE is not None, "install nodejs 18 or newer")
    code = (
        "const waiting = [];\nfunction main() { return new Promise((done) => {"
        " waiting.push(done); if (waiting.length === 3) waiting.forEach((one) => one({met: 3})); }); }"
    )
    server = Server(environ={"DATAFLOWER_CONTROLLER_ACTION_CONCURRENCY": "5"})
    try:
        client = server.start().client()
        refused = client.put("meet", code, kind="nodejs:default", limits={"concurrency": 6})
        assert refused.json()["error"].endswith("requirement failed: concurrency 6 exceeds allowed threshold of 5")
        assert client.call("GET", "limits").json()["maxActionConcurrency"] == 5
        client.action("meet", code, kind="nodejs:default", limits={"concurrency": 5})
        ids = [client.call("POST", "actions/meet").json()["activationId"] for _ in range(3)]
        records = [client.finished(one) for one in ids]
        assert [one["response"]["result"] for one in records] == [{"met": 3}] * 3
        (limits,) = {json.dumps(a["value"]) for one in records for a in one["annotations"] if a["key"] == "limits"}
        assert json.loads(limits)["concurrency"] == 5
        client.close()
        server.stop()
    finally:
        server.remove()


def test_an_operator_chooses_what_is_offered():
    node = "" if NODE is None else f",nodejs:20={NODE}"
    server = Server(environ={"DATAFLOWER_INVOKER_KINDS": f"{OWN}=python{node}"})
    try:
        client = server.start().client()
        assert list(offered(client)) == [OWN, *(["nodejs:20"] if node else [])]
        client.action("own", "def main(args):\n    return args\n", kind="python:default")
        assert client.run("own", a=1) == {"a": 1}
        client.close()
        server.stop()
    finally:
        server.remove()


def test_a_kind_that_is_removed_after_the_deploy_is_told_to_the_developer_and_leaves_the_invoker_healthy(tmp_path):
    needs("node", NODE is not None, "install nodejs 18 or newer")
    node = tmp_path / "node"
    node.symlink_to(str(NODE))
    server = Server(environ={"DATAFLOWER_INVOKER_KINDS": f"{OWN}=python,nodejs:20={node}"})
    try:
        client = server.start().client()
        for number in range(6):
            client.action(f"js{number}", "const main = (args) => args;", kind="nodejs:20")
        assert client.run("js0", a=1) == {"a": 1}
        node.unlink()
        for number in range(1, 6):
            reply = client.call("POST", f"actions/js{number}?blocking=true", json={})
            assert reply.status_code == 502
            assert reply.json()["response"]["status"] == "action developer error"
            text = f"No runtime on this host runs actions of kind 'nodejs:20'; there are: {OWN}."
            assert reply.json()["response"]["result"] == {"error": text}
        assert client.run("js0", a=2) == {"a": 2}  # its container is there still
        states = requests.get(f"{client.url}/invokers", timeout=10).json()
        assert set(states.values()) == {"up"}
        client.close()
        server.stop()
    finally:
        server.remove()
