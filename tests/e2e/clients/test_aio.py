"""`@adobe/aio-cli` with `@adobe/aio-cli-plugin-runtime`, unmodified: its command groups against a fresh server."""

from __future__ import annotations

import json
import re

import pytest
import requests

from tests.support.commands import zipped
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(180)

GREET = """\
def main(args):
    print("greeting " + args.get("name", "nobody"))
    return {"greeting": args.get("word", "Hello") + " " + args.get("name", "nobody")}
"""
SHOUT = 'def main(args):\n    return {"greeting": args["greeting"].upper()}\n'
FAIL = 'def main(args):\n    return {"error": "no tea"}\n'
WEB = 'def main(args):\n    return {"body": {"method": args["__ow_method"], "path": args["__ow_path"]}}\n'
NOT_THERE = "the requested resource does not exist. (404 Not Found)"


def pairs(entries) -> dict[str, object]:
    return {entry["key"]: entry["value"] for entry in entries}


def shown(text: str):
    """Return the JSON below a line with a name."""
    return json.loads(text[text.index("{") :])


def names(listed) -> list[str]:
    return [one["name"] for one in listed]


def flat(text: str) -> str:
    """Return what an error says, whatever it was broken by to fit a terminal."""
    return re.sub(r"\s+", " ", text.replace("\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}", " "))


@pytest.fixture
def files(aio):
    """The client, with the actions of this module as files in its folder."""
    for name, code in (("greet", GREET), ("shout", SHOUT), ("fail", FAIL), ("web", WEB)):
        aio.file(f"{name}.py", code)
    return aio


def record(aio, activation_id: str):
    """Return a record, once it is there: records come behind the response."""
    wait_until(lambda: aio.run("activation", "get", activation_id).returncode == 0, 20)
    return aio.json("activation", "get", activation_id)


def test_properties(aio, server):
    said = aio.text("property", "get")
    assert re.search(rf"whisk API host +{re.escape(server.url)} ", said)
    assert re.search(r"whisk namespace +guest ", said)
    assert re.search(r"whisk API build number +\S+", said)
    assert "error" not in said
    aio.text("property", "unset", "--namespace")
    assert "whisk namespace         _ " in aio.text("property", "get", "--all")
    aio.text("property", "set", "--namespace", "guest")
    assert "NAMESPACE=guest" in (aio.folder / ".wskprops").read_text()


def test_actions_from_their_creation_to_their_end(files):
    aio = files
    about = ("--param", "word", "Hi", "--annotation", "about", "greets", "--timeout", "5000", "--memory", "128")
    made = aio.json("action", "create", "a-greet", "greet.py", *about, "--json")
    assert (made["exec"]["code"], pairs(made["parameters"])) == (GREET, {"word": "Hi"})
    assert pairs(made["annotations"])["about"] == "greets"
    assert (made["limits"]["timeout"], made["limits"]["memory"]) == (5000, 128)
    again = aio.refused("action", "create", "a-greet", "greet.py")
    assert "resource already exists (409 Conflict)" in flat(again)

    aio.file("words.json", '{"word": "Hey"}')
    updated = aio.json("action", "update", "a-greet", "--param-file", "words.json", "--json")
    assert (updated["version"], pairs(updated["parameters"])) == ("0.0.2", {"word": "Hey"})
    copy = aio.json("action", "create", "a-copy", "--copy", "a-greet", "--json")
    assert (copy["exec"]["code"], pairs(copy["parameters"])) == (GREET, {"word": "Hey"})
    env = aio.json("action", "update", "a-copy", "greet.py", "--env", "CITY", "Oslo", "--json")
    assert {"key": "CITY", "value": "Oslo", "init": True} in env["parameters"]

    assert "code" not in shown(aio.text("action", "get", "a-greet"))["exec"]
    assert aio.text("action", "get", "a-greet", "--code") == GREET + "\n"
    assert aio.text("action", "get", "a-greet", "--url").strip().endswith("/api/v1/namespaces/guest/actions/a-greet")
    aio.text("action", "get", "a-greet", "--save-as", "saved.py")
    assert (aio.folder / "saved.py").read_text() == GREET

    listed = aio.json("action", "list", "--limit", "50", "--name-sort", "--json")
    assert [name for name in names(listed) if name.startswith("a-")] == ["a-copy", "a-greet"]
    assert re.search(r"private +python:3\S* +0\.0\.2 +a-greet", aio.text("action", "list"))
    assert "actions in this namespace." in aio.text("action", "list", "--count")
    aio.text("action", "delete", "a-greet")
    assert aio.json("action", "delete", "a-copy", "--json")["name"] == "a-copy"
    assert NOT_THERE in flat(aio.refused("action", "get", "a-greet"))


