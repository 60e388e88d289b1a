"""Whatever was acknowledged before a restart is there after it: entities as last written, records of all runs."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.support.deploying import Deployer
from tests.support.processes import alive, descendants
from tests.support.server import Server
from tests.support.waiting import wait_until

CLIENTS = 30
NAMES = 3
"""Entities that each client writes again and again."""
BEFORE = 600
"""Requests acknowledged before the end comes."""
CODE = "def main(args):\n    return {'tag': args.get('tag')}\n"
GONE = "gone"


@dataclass
class Client:
    """One caller, and what the server has told it.

    Attributes:
        number: Of the client.
        written: Path → what the last acknowledged request left there: a value, or GONE.
        doubtful: Path → what a request without an answer may have left there.
        invoked: Activation id → tag, of each invocation that was acknowledged.
        acknowledged: Requests answered.
        odd: Answers that nobody expects.
    """

    number: int
    written: dict[str, str] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)
    invoked: dict[str, str] = field(default_factory=dict)
    acknowledged: int = 0
    odd: list[str] = field(default_factory=list)

    def work(self, server: Server, over: threading.Event) -> None:
        """Create, update, invoke and delete until the server is gone."""
        api = server.client()
        step = 0
        try:
            while not over.is_set():
                step += 1
                self._write(api, step)
                self._invoke(api, step)
        except (requests.RequestException, ConnectionResetError):
            return  # the server went away
        finally:
            api.close()

    def _write(self, api: Deployer, step: int) -> None:
        kind = ("actions", "packages", "triggers")[step % 3]
        path = f"{kind}/{kind}-{self.number}-{step // 3 % NAMES}"
        value = f"{self.number}-{step}"
        delete = self.written.get(path, GONE) != GONE and step % 4 == 0
        self.doubtful[path] = GONE if delete else value
        if delete:
            reply = api.call("DELETE", path)
        else:
            body: dict[str, Any] = {"annotations": [{"key": "value", "value": value}]}
            if kind == "actions":
                body["exec"] = {"kind": "python:3", "code": CODE}
            reply = api.call("PUT", f"{path}?overwrite=true", json=body)
        if reply.status_code == 200:
            self.written[path] = self.doubtful.pop(path)
            self.acknowledged += 1
        elif reply.status_code < 500:
            self.odd.append(f"{path}: {reply.status_code} {reply.text}")

    def _invoke(self, api: Deployer, step: int) -> None:
        tag = f"{self.number}-{step}"
        blocking = "true" if step % 2 else "false"
        reply = api.call("POST", f"actions/load?blocking={blocking}", json={"tag": tag})
        if reply.status_code in (200, 202):
            self.invoked[reply.headers["X-Openwhisk-Activation-Id"]] = tag
            self.acknowledged += 1
        elif reply.status_code < 500:
            self.odd.append(f"invoke: {reply.status_code} {reply.text}")

    def missing(self, api: Deployer) -> list[str]:
        """Return what is not as it was acknowledged."""
        found = []
        for path, value in self.written.items():
            reply = api.call("GET", path)
            there = GONE if reply.status_code == 404 else value_of(reply.json())
            if there not in (value, self.doubtful.get(path, value)):
                found.append(f"{path}: {there} instead of {value}")
        for activation_id, tag in self.invoked.items():
            response = api.finished(activation_id)["response"]
            if response["success"] and response["result"] != {"tag": tag}:
                found.append(f"{activation_id}: {response} instead of {tag}")
        return found


def value_of(document: dict[str, Any]) -> str:
    return next(str(one["value"]) for one in document["annotations"] if one["key"] == "value")


def terminate(server: Server) -> None:
    server.stop()


def kill_all(server: Server) -> None:
    """Kill every process of the server at the same moment, containers included."""
    victims = {server.pid, *descendants(server.pid)}
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    server.crash()
    wait_until(lambda: not alive(victims), message="the end of all")


@pytest.mark.timeout(170)
@pytest.mark.parametrize("end", [terminate, kill_all])
def test_what_was_acknowledged_under_load_is_there_after(
    make_server: Callable[..., Server], end: Callable[[Server], None]
):
    server = make_server("--workers", "2").start()
    server.client().action("load", CODE)
    clients = [Client(number) for number in range(CLIENTS)]
    over = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        futures = [pool.submit(client.work, server, over) for client in clients]
        try:
            wait_until(
                lambda: sum(client.acknowledged for client in clients) >= BEFORE, within_s=60, message="some load"
            )
            end(server)
        finally:
            over.set()
        for future in futures:
            future.result()

    server.start()
    # More than one at a time asks, so that the check of thousands takes seconds.
    with ThreadPoolExecutor(4) as pool:
        missing = list(pool.map(lambda client: client.missing(server.client()), clients))

    assert [one for found in missing for one in found] == []
    assert [one for client in clients for one in client.odd] == []
    assert min(len(client.invoked) for client in clients) > 0
    assert sum(value == GONE for client in clients for value in client.written.values()) > 0
    server.stop()
    assert server.left_over() == []
