"""`aio runtime deploy`: manifests with packages, sequences, triggers, rules and APIs, in and out of a fresh server."""

from __future__ import annotations

import json
import re

import pytest
import requests
import yaml

from tests.support.commands import zipped

pytestmark = pytest.mark.timeout(240)

CALL_S = 30
# `deploy` takes only kinds of Node.js, whatever the server offers: it was made for a runtime that has no others.
GREET = """\
function main(args) {
  return { greeting: `${args.word || 'Hello'} ${args.name || 'nobody'}` }
}
"""
SHOUT = "exports.main = args => ({ greeting: args.greeting.toUpperCase() })\n"
BOOKS = "const main = args => ({ body: { method: args.__ow_method, path: args.__ow_path } })\n"
MANIFEST = """\
project:
  name: shop
  packages:
    shop:
      public: true
      inputs: {word: {type: string, value: Ciao}}
      dependencies:
        shop-utils: {location: /whisk.system/utils, inputs: {separator: ','}}
      actions:
        greet:
          function: greet.js
          inputs: {word: string}
          limits: {memorySize: 128, timeout: 5000}
          annotations: {about: greets}
        shout: {function: shout.zip, runtime: nodejs:20}
        books: {function: books.js, runtime: nodejs:20, web: true}
      sequences:
        both: {actions: 'greet, shout'}
      triggers:
        shop-trigger: {inputs: {word: Hey}, annotations: {about: a trigger}}
        shop-clock: {feed: /whisk.system/alarms/interval, inputs: {minutes: 5}}
      rules:
        shop-rule: {trigger: shop-trigger, action: both}
      apis:
        Library:
          library:
            'books/{isbn}':
              books: {method: GET, response: http}
"""
DEPLOYMENT = """\
project:
  name: shop
  packages:
    shop:
      actions:
        greet: {inputs: {word: Hi}}
"""


def pairs(entries) -> dict[str, object]:
    return {entry["key"]: entry["value"] for entry in entries}


def names(listed) -> set[str]:
    return {one["name"] for one in listed}


@pytest.fixture
def shop(aio):
    """The client in a folder with the files of a project."""
    for name, text in (("greet.js", GREET), ("books.js", BOOKS)):
        aio.file(name, text)
    aio.file("shout.zip", zipped({"index.js": SHOUT}))
    aio.file("manifest.yaml", MANIFEST)
    aio.file("deployment.yaml", DEPLOYMENT)
    return aio


def result(aio, name: str, *parameters: str):
    return aio.json("action", "invoke", name, "--result", *parameters)


def test_a_manifest_is_deployed_and_undeployed(shop, server):
    said = shop.text("deploy", "--manifest", "manifest.yaml", "--deployment", "deployment.yaml")

    assert "Success: Deployment completed successfully." in said
    package = shop.json("package", "get", "shop")
    assert (package["publish"], pairs(package["parameters"])) == (True, {"word": "Ciao"})
    assert names(package["actions"]) == {"greet", "shout", "books", "both"}
    assert shop.json("package", "get", "shop-utils")["binding"] == {"namespace": "whisk.system", "name": "utils"}
    assert result(shop, "shop/greet", "--param", "name", "Ada") == {"greeting": "Hi Ada"}
    assert result(shop, "shop/both", "--param", "name", "Ada") == {"greeting": "HI ADA"}
    assert pairs(shop.json("trigger", "get", "shop-trigger")["annotations"]) == {"about": "a trigger"}
    rule = shop.json("rule", "get", "shop-rule")
    assert (rule["status"], rule["action"]) == ("active", {"path": "guest/shop", "name": "both"})
    assert "activationId" in shop.json("trigger", "fire", "shop-trigger", "--param", "name", "Cy")
    routes = shop.text("api", "list", "/library")
    base = re.search(r"(http://\S+)/books/\{isbn\}", routes)
    assert base is not None, routes
    assert requests.get(f"{base[1]}/books/42", timeout=CALL_S).json() == {"method": "get", "path": "/library/books/42"}
    report = shop.text("deploy", "report", "--manifest", "manifest.yaml")
    assert '"name": "shop-clock",\n  "feed": "/whisk.system/alarms/interval"' in report
    assert shop.text("deploy", "version").strip()

    said = shop.text("deploy", "undeploy", "--manifest", "manifest.yaml")

    assert "Success: Undeployment completed successfully." in said
    left = shop.json("namespace", "get", "--json")
    assert {kind: names(found) for kind, found in left.items()} == {kind: set() for kind in left}
    assert requests.get(f"{base[1]}/books/42", timeout=CALL_S).status_code == 404


def test_a_project_is_synchronised_exported_and_undeployed_by_its_name(shop):
    manifest = yaml.safe_load(MANIFEST)
    manifest["project"]["name"] = "mall"
    packages = manifest["project"]["packages"]
    packages["mall"] = packages.pop("shop")
    for left_out in ("apis", "triggers", "rules", "dependencies", "inputs"):
        packages["mall"].pop(left_out)
    shop.file("mall.yaml", json.dumps(manifest))
    shop.file("none.yaml", json.dumps({"project": {"name": "mall", "packages": {}}}))

    shop.text("deploy", "sync", "--manifest", "mall.yaml", "--deployment", "none.yaml")

    for action in shop.json("action", "list", "mall", "--json"):
        managed = next(one["value"] for one in action["annotations"] if one["key"] == "whisk-managed")
        assert managed["projectName"] == "mall"
    shop.text("deploy", "sync", "--manifest", "mall.yaml", "--deployment", "none.yaml")
    assert shop.json("action", "list", "mall", "--json")[0]["version"] == "0.0.2"

    shop.text("deploy", "export", "--projectname", "mall", "--manifest", "exported/manifest.yaml")

    exported = yaml.safe_load((shop.folder / "exported" / "manifest.yaml").read_text())["project"]["packages"]["mall"]
    assert exported["actions"]["greet"]["inputs"] == {"word": ""}
    assert exported["sequences"] == {"both": {"actions": "greet,shout"}}
    assert (shop.folder / "exported" / "mall" / "greet.js").read_text() == GREET

    shop.text("deploy", "undeploy", "--projectname", "mall")
    assert "mall" not in names(shop.json("package", "list", "--json"))
