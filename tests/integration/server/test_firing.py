"""Triggers that fire on a real server: what their rules run, how often, and what a death in between leaves."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
import requests

from controller_ext.entities.subjects import Subjects
from invoker_ext.stores.sqlite import SqliteEntities
from tests.support.deploying import Deployer
from tests.support.processes import alive
from tests.support.server import Server
from tests.support.waiting import wait_until

ECHO = "def main(args):\n    return {'n': args.get('n'), 'p': args.get('p'), 'seen': sorted(args)}\n"
ADD = "def main(args):\n    return {**args, 'n': args['n'] + 1}\n"
FLOW = """
dataflow: 1
steps:
  one: {action: add, inputs: {n: $run.n}}
  two: {action: add, inputs: {n: one.n}}
result: two
"""
FIRES = 200
CALLERS = 16


@pytest.fixture(scope="module")
def live(shared_server: Server) -> Deployer:
    client = shared_server.client()
    client.action("echo", ECHO)
    client.action("add", ADD)
    return client


def link(client: Deployer, trigger: str, *actions: str, **body: Any) -> None:
    """Make a trigger with one rule an action, named after it."""
    client.call("PUT", f"triggers/{trigger}?overwrite=true", json=body).raise_for_status()
    for action in actions:
        rule = {"trigger": f"/_/{trigger}", "action": f"/_/{action}"}
        client.call("PUT", f"rules/{trigger}-{action}?overwrite=true", json=rule).raise_for_status()


def lines_of(client: Deployer, activation_id: str) -> dict[str, dict[str, Any]]:
    """Return what the record of a fire says of each action."""
    lines = [json.loads(line) for line in client.record(activation_id)["logs"]]
    return {line["action"].removeprefix("guest/"): line for line in lines}


def fire(client: Deployer, trigger: str, **payload: Any) -> str:
    reply = client.call("POST", f"triggers/{trigger}", json=payload)
    assert reply.status_code == requests.codes.accepted, reply.text
    activation_id: str = reply.json()["activationId"]
    return activation_id


def test_a_rule_may_run_anything_that_can_be_invoked(live: Deployer):
    live.workflow(FLOW, "flow")
    sequence = {"exec": {"kind": "sequence", "components": ["/_/add", "/_/add"]}}
    live.call("PUT", "actions/seq?overwrite=true", json=sequence).raise_for_status()
    stepwise = {**sequence, "annotations": [{"key": "dataflow", "value": False}]}
    live.call("PUT", "actions/stepwise?overwrite=true", json=stepwise).raise_for_status()
    link(live, "any", "echo", "add", "seq", "stepwise", "flow", parameters=[{"key": "p", "value": 5}])

    lines = lines_of(live, fire(live, "any", n=1))

    records = {action: live.finished(line["activationId"]) for action, line in lines.items()}
    results = {action: record["response"]["result"] for action, record in records.items()}
    assert results["echo"] == {"n": 1, "p": 5, "seen": ["__ow_headers", "n", "p"]}
    assert {action: result["n"] for action, result in results.items()} == {
        "echo": 1, "add": 2, "seq": 3, "stepwise": 3, "flow": 3,
    }  # fmt: skip
    assert not any("cause" in record for record in records.values())
    assert {len(records[one]["logs"]) for one in ("seq", "stepwise", "flow")} == {2}


def test_a_slow_action_keeps_nobody_waiting(live: Deployer):
    live.action("slow", "import time\ndef main(args):\n    time.sleep(3)\n    return {}\n")
    link(live, "slow-trigger", "slow")
    began = time.monotonic()
    line = lines_of(live, fire(live, "slow-trigger"))["slow"]
    assert live.call("GET", f"activations/{line['activationId']}").status_code == requests.codes.not_found
    assert time.monotonic() - began < 3
    assert live.finished(line["activationId"])["duration"] >= 3000


@pytest.mark.timeout(120)
def test_many_fires_at_once_run_every_rule_exactly_once_each(make_server: Callable[..., Server]):
    server = make_server("--workers", "2").start()
    client = server.client()
    actions = ("one", "two", "three")
    for action in actions:
        client.action(action, ECHO)
    link(client, "many", *actions)
    clients = threading.local()

    def one(number: int) -> str:
        if not hasattr(clients, "own"):
            clients.own = server.client()
        return fire(clients.own, "many", n=number)

    with ThreadPoolExecutor(CALLERS) as pool:
        fired = list(pool.map(one, range(FIRES)))

    assert len(set(fired)) == FIRES
    started = {activation_id: lines_of(client, activation_id) for activation_id in fired}
    for number, activation_id in enumerate(fired):
        assert started[activation_id].keys() == set(actions)
        for line in started[activation_id].values():
            assert client.finished(line["activationId"], 60)["response"]["result"]["n"] == number
    count = {name: client.call("GET", f"activations?count=true&name={name}").json() for name in (*actions, "many")}
    assert count == {name: {"activations": FIRES} for name in (*actions, "many")}
    client.close()
    server.stop()
    assert server.left_over() == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("role", ["worker", "balancer", "invoker"])
def test_every_fire_that_was_answered_has_run_through_the_death_of_a(make_server: Callable[..., Server], role: str):
    server = make_server("--workers", "2").start()
    client = server.client()
    client.action("echo", ECHO)
    client.action("add", ADD)
    link(client, "deadly", "echo", "add")
    outcomes: Counter[str] = Counter()
    fired: list[str] = []
    guard = threading.Lock()  # guards both

    def caller() -> None:
        own = server.client()
        for number in range(FIRES // 8):
            try:
                reply = own.call("POST", "triggers/deadly", json={"n": number})
            except requests.RequestException:
                with guard:
                    outcomes["broken"] += 1
                continue
            with guard:
                outcomes[str(reply.status_code)] += 1
                if reply.status_code == requests.codes.accepted:
                    fired.append(reply.json()["activationId"])
        own.close()

    threads = [threading.Thread(target=caller) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(fired) > FIRES // 8, within_s=30, message=lambda: f"fires: {outcomes}")
    victim = server.kill(role)
    for thread in threads:
        thread.join(60)

    assert not alive({victim})
    assert outcomes.keys() <= {"202", "broken"}, outcomes
    # What a worker had in its hands was not answered; nothing else is lost.
    assert outcomes["broken"] <= (16 if role == "worker" else 0), outcomes
    for activation_id in fired:
        for line in lines_of(client, activation_id).values():
            assert line["success"], line
            # What ran in the invoker that died ends in a record that says so.
            assert client.finished(line["activationId"], 60)["response"]["success"] or role == "invoker"
    client.close()


def test_fires_are_throttled_across_all_workers(make_server: Callable[..., Server]):
    limits = {"DATAFLOWER_CONTROLLER_FIRES_PER_MINUTE": "5"}
    server = make_server("--workers", "2", environ=limits).start()
    client = server.client()
    client.call("PUT", "triggers/t", json={}).raise_for_status()
    wait_until(lambda: time.time() % 60 < 50, within_s=15, message="a minute that lasts")

    def one(number: int) -> tuple[int, str]:
        own = server.client()  # a connection of its own: any worker may get it
        reply = own.call("POST", "triggers/t", json={"n": number})
        own.close()
        return reply.status_code, reply.text

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(one, range(20)))

    assert Counter(status for status, _ in answers) == {204: 5, 429: 15}
    counts = {f"(count: {number}, allowed: 5)" for number in range(6, 21)}
    assert {text[text.index("(") : text.index(")") + 1] for status, text in answers if status == 429} == counts
    assert client.invoke("nosuch").status_code == requests.codes.not_found  # invocations are counted apart
    with closing(SqliteEntities(server.data / "entities.db")) as entities:
        Subjects(entities).set_limits("guest", {"firesPerMinute": 0})
    reply = client.call("POST", "triggers/t", json={})  # seen without a restart
    assert (reply.status_code, ", allowed: 0)" in reply.text) == (requests.codes.too_many_requests, True)
    client.close()
    server.stop()