def test_an_archive(aio):
    archive = zipped(
        {"__main__.py": "from words import word\ndef main(args):\n    return word\n", "words.py": "word = {'a': 1}"}
    )
    aio.file("words.zip", archive)
    made = aio.json("action", "create", "z-zip", "words.zip", "--kind", "python:3", "--json")
    assert made["exec"]["binary"] is True
    assert aio.json("action", "invoke", "z-zip", "--result") == {"a": 1}
    aio.text("action", "get", "z-zip", "--save")
    assert (aio.folder / "z-zip.zip").read_bytes() == archive


def test_invocations_and_their_activations(files):
    aio = files
    aio.text("action", "create", "i-greet", "greet.py")
    aio.text("action", "create", "i-fail", "fail.py")
    aio.file("bo.json", '{"name": "Bo", "word": "Bye"}')
    assert aio.json("action", "invoke", "i-greet", "--result", "--param-file", "bo.json") == {"greeting": "Bye Bo"}
    whole = aio.json("action", "invoke", "/guest/i-greet", "--blocking", "--param", "name", "Ada")
    assert whole["response"]["result"] == {"greeting": "Hello Ada"}
    begun = aio.json("action", "invoke", "i-greet", "--param", "name", "Cy")["activationId"]
    assert record(aio, begun)["response"]["result"] == {"greeting": "Hello Cy"}
    assert aio.json("action", "invoke", "i-fail", "--result") == {"error": "no tea"}
    failed = aio.json("action", "invoke", "i-fail", "--blocking")
    assert failed["response"]["status"] == "application error"
    assert NOT_THERE in flat(aio.refused("action", "invoke", "i-none"))

    assert "greeting Cy" in aio.text("activation", "get", begun, "--logs")
    assert aio.json("activation", "result", begun)["result"] == {"greeting": "Hello Cy"}
    record(aio, failed["activationId"])
    assert aio.json("activation", "get", "--last")["activationId"] == failed["activationId"]
    assert aio.json("activation", "result", "--last")["success"] is False
    table = aio.text("activation", "list", "--limit", "50")
    assert re.search(rf"success +python:3\S* +0\.0\.1 +{begun} +(warm|cold) .* i-greet", table)
    assert re.search(rf"app error +python:3\S* +0\.0\.1 +{failed['activationId']} ", table)
    since = str(whole["start"])
    listed = aio.json("activation", "list", "i-greet", "--since", since, "--json")
    assert {whole["activationId"], begun} <= {one["activationId"] for one in listed}
    full = aio.json("activation", "list", "i-greet", "--since", since, "--limit", "1", "--full")
    assert full[0]["response"]["result"] == {"greeting": "Hello Cy"}
    assert aio.json("activation", "list", "i-greet", "--count", "--since", since, "--json") == {"activations": 2}


def test_logs_are_asked_for_at_a_service_that_only_adobe_has(aio):
    """`activation logs` looks for log forwarding first; `activation get --logs` does not, and shows them here."""
    assert "Could not get log forwarding settings" in flat(aio.refused("activation", "logs", "--last"))
    assert "log forwarding settings" in flat(aio.refused("namespace", "log-forwarding", "get"))


