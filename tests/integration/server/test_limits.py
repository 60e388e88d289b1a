"""Limits of a namespace on a server with several workers: counted once, changed while it runs, blocked at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.server import Server, serving
from tests.support.waiting import wait_until

CODE = "import time\ndef main(args):\n    time.sleep(args.get('s', 0))\n    return {}\n"
NATIVE = "dataflow: 1\nsteps:\n  make: {action: make, inputs: {n: $run.n}}\nresult: make\n"
ROOM_S = 20
"""What must be left of the clock minute in which requests are counted."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--workers", "3") as one:
        yield one


@pytest.fixture
def user(server: Server, request: pytest.FixtureRequest) -> tuple[str, str]:
    """Return a new user's namespace and key; its action is `nap`."""
    name = f"user-{request.node.name}"[:60]
    key = server.admin("user", "create", name)
    server.client(key).action("nap", CODE)
    return name, key


def send(server: Server, key: str, count: int, **arguments: Any) -> list[tuple[int, str]]:
    """Invoke so often at once, each on its own connection, so that all workers have some; return the answers."""

    def one(_: int) -> tuple[int, str]:
        client = server.client(key)
        try:
            reply = client.call("POST", "actions/nap?blocking=true", json=arguments)
        finally:
            client.close()
        return reply.status_code, reply.json().get("error", "")

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.timeout(150)
def test_exactly_as_many_as_the_limit_pass_in_a_clock_minute(server: Server, user: tuple[str, str]):
    name, key = user
    server.admin("limits", "set", name, "--invocationsPerMinute", "7")
    wait_until(lambda: time.time() % 60 < 60 - ROOM_S, within_s=ROOM_S + 1, message="a young minute")
    minute = time.time() // 60
    answers = send(server, key, 24)
    assert time.time() // 60 == minute, "the machine is too slow for this test"
    assert Counter(status for status, _ in answers) == {200: 7, 429: 17}
    texts = {text for status, text in answers if status == 429}
    assert texts == {f"Too many requests in the last minute (count: {count}, allowed: 7)." for count in range(8, 25)}


@pytest.mark.timeout(60)
def test_no_more_than_the_limit_are_in_flight(server: Server, user: tuple[str, str]):
    name, key = user
    server.admin("limits", "set", name, "--concurrentInvocations", "3")
    answers = send(server, key, 12, s=2.0)
    assert Counter(status for status, _ in answers) == {200: 3, 429: 9}
    assert {text for status, text in answers if status == 429} == {
        "Too many concurrent requests in flight (count: 3, allowed: 3)."
    }
    assert send(server, key, 1) == [(200, "")]


@pytest.mark.timeout(60)
def test_limits_and_blocks_hold_at_once_in_all_workers(server: Server, user: tuple[str, str]):
    name, key = user
    many = 9
    assert send(server, key, many) == [(200, "")] * many
    server.admin("limits", "set", name, "--invocationsPerMinute", "0")
    assert {status for status, _ in send(server, key, many)} == {429}
    server.admin("limits", "delete", name)
    server.admin("limits", "set", name, "--concurrentInvocations", "0")
    assert {text for _, text in send(server, key, many)} == {
        "Too many concurrent requests in flight (count: 0, allowed: 0)."
    }
    server.admin("limits", "delete", name)
    server.admin("limits", "set", name, "--allowedKinds", "java:8")
    assert {status for status, _ in send(server, key, many)} == {403}
    server.admin("limits", "delete", name)
    server.admin("user", "block", name)
    assert {status for status, _ in send(server, key, many)} == {401}
    server.admin("user", "unblock", name)
    assert send(server, key, many) == [(200, "")] * many


@pytest.mark.timeout(60)
def test_a_namespace_may_have_no_records_kept(server: Server, user: tuple[str, str]):
    name, key = user
    client = server.client(key)
    client.action("make", "def main(args):\n    return {'text': 'x' * args['n']}\n")
    for action, exec_ in (
        ("flow", {"kind": "sequence", "components": ["/_/make"]}),
        ("stepwise", {"kind": "sequence", "components": ["/_/make"]}),
        ("native", {"kind": "dataflow:1", "code": NATIVE}),
    ):
        notes = [{"key": "dataflow", "value": False}] if action == "stepwise" else []
        reply = client.call("PUT", f"actions/{action}", json={"exec": exec_, "annotations": notes})
        assert reply.status_code == 200, reply.text
    server.admin("limits", "set", name, "--storeActivations", "false")

    for action in ("make", "flow", "stepwise", "native"):
        for length in (10, 200_000, *((3_000_000,) if action == "native" else ())):
            assert len(client.run(action, n=length)["text"]) == length, action
    sent = client.call("POST", "actions/make", json={"n": 1}).json()["activationId"]
    assert len(client.run("make", n=1)["text"]) == 1

    assert client.call("GET", "activations").json() == []
    assert client.call("GET", f"activations/{sent}").status_code == 404
    server.admin("limits", "set", name, "--storeActivations", "true")
    client.run("make", n=1)
    assert len(client.call("GET", "activations").json()) == 1
