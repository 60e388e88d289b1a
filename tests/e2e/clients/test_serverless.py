"""The Serverless Framework with `serverless-openwhisk`, unmodified: one service, deployed, used and removed."""

from __future__ import annotations

import json
import re

import pytest
import requests

from tests.support.commands import Command, alone
from tests.support.deploying import KEY
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(300)

CALL_S = 30
HANDLERS = """\
def greet(args):
    print("greeting " + args.get("name", "nobody"))
    return {"greeting": args.get("word", "Hello") + " " + args.get("name", "nobody")}


def shout(args):
    return {"greeting": args["greeting"].upper()}


def books(args):
    return {"body": {"method": args["__ow_method"], "path": args["__ow_path"]}}


def fail(args):
    return {"error": "no tea"}
"""
SERVICE = """\
service: shop
configValidationMode: off
provider:
  name: openwhisk
  runtime: python:3
plugins: [serverless-openwhisk]
functions:
  greet:
    name: shop-pack/greet
    handler: handlers.greet
    package: {patterns: [handlers.py]}
    memory: 128
    timeout: 5
    parameters: {word: Hi}
    annotations: {about: greets}
    events:
      - trigger: {name: shop-trigger, rule: shop-rule}
      - schedule: {rate: cron(0 0 1 1 *), params: {name: Clock}}
  shout:
    name: shop-shout
    handler: handlers.shout
  both:
    name: shop-both
    sequence: [/_/shop-pack/greet, /_/shop-shout]
  books:
    name: shop-books
    handler: handlers.books
    events:
      - http: {method: GET, path: '/books/{isbn}', resp: http}
  fail:
    name: shop-fail
    handler: handlers.fail
resources:
  apigw: {name: Library, basepath: /library}
  packages:
    shop-pack: {parameters: {word: Ciao}, shared: true}
    shop-bound: {binding: /whisk.system/utils, parameters: {separator: ','}}
"""


@pytest.fixture
def sls(server, npm_modules, tmp_path):
    (tmp_path / ".wskprops").write_text(f"APIHOST={server.url}\nAUTH={':'.join(KEY)}\n")
    quiet = {"SLS_TELEMETRY_DISABLED": "1", "SLS_NOTIFICATIONS_MODE": "off", "SLS_DEPRECATION_DISABLE": "*"}
    command = Command(
        ["node", npm_modules / "serverless" / "bin" / "serverless.js"], {**alone(tmp_path), **quiet}, tmp_path
    )
    command.file("handlers.py", HANDLERS)
    command.file("serverless.yml", SERVICE)
    return command


class Seen:
    """What the server has, asked without the client."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str):
        reply = requests.get(f"{self.url}/api/v1/namespaces/_/{path}", auth=KEY, timeout=CALL_S)
        return reply.json() if reply.ok else None

    def names(self, collection: str) -> set[str]:
        return {f"{one['namespace']}/{one['name']}" for one in self.get(collection)}


def test_a_service_is_deployed_used_and_removed(sls, server):
    seen = Seen(server.url)

    said = sls.text("deploy", "--verbose")

    assert seen.names("actions") == {
        "guest/shop-pack/greet", "guest/shop-shout", "guest/shop-both", "guest/shop-books", "guest/shop-fail",
    }  # fmt: skip
    greet = seen.get("actions/shop-pack/greet")
    assert (greet["limits"]["memory"], greet["limits"]["timeout"], greet["exec"]["main"]) == (128, 5000, "greet")
    assert greet["parameters"] == [{"key": "word", "value": "Hi"}]
    assert {"key": "about", "value": "greets"} in greet["annotations"]
    assert seen.names("packages") == {"guest/shop-pack", "guest/shop-bound"}
    assert seen.get("packages/shop-pack")["publish"] is True
    assert seen.get("packages/shop-bound")["binding"] == {"namespace": "whisk.system", "name": "utils"}
    assert seen.names("triggers") == {"guest/shop-trigger", "guest/shop_greet_schedule_trigger"}
    assert seen.names("rules") == {"guest/shop-rule", "guest/shop_greet_schedule_rule"}
    assert seen.get("rules/shop-rule")["status"] == "active"
    route = re.search(r"^GET (http://\S+)/books/\{isbn\} --> shop-books$", said, re.MULTILINE)
    assert route is not None, said
    assert requests.get(f"{route[1]}/books/42", timeout=CALL_S).json() == {"method": "get", "path": "/library/books/42"}

    assert json.loads(sls.text("invoke", "--function", "greet", "--data", '{"name": "Ada"}')) == {"greeting": "Hi Ada"}
    sls.file("bo.json", '{"name": "Bo"}')
    both = sls.text("invoke", "--function", "both", "--path", "bo.json")
    assert '"greeting": "HI BO"' in both
    begun = json.loads(sls.text("invoke", "--function", "greet", "--type", "nonblocking", "--data", '{"name": "Cy"}'))
    wait_until(lambda: seen.get(f"activations/{begun['activationId']}"), 20)
    whole = sls.text("invoke", "--function", "greet", "--verbose", "--data", "{}")
    assert re.search(r"=> action \(/guest/greet\) activation \([0-9a-f]{32}\) duration: \d+ms", whole)
    assert "due to application error:" in sls.refused("invoke", "--function", "fail", "--data", "{}")
    local = sls.text("invoke", "local", "--function", "greet", "--data", '{"name": "Ada"}')
    assert json.loads(local[local.index("{") :]) == {"greeting": "Hi Ada"}

    logs = sls.text("logs", "--function", "greet", "--filter", "Cy")
    assert re.search(rf"activation \({begun['activationId']}\):\n\S+ \S+ greeting Cy", logs)
    info = sls.text("info")
    assert f"platform:\t{server.url}" in info
    assert "shop-pack/greet" in info
    assert "shop-rule" in info

    sls.file("handlers.py", HANDLERS.replace("greeting", "answer"))
    sls.text("deploy", "function", "--function", "greet")
    assert json.loads(sls.text("invoke", "--function", "greet", "--data", "{}")) == {"answer": "Hi nobody"}
    assert seen.get("actions/shop-pack/greet")["version"] == "0.0.2"

    sls.text("remove")

    for collection in ("actions", "packages", "triggers", "rules"):
        assert seen.names(collection) == set()
    assert requests.get(f"{route[1]}/books/42", timeout=CALL_S).status_code == 404