def test_sequences(files):
    aio = files
    aio.text("action", "create", "s-greet", "greet.py")
    aio.text("action", "create", "s-shout", "shout.py")
    made = aio.json("action", "create", "s-both", "--sequence", "s-greet,/guest/s-shout", "--json")
    assert made["exec"] == {"kind": "sequence", "components": ["/guest/s-greet", "/guest/s-shout"]}
    assert aio.json("action", "invoke", "s-both", "--result", "--param", "name", "Ada") == {"greeting": "HELLO ADA"}
    changed = aio.json("action", "update", "s-both", "--sequence", "s-greet", "--json")
    assert changed["exec"]["components"] == ["/guest/s-greet"]
    lost = aio.refused("action", "create", "s-lost", "--sequence", "s-none")
    assert "sequence component does not exist. (400 Bad Request)" in flat(lost)


def test_packages_and_bindings(files):
    aio = files
    made = aio.json("package", "create", "p-pack", "--param", "word", "Ciao", "--annotation", "about", "a", "--json")
    assert (pairs(made["parameters"]), pairs(made["annotations"])["about"]) == ({"word": "Ciao"}, "a")
    aio.text("action", "create", "p-pack/greet", "greet.py")
    bound = aio.json("package", "bind", "/guest/p-pack", "p-bound", "--param", "word", "Hola", "--json")
    assert bound["binding"] == {"namespace": "guest", "name": "p-pack"}
    assert aio.json("action", "invoke", "p-pack/greet", "--result", "--param", "name", "Ada") == {
        "greeting": "Ciao Ada"
    }
    assert aio.json("action", "invoke", "p-bound/greet", "--result", "--param", "name", "Ada") == {
        "greeting": "Hola Ada"
    }
    assert names(aio.json("package", "get", "p-pack")["actions"]) == ["greet"]
    assert names(aio.json("action", "list", "p-pack", "--json")) == ["greet"]
    assert aio.json("package", "update", "p-pack", "--shared", "yes", "--json")["publish"] is True
    assert {"p-pack", "p-bound"} <= set(names(aio.json("package", "list", "--json")))
    assert re.search(r"public +package +0\.0\.2 +p-pack", aio.text("package", "list"))
    assert "package not empty (contains 1 entity)" in flat(aio.refused("package", "delete", "p-pack"))
    aio.text("package", "delete", "p-bound")
    aio.text("package", "delete", "p-pack", "--recursive")
    assert "does not exist" in flat(aio.refused("package", "get", "p-pack"))


def test_triggers_and_rules(files):
    aio = files
    aio.text("action", "create", "r-greet", "greet.py")
    aio.text("trigger", "create", "r-trigger", "--param", "word", "Hi", "--annotation", "about", "a trigger")
    found = aio.json("trigger", "get", "r-trigger")
    assert (pairs(found["parameters"]), pairs(found["annotations"])) == ({"word": "Hi"}, {"about": "a trigger"})
    aio.text("trigger", "update", "r-trigger", "--param", "word", "Hey")
    assert pairs(aio.json("trigger", "get", "/guest/r-trigger")["parameters"]) == {"word": "Hey"}
    rule = aio.json("rule", "create", "r-rule", "r-trigger", "r-greet", "--json")
    assert (rule["status"], rule["action"]) == ("active", {"path": "guest", "name": "r-greet"})

    fired = aio.json("trigger", "fire", "r-trigger", "--param", "name", "Ada")["activationId"]
    entry = json.loads(record(aio, fired)["logs"][0])
    assert (entry["rule"], entry["success"]) == ("guest/r-rule", True)
    assert record(aio, entry["activationId"])["response"]["result"] == {"greeting": "Hey Ada"}

    aio.text("rule", "disable", "r-rule")
    assert aio.text("rule", "status", "r-rule") == "inactive\n"
    aio.text("trigger", "fire", "r-trigger")
    aio.text("rule", "enable", "r-rule")
    assert aio.json("rule", "get", "r-rule")["status"] == "active"
    assert aio.json("rule", "update", "r-rule", "r-trigger", "/guest/r-greet", "--json")["version"] == "0.0.2"
    listed = aio.json("rule", "list", "--json")
    assert [one["status"] for one in listed if one["name"] == "r-rule"] == ["active"]
    assert "r-trigger" in names(aio.json("trigger", "list", "--json"))
    assert aio.json("rule", "delete", "r-rule", "--json")["name"] == "r-rule"
    aio.text("trigger", "delete", "r-trigger")
    assert "does not exist" in flat(aio.refused("trigger", "get", "r-trigger"))


