"""`dataflower standalone` as a user runs it: start, restart of what dies, stop, and what is left."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.support.processes import alive, child_running, descendants
from tests.support.waiting import wait_until

KEY = ("23bc46b1-71f6-4ed5-8c54-816aa4f8c502", "123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP")
SLOW = "import time\ndef main(args):\n    time.sleep(args.get('s', 0))\n    return {'n': args.get('n')}\n"

TOLD = """
import time

def main(args):
    with open({path!r}, "a") as told:
        told.write("began\\n")
    time.sleep(args["s"])
    return {{"n": args["n"]}}
"""


class Server:
    """One `dataflower standalone`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        argv = [sys.executable, "-m", "controller_ext.cli", "standalone", "--data-dir", str(folder / "d"), *options]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.url = ""

    def ready(self) -> Server:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("ready http://"), self.fail()
        self.url = line.removeprefix("ready ").strip()
        return self

    def fail(self) -> str:
        _, err = self.process.communicate(timeout=20)
        return err

    def call(self, method: str, path: str, **json: object) -> requests.Response:
        return requests.request(
            method, f"{self.url}/api/v1/namespaces/_/{path}", json=json or None, auth=KEY, timeout=25
        )

    def create(self, name: str, code: str = SLOW) -> None:
        self.call("PUT", f"actions/{name}?overwrite=true", exec={"kind": "python:3", "code": code}).raise_for_status()

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=25)
        return self.process.returncode


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    # Not pytest's tmp_path: its names may be too long for the Unix sockets inside.
    folder = Path(tempfile.mkdtemp(prefix="df-srv-"))
    servers: list[Server] = []

    def factory(*options: str) -> Server:
        servers.append(Server(folder, *(options or ("--port", "0"))))
        return servers[-1]

    yield factory
    below: set[int] = set()
    for server in servers:
        below |= descendants(server.process.pid)
        server.end(signal.SIGKILL)
    gone(below)  # which write into the folder to the last
    shutil.rmtree(folder)


def gone(pids: set[int]) -> None:
    wait_until(lambda: not alive(pids), within_s=10, message=lambda: f"still there: {alive(pids)}")


def test_it_serves_from_its_ready_line_on_and_ends_clean(start: Callable[..., Server]):
    server = start().ready()
    server.create("hello")
    reply = server.call("POST", "actions/hello?blocking=true&result=true", n=1)
    assert (reply.status_code, reply.json()) == (200, {"n": 1})
    below = descendants(server.process.pid)
    assert server.end() == 0
    gone(below)


def test_ctrl_c_ends_it_like_sigterm(start: Callable[..., Server]):
    server = start().ready()
    assert server.end(signal.SIGINT) == 0


def test_killed_it_takes_everything_along(start: Callable[..., Server]):
    server = start().ready()
    server.create("hello")
    server.call("POST", "actions/hello?blocking=true").raise_for_status()
    below = descendants(server.process.pid)
    assert len(below) > 4
    server.end(signal.SIGKILL)
    gone(below)


def test_what_was_stored_is_there_after_the_next_start(start: Callable[..., Server]):
    first = start().ready()
    first.create("hello")
    first.end(signal.SIGKILL)
    second = start().ready()
    assert second.call("GET", "actions/hello").status_code == 200


@pytest.mark.parametrize("module", ["controller_ext.balancer", "invoker_ext", "controller_ext.wsgi"])
def test_a_process_that_dies_is_started_again(start: Callable[..., Server], module: str):
    server = start().ready()
    server.create("hello")
    victim = child_running(server.process.pid, module)
    os.kill(victim, signal.SIGKILL)
    gone({victim})

    def served() -> bool:
        try:
            return server.call("POST", "actions/hello?blocking=true").status_code == 200
        except requests.ConnectionError:
            return False

    wait_until(served, within_s=20)


def test_accepted_invocations_survive_the_death_of_the_balancer(start: Callable[..., Server]):
    server = start().ready()
    server.create("slow")
    server.call("POST", "actions/slow?blocking=true").raise_for_status()
    with ThreadPoolExecutor(4) as pool:
        replies = [
            pool.submit(server.call, "POST", "actions/slow?blocking=true&result=true", s=1.5, n=n) for n in range(4)
        ]
        wait_until(lambda: server.call("GET", "limits").status_code == 200)
        balancer = child_running(server.process.pid, "controller_ext.balancer")
        os.kill(balancer, signal.SIGKILL)
        assert [reply.result().json() for reply in replies] == [{"n": n} for n in range(4)]


def test_what_waits_is_executed_once_though_the_next_balancer_might_choose_another_invoker(
    start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("DATAFLOWER_INVOKER_USER_MEMORY_MB", "512")
    server = start("--port", "0", "--invokers", "2").ready()
    began = tmp_path / "began"
    began.touch()
    server.create("slow", TOLD.format(path=str(began)))
    calls = range(4)  # two a host
    with ThreadPoolExecutor(len(calls)) as pool:
        replies = [pool.submit(server.call, "POST", "actions/slow?blocking=true&result=true", s=3, n=n) for n in calls]
        wait_until(lambda: began.read_text().count("began") == len(calls), within_s=10)
        balancer = child_running(server.process.pid, "controller_ext.balancer")
        os.kill(balancer, signal.SIGKILL)
        assert [reply.result().json() for reply in replies] == [{"n": n} for n in calls]
    assert began.read_text().count("began") == len(calls)


def test_a_busy_port_is_said(start: Callable[..., Server]):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        server = start("--port", str(busy.getsockname()[1]))
        assert "choose another with --host, --port" in server.fail()
    assert server.process.returncode == 1


def test_a_second_server_on_the_same_directory_is_refused(start: Callable[..., Server]):
    start().ready()
    second = start()
    assert "another server runs on" in second.fail()


def test_a_directory_that_holds_other_files_is_left_as_it_is(start: Callable[..., Server], tmp_path: Path):
    (tmp_path / "mine").write_text("mine")
    tmp_path.chmod(0o755)
    server = start("--port", "0", "--data-dir", str(tmp_path))
    assert "holds other files; name an empty or a new directory" in server.fail()
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_directory_that_cannot_be_written_is_said(start: Callable[..., Server]):
    server = start("--port", "0", "--data-dir", "/proc/nowhere")
    assert "choose another with --data-dir" in server.fail()


def test_a_directory_whose_name_is_too_long_is_said(start: Callable[..., Server], tmp_path: Path):
    server = start("--port", "0", "--data-dir", str(tmp_path / ("x" * 100)))
    assert "choose a shorter path" in server.fail()
