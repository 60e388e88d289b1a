"""Python with `requests` alone: what somebody's script does with the REST API, against a fresh server."""

from __future__ import annotations

import base64
import json
import textwrap

import pytest
import requests

from tests.support.commands import zipped
from tests.support.deploying import KEY
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(90)

CALL_S = 30
GREET = """
    def main(args):
        print("greeting", args.get("name", "nobody"))
        return {"greeting": args.get("word", "Hello") + " " + args.get("name", "nobody")}
"""
SHOUT = """
    def main(args):
        return {"greeting": args["greeting"].upper()}
"""


class Script:
    """A session below one namespace; what it gets is checked for its status."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.auth = KEY

    def call(self, method: str, path: str, expected: int = 200, **more):
        reply = self.session.request(method, f"{self.url}/api/v1/namespaces/_/{path}", timeout=CALL_S, **more)
        assert reply.status_code == expected, (method, path, reply.status_code, reply.text)
        return reply

    def python(self, name: str, code: str, **more):
        exec_ = {"kind": "python:3", "code": textwrap.dedent(code)}
        return self.call("PUT", f"actions/{name}", json={"exec": exec_, **more}).json()

    def result(self, name: str, /, **parameters):
        return self.call("POST", f"actions/{name}?blocking=true&result=true", json=parameters).json()

    def record(self, activation_id: str):
        wait_until(lambda: self.session.get(self._record(activation_id), timeout=CALL_S).ok, 20)
        return self.session.get(self._record(activation_id), timeout=CALL_S).json()

    def _record(self, activation_id: str) -> str:
        return f"{self.url}/api/v1/namespaces/_/activations/{activation_id}"


@pytest.fixture(scope="module")
def script(server):
    made = Script(server.url)
    with made.session:
        yield made


def pairs(entries) -> dict[str, object]:
    return {entry["key"]: entry["value"] for entry in entries}


def names(listed) -> list[str]:
    return [one["name"] for one in listed.json()]


def test_the_server_says_what_it_is(script):
    said = script.session.get(script.url, timeout=CALL_S).json()
    assert {"api_paths", "runtimes", "limits", "support"} <= said.keys()
    assert any(one["kind"] == "python:3" for one in said["runtimes"]["python"])
    assert script.session.get(f"{script.url}/ping", timeout=CALL_S).text == "pong"
    version = script.session.get(f"{script.url}/api/v1", timeout=CALL_S).json()
    assert {"build", "buildno", "swagger_paths"} <= version.keys()


def test_namespaces_and_keys(script):
    assert script.session.get(f"{script.url}/api/v1/namespaces", timeout=CALL_S).json() == ["guest"]
    stranger = requests.get(f"{script.url}/api/v1/namespaces", auth=("no", "body"), timeout=CALL_S)
    assert stranger.status_code == 401
    foreign = script.session.get(f"{script.url}/api/v1/namespaces/stranger/actions", timeout=CALL_S)
    assert foreign.status_code == 403


def test_actions_from_their_creation_to_their_end(script):
    made = script.python("a-greet", GREET, parameters=[{"key": "word", "value": "Hi"}], limits={"timeout": 5000})
    assert (made["version"], made["limits"]["timeout"], pairs(made["parameters"])) == ("0.0.1", 5000, {"word": "Hi"})
    again = script.call("PUT", "actions/a-greet", 409, json={"exec": made["exec"]}).json()
    assert again["error"] == "resource already exists"
    annotations = {"annotations": [{"key": "about", "value": "greets"}]}
    updated = script.call("PUT", "actions/a-greet?overwrite=true", json=annotations).json()
    assert updated["version"] == "0.0.2"
    assert pairs(updated["annotations"])["about"] == "greets"
    assert "code" not in script.call("GET", "actions/a-greet?code=false").json()["exec"]
    assert "a-greet" in names(script.call("GET", "actions?limit=200"))

    assert script.result("a-greet", name="Ada") == {"greeting": "Hi Ada"}
    whole = script.call("POST", "actions/a-greet?blocking=true", json={"name": "Bo"})
    assert whole.json()["response"]["result"] == {"greeting": "Hi Bo"}
    assert whole.headers["X-Openwhisk-Activation-Id"] == whole.json()["activationId"]
    begun = script.call("POST", "actions/a-greet", 202, json={"name": "Cy"}).json()
    assert script.record(begun["activationId"])["response"]["result"] == {"greeting": "Hi Cy"}

    script.call("DELETE", "actions/a-greet")
    script.call("GET", "actions/a-greet", 404)


def test_an_action_of_several_files(script):
    files = {"__main__.py": "from words import word\ndef main(args):\n    return word\n", "words.py": "word = {'a': 1}"}
    code = base64.b64encode(zipped(files)).decode()
    script.call("PUT", "actions/z-zip", json={"exec": {"kind": "python:3", "code": code, "binary": True}})
    assert script.result("z-zip") == {"a": 1}
    script.call("DELETE", "actions/z-zip")


def test_sequences_and_what_each_of_their_steps_recorded(script):
    script.python("s-greet", GREET)
    script.python("s-shout", SHOUT)
    components = ["/_/s-greet", "/_/s-shout"]
    script.call("PUT", "actions/s-both", json={"exec": {"kind": "sequence", "components": components}})
    run = script.call("POST", "actions/s-both?blocking=true", json={"name": "Ada"}).json()
    assert run["response"]["result"] == {"greeting": "HELLO ADA"}
    steps = [script.record(one) for one in run["logs"]]
    assert [(step["name"], step["cause"]) for step in steps] == [
        ("s-greet", run["activationId"]),
        ("s-shout", run["activationId"]),
    ]


def test_packages_and_bindings(script):
    script.call("PUT", "packages/p-pack", json={"parameters": [{"key": "word", "value": "Ciao"}]})
    script.python("p-pack/greet", GREET)
    binding = {"binding": {"namespace": "_", "name": "p-pack"}, "parameters": [{"key": "word", "value": "Hola"}]}
    script.call("PUT", "packages/p-bound", json=binding)
    assert script.result("p-pack/greet", name="Ada") == {"greeting": "Ciao Ada"}
    assert script.result("p-bound/greet", name="Ada") == {"greeting": "Hola Ada"}
    assert [one["name"] for one in script.call("GET", "packages/p-bound").json()["actions"]] == ["greet"]
    assert {"p-pack", "p-bound"} <= set(names(script.call("GET", "packages?limit=200")))
    script.call("DELETE", "packages/p-pack", 409)
    script.call("DELETE", "packages/p-pack?force=true")
    script.call("GET", "packages/p-bound", 404)


def test_triggers_and_rules(script):
    script.python("r-greet", GREET)
    script.call("PUT", "triggers/r-trigger", json={"parameters": [{"key": "word", "value": "Hi"}]})
    assert script.call("POST", "triggers/r-trigger", 204, json={}).content == b""
    rule = {"trigger": "/_/r-trigger", "action": "/_/r-greet"}
    assert script.call("PUT", "rules/r-rule", json=rule).json()["status"] == "active"

    fired = script.call("POST", "triggers/r-trigger", 202, json={"name": "Ada"}).json()
    entry = script.record(fired["activationId"])["logs"][0]
    started = json.loads(entry)["activationId"]
    assert script.record(started)["response"]["result"] == {"greeting": "Hi Ada"}

    assert script.call("POST", "rules/r-rule", json={"status": "inactive"}).text == "OK"
    assert script.call("GET", "rules/r-rule").json()["status"] == "inactive"
    script.call("POST", "triggers/r-trigger", 204, json={})
    assert "r-rule" in names(script.call("GET", "rules?limit=200"))
    assert "r-trigger" in names(script.call("GET", "triggers?limit=200"))
    for path in ("rules/r-rule", "triggers/r-trigger", "actions/r-greet"):
        script.call("DELETE", path)


def test_activations_and_their_parts(script):
    script.python("v-greet", GREET)
    made = script.call("POST", "actions/v-greet", 202, json={"name": "Ada"}).json()["activationId"]
    record = script.record(made)
    assert script.call("GET", f"activations/{made}/result").json()["result"] == {"greeting": "Hello Ada"}
    assert script.call("GET", f"activations/{made}/logs").json()["logs"] == record["logs"]
    assert record["logs"][0].endswith("stdout: greeting Ada")
    query = f"activations?name=v-greet&since={record['start']}&upto={record['start']}"
    assert [one["activationId"] for one in script.call("GET", query).json()] == [made]
    assert script.call("GET", f"{query}&docs=true").json()[0]["logs"] == record["logs"]
    assert script.call("GET", f"{query}&count=true").json() == {"activations": 1}


def test_web_actions(script):
    code = """
        def main(args):
            body = {"method": args["__ow_method"], "path": args["__ow_path"], "q": args.get("q")}
            return {"statusCode": 201, "headers": {"X-Said": "yes"}, "body": body}
    """
    script.python("w-web", code, annotations=[{"key": "web-export", "value": True}])
    base = f"{script.url}/api/v1/web/guest/default/w-web"
    reply = requests.post(f"{base}/a/b?q=1", timeout=CALL_S)
    assert (reply.status_code, reply.headers["X-Said"]) == (201, "yes")
    assert reply.json() == {"method": "post", "path": "/a/b", "q": "1"}
    assert requests.get(f"{base}.json", timeout=CALL_S).json()["statusCode"] == 201
    assert requests.get(f"{base}.html", timeout=CALL_S).status_code == 400
    options = requests.options(base, timeout=CALL_S)
    assert (options.status_code, options.headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert requests.get(f"{script.url}/api/v1/web/guest/default/none", timeout=CALL_S).status_code == 404


def test_a_workflow_and_its_result(script):
    script.python("d-greet", GREET)
    script.python("d-shout", SHOUT)
    flow = textwrap.dedent("""\
        dataflow: 1
        steps:
          greet: {action: d-greet, inputs: $run}
          shout: {action: d-shout, inputs: {greeting: greet.greeting}}
        result: shout
    """)
    made = script.call("PUT", "actions/d-flow", json={"exec": {"kind": "dataflow:1", "code": flow}}).json()
    assert made["exec"]["code"] == flow
    assert script.result("d-flow", name="Ada") == {"greeting": "HELLO ADA"}