def test_a_trigger_of_the_alarms_feed(aio):
    feed = ("--feed", "/whisk.system/alarms/interval", "--param", "minutes", "5")
    aio.text("trigger", "create", "l-trigger", *feed)
    assert pairs(aio.json("trigger", "get", "l-trigger")["annotations"])["feed"] == "/whisk.system/alarms/interval"
    aio.text("trigger", "delete", "l-trigger")


def test_namespaces(files):
    aio = files
    aio.text("action", "create", "n-greet", "greet.py")
    assert aio.json("namespace", "list", "--json") == ["guest"]
    found = aio.json("namespace", "get", "--json")
    assert list(found) == ["actions", "packages", "triggers", "rules"]
    assert "n-greet" in names(found["actions"])
    assert "n-greet" in aio.text("list")


def test_web_actions_and_apis(files, server):
    aio = files
    made = aio.json("action", "create", "w-web", "web.py", "--web", "true", "--json")
    assert pairs(made["annotations"])["web-export"] is True
    url = aio.text("action", "get", "w-web", "--url").strip()
    assert url == f"{server.url}/api/v1/web/guest/default/w-web"
    assert requests.get(url, timeout=30).json() == {"method": "get", "path": ""}
    secure = aio.json("action", "update", "w-web", "--web", "true", "--web-secure", "secret", "--json")
    assert pairs(secure["annotations"])["require-whisk-auth"] == "secret"
    assert requests.get(url, timeout=30).status_code == 401
    aio.text("action", "update", "w-web", "--web", "true", "--web-secure", "false")

    route = ("/library", "/books/{isbn}", "get", "w-web")
    at = aio.text("api", "create", *route, "--apiname", "Library", "--response-type", "http").strip()
    assert at.endswith("/books/{isbn}")
    assert requests.get(at.replace("{isbn}", "42"), timeout=30).json() == {"method": "get", "path": "/library/books/42"}
    assert list(aio.json("api", "get", "/library")["paths"]) == ["/books/{isbn}"]
    assert re.search(r" get +Library +http://127\.0\.0\.1\S+/books/\{isbn\}", aio.text("api", "list"))
    swagger = {**aio.json("api", "get", "/library"), "basePath": "/archive"}
    aio.file("swagger.json", json.dumps(swagger))
    archive = aio.text("api", "create", "--config-file", "swagger.json").strip()
    assert requests.get(f"{archive}/books/7", timeout=30).json() == {"method": "get", "path": "/archive/books/7"}
    aio.text("api", "delete", "/library", "/books/{isbn}", "get")
    assert requests.get(at.replace("{isbn}", "42"), timeout=30).status_code != 200


def test_a_workflow(files):
    aio = files
    flow = """\
dataflow: 1
steps:
  greet: {action: d-greet, inputs: $run}
  shout: {action: d-shout, inputs: {greeting: greet.greeting}}
result: shout
"""
    aio.file("flow.yaml", flow)
    aio.text("action", "create", "d-greet", "greet.py")
    aio.text("action", "create", "d-shout", "shout.py")
    aio.text("action", "create", "d-flow", "flow.yaml", "--kind", "dataflow:1")
    assert aio.text("action", "get", "d-flow", "--code") == flow + "\n"
    assert aio.json("action", "invoke", "d-flow", "--result", "--param", "name", "Ada") == {"greeting": "HELLO ADA"}
    assert re.search(r"private +dataflow:1 +0\.0\.1 +d-flow", aio.text("action", "list"))
    aio.file("broken.yaml", "dataflow: 1\n")
    assert "steps" in aio.refused("action", "update", "d-flow", "broken.yaml", "--kind", "dataflow:1")
