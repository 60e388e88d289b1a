"""One request, sent again and again through several workers and the death of processes: one activation."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.support.processes import descendants
from tests.support.server import Server, serving
from tests.support.waiting import wait_until

WORKERS = 3
MARK = """
import os, time
def main(args):
    mark = os.open(args["file"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(mark, b"began\\n")
    os.close(mark)
    time.sleep(args["s"])
    return {"done": True}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--workers", str(WORKERS)) as one:
        one.client().action("mark", MARK)
        yield one


class Repeated:
    """One request that is sent as often as it takes."""

    def __init__(self, server: Server, marks: Path, pause_s: float) -> None:
        self._server = server
        self._marks = marks
        self._body = {"file": str(marks), "s": pause_s}
        self._key = str(uuid.uuid4())

    def begun(self) -> int:
        return len(self._marks.read_text().splitlines()) if self._marks.exists() else 0

    def send(self, *, blocking: bool = True) -> tuple[int, str]:
        """Send it on a connection of its own until it is answered; return status and activation id."""
        answers: list[tuple[int, str]] = []

        def answered() -> bool:
            client = self._server.client()
            path = f"actions/mark?blocking={str(blocking).lower()}"
            try:
                reply = client.call("POST", path, json=self._body, headers={"Idempotency-Key": self._key})
            except requests.RequestException:
                return False
            finally:
                client.close()
            if reply.status_code == 503:
                return False
            answers.append((reply.status_code, reply.json().get("activationId", reply.text)))
            return True

        wait_until(answered, within_s=40, message="an answer")
        return answers[0]

    def send_at_once(self, count: int, meanwhile: Callable[[], object] | None = None) -> set[tuple[int, str]]:
        with ThreadPoolExecutor(count) as pool:
            futures = [pool.submit(self.send) for _ in range(count)]
            if meanwhile is not None:
                wait_until(lambda: self.begun() > 0, within_s=10, message="the first to begin")
                meanwhile()
            return {future.result() for future in futures}


@pytest.mark.timeout(60)
def test_many_at_once_through_several_workers_are_one_activation(server: Server, tmp_path: Path):
    one = Repeated(server, tmp_path / "marks", 0.5)
    answers = one.send_at_once(12)
    assert {status for status, _ in answers} == {200}
    assert len(answers) == 1
    assert one.send() in answers
    assert one.begun() == 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize("role", ["workers", "balancer"])
def test_a_repeat_after_the_death_of(server: Server, tmp_path: Path, role: str):
    one = Repeated(server, tmp_path / "marks", 1.5)

    def kill() -> None:
        master = server.process("workers")
        victims = descendants(master) if role == "workers" else {server.process(role)}
        assert len(victims) == (WORKERS if role == "workers" else 1)
        for victim in victims:
            os.kill(victim, signal.SIGKILL)

    answers = one.send_at_once(6, kill)
    assert len(answers) == 1, answers
    assert next(iter(answers))[0] == 200
    assert one.begun() == 1


@pytest.mark.timeout(90)
@pytest.mark.parametrize("end", [Server.stop, Server.crash])
def test_a_repeat_after_a_restart_is_the_first_activation(
    make_server: Callable[..., Server], tmp_path: Path, end: Callable[[Server], None]
):
    server = make_server("--workers", "2").start()
    server.client().action("mark", MARK)
    one = Repeated(server, tmp_path / "marks", 0.0)
    first = one.send()
    end(server)
    server.start()
    assert one.send() == first
    assert one.send(blocking=False) == (202, first[1])
    assert one.begun() == 1


@pytest.mark.timeout(60)
def test_a_repeat_is_answered_as_it_asks_while_the_first_is_under_way(server: Server, tmp_path: Path):
    one = Repeated(server, tmp_path / "marks", 1.0)
    answers: list[tuple[int, str]] = []
    first = threading.Thread(target=lambda: answers.append(one.send()))
    first.start()
    wait_until(lambda: one.begun() > 0, within_s=10, message="the first to begin")
    status, activation = one.send(blocking=False)
    assert (status, answers) == (202, [])
    assert one.send() == (200, activation)
    first.join(10)
    assert answers == [(200, activation)]
    assert one.begun() == 1
