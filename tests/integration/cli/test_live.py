"""The commands against a real server."""

import json
import re
import threading

import pytest
import requests

from controller_ext.cli.client import Client, RequestRefused
from controller_ext.cli.examples import action_body, deploy, load
from controller_ext.cli.main import main
from controller_ext.cli.options import GUEST_AUTH, Endpoint
from controller_ext.cli.server import EmbeddedServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(90)

WAIT = "import time\n\ndef main(args):\n    time.sleep(args.get('s', 0))\n    return args\n"
SLOW = """
dataflow: 1
steps:
  first: {action: wait, inputs: {a: {value: 1}}}
  slow: {action: wait, inputs: {b: first.a, s: {value: 50}}}
result: slow
"""


@pytest.fixture(scope="module")
def server():
    with EmbeddedServer() as server, Client(Endpoint(server.url, GUEST_AUTH)) as client:
        deploy(client, load("wordcount"))
        client.put_action("wait", action_body("python:3", WAIT))
        client.put_action("slow", action_body("dataflow:1", SLOW))
        yield server


@pytest.fixture
def client(server):
    with Client(Endpoint(server.url, GUEST_AUTH)) as client:
        yield client


def started(client: Client) -> str:
    """Start a run of `slow`; return its id once its second step runs."""
    url = f"{client.endpoint.url}/api/v1/namespaces/_/actions/slow"
    user, _, key = GUEST_AUTH.partition(":")
    reply = requests.post(url, auth=(user, key), timeout=20)
    run = str(reply.json()["activationId"])

    def runs() -> bool:
        document = client.trace(run) or {}
        return [one["step"] for one in (document.get("live") or {}).get("live", ())] == ["slow"]

    wait_until(runs, 20, "the second step runs")
    return run


def test_a_run_is_traced_with_every_firing(server, client, capsys):
    run = client.invoke("wordcount", {"texts": {"a": "one two", "b": "one"}})
    assert run["response"]["result"] == {"words": {"one": 2, "two": 1}}

    def complete() -> bool:
        assert main(["trace", "--apihost", server.url, "--format", "json", run["activationId"]]) == 0
        document = json.loads(capsys.readouterr().out)
        return sorted(one["step"] for one in document["firings"]) == ["count", "count", "merge", "start"]

    wait_until(complete, 10, "all records are written")


def test_a_deployed_workflow_is_drawn(server, capsys):
    assert main(["graph", "--apihost", server.url, "wordcount"]) == 0
    assert "counts ← gather count.words" in capsys.readouterr().out


def test_a_running_run_can_be_watched_and_cancelled(server, client, capsys):
    run = started(client)

    follow = threading.Thread(target=main, args=(["trace", "--apihost", server.url, "--follow", run],))
    follow.start()
    assert main(["cancel", "--apihost", server.url, run]) == 0
    follow.join(20)

    assert not follow.is_alive()
    assert re.search("cancelled", json.dumps(client.wait_for(run, 10)["response"]))
    assert f"cancelled {run}" in capsys.readouterr().out


def test_a_run_that_ended_cannot_be_cancelled(server, client):
    run = client.invoke("wait", {})

    with pytest.raises(RequestRefused, match="409"):
        client.cancel(run["activationId"])
