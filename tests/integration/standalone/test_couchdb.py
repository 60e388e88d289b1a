"""The embedded server with its entities and records in CouchDB, also while CouchDB is away."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import needs
from tests.support import couchdb, npm_clients, wordcount
from tests.support.couchdb import CouchServer
from tests.support.deploying import Deployer
from tests.support.server import Server
from tests.support.waiting import wait_until

TEXTS = ["the cat saw the dog", "the dog slept"]
WORDS = {"words": {"the": 3, "dog": 2, "cat": 1, "saw": 1, "slept": 1}}
CALLERS = 8
BETWEEN = 5
"""Runs of each caller before the outage, during it, after a deployment failed in it, and after it, each.

Of each caller: a worker answers in an outage what it has read before, and one may have been the only one so far.
"""


@pytest.fixture
def couch() -> Iterator[CouchServer]:
    """A CouchDB whose content outlives restarts."""
    needs("a CouchDB server for tests", couchdb.installed(), npm_clients.HOW)
    server = CouchServer(lasting=True)
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture
def server(couch: CouchServer) -> Iterator[Server]:
    """A server that uses it."""
    one = Server("--store-url", couch.url, "--workers", "2")
    try:
        yield one.start()
        one.stop()
        assert one.left_over() == []
    finally:
        one.remove()


def deploy(api: Deployer) -> None:
    api.workflow(wordcount.TEXT, "wordcount", **wordcount.ACTIONS)


def stored(api: Deployer, **query: Any) -> list[dict[str, Any]]:
    reply = api.call("GET", "activations", params={"limit": 200, **query})
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()
    return found


@pytest.mark.timeout(120)
def test_workflows_and_their_records_are_there_after_a_restart(server: Server):
    api = server.client()
    deploy(api)
    run, firings = api.firings("wordcount", texts=TEXTS)
    assert run["response"]["result"] == WORDS
    assert sorted(one["name"] for one in firings) == ["count", "count", "merge", "start"]
    api.close()

    server.stop()
    assert server.left_over() == []
    assert not (server.data / "entities.db").exists()
    assert not (server.data / "activations.db").exists()
    server.start()

    api = server.client()
    assert api.run("wordcount", texts=TEXTS) == WORDS
    assert api.record(run["activationId"]) == run
    assert {one["name"] for one in stored(api)} == {"wordcount", "start", "count", "merge"}
    api.close()


@pytest.mark.timeout(120)
def test_every_worker_sees_what_another_or_an_operator_wrote_at_once(server: Server, couch: CouchServer):
    key = server.admin("--store-url", couch.url, "user", "create", "alice")
    clients = [server.client(key) for _ in range(6)]
    for number in range(20):
        clients[number % 6].action("echo", f"def main(args):\n    return {{'n': {number}}}")
        assert {one.run("echo")["n"] for one in clients} == {number}
    server.admin("--store-url", couch.url, "user", "block", "alice")
    assert {one.call("GET", "actions").status_code for one in clients} == {401}
    for one in clients:
        one.close()


@pytest.mark.timeout(180)
def test_an_outage_of_the_store_costs_no_run_and_no_record(server: Server, couch: CouchServer):
    first = server.client()
    deploy(first)
    assert first.run("wordcount", texts=TEXTS) == WORDS
    heard: list[list[tuple[int, Any, str]]] = [[] for _ in range(CALLERS)]
    over = threading.Event()

    def call(answers: list[tuple[int, Any, str]]) -> None:
        api = server.client()
        while not over.is_set():
            reply = api.call("POST", "actions/wordcount?blocking=true", json={"texts": TEXTS})
            answers.append((reply.status_code, reply.json(), reply.headers.get("X-Openwhisk-Activation-Id", "")))
        api.close()

    def more() -> None:
        enough = [len(one) + BETWEEN for one in heard]
        wait_until(
            lambda: all(len(one) >= least for one, least in zip(heard, enough, strict=True)),
            40.0,
            message=lambda: f"{[len(one) for one in heard]} of {enough} runs",
        )

    with ThreadPoolExecutor(CALLERS) as pool:
        calls = [pool.submit(call, answers) for answers in heard]
        try:
            more()
            couch.kill()
            more()
            refused = first.put("late", "def main(args):\n    return {}")
            more()
            couch.start()
            more()
        finally:
            over.set()
        for one in calls:
            one.result(60)

    assert refused.status_code == 503
    answers = list(itertools.chain.from_iterable(heard))
    wrong = [one for one in answers if one[0] != 200 or one[1]["response"]["result"] != WORDS]
    assert wrong[:1] == [], f"{len(wrong)} of {len(answers)}"
    ids = {one for _, _, one in answers}
    assert len(ids) == len(answers)

    def missing() -> set[str]:
        return ids - {one["activationId"] for skip in range(0, len(ids) + 200, 200) for one in kept(skip)}

    def kept(skip: int) -> list[dict[str, Any]]:
        return stored(first, skip=skip, name="wordcount")

    wait_until(lambda: not missing(), 30.0, message=lambda: f"no records of {missing()}")
    run = first.record(next(iter(ids)))
    assert [first.record(one)["activationId"] for one in run["logs"]] == run["logs"]
    first.close()
