"""An embedded server in the hands of a test: started and stopped at will on one data directory, its processes named."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from invoker_ext.door.client import DoorClient
from invoker_ext.door.hello import Role
from tests.support.deploying import Deployer
from tests.support.processes import alive, child_running, children, command, descendants
from tests.support.waiting import wait_until

STOP_S: Final = 25.0
LASTING: Final = (
    "activations.db", "containers/instance", "entities.db", "keys.db", "lock", "log/", "results/", "run/store.mark",
    "run/token", "invoker1/containers/instance", "life", "invoker1/life",
)  # fmt: skip
"""What a stopped server keeps in its data directory; of databases also what lies beside them."""
ROLES: Final = {"balancer": "controller_ext.balancer", "invoker": "invoker_ext", "workers": "controller_ext.wsgi"}


class Server:
    """`dataflower standalone` on a folder of its own; the folder outlives restarts.

    Attributes:
        folder: Of the test; the data directory lies in it.
        url: Where it listens; set by `start`.
        environ: Of the next start.
    """

    def __init__(self, *options: str, environ: dict[str, str] | None = None) -> None:
        # Not pytest's tmp_path: its names may be too long for the Unix sockets inside.
        self.folder = Path(tempfile.mkdtemp(prefix="df-srv-"))
        self.data = self.folder / "d"
        self.url = ""
        self._options = options
        self.environ = {**os.environ, **(environ or {})}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Server:
        """Start it and wait for its ready line."""
        argv = [sys.executable, "-m", "controller_ext.cli", "standalone", "--port", "0", "--data-dir", str(self.data)]
        with (self.folder / "stderr").open("a") as errors:
            self._process = subprocess.Popen(
                [*argv, *self._options], stdout=subprocess.PIPE, stderr=errors, text=True, env=self.environ
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("ready http://"), (self.folder / "stderr").read_text()
        self.url = line.removeprefix("ready ").strip()
        return self

    def client(self, api_key: str | None = None) -> Deployer:
        """Return a client; one a thread."""
        return Deployer(self.url, api_key)

    def admin(self, *arguments: str) -> str:
        """Run `dataflower admin` on the data directory, as an operator beside the server; return what it printed."""
        argv = [sys.executable, "-m", "controller_ext.cli", "admin", "--data-dir", str(self.data), *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=STOP_S).stdout.strip()

    @property
    def pid(self) -> int:
        """Of the process that started all others."""
        assert self._process is not None, "the server has not been started"
        return self._process.pid

    def process(self, role: str) -> int:
        """Return the pid of `balancer`, `invoker`, `workers` (gunicorn's first) or `worker` (one that serves)."""
        if role != "worker":
            return child_running(self.pid, ROLES[role])
        return min(descendants(self.process("workers")))

    def invoker(self, number: int) -> int:
        """Return the pid of one of several invokers; raises LookupError."""
        mark = f"DATAFLOWER_INVOKER_DATA_DIR={self._home(number)}".encode()
        for pid in children(self.pid):
            try:
                if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    return pid
            except OSError:
                continue
        raise LookupError(number)

    def _home(self, number: int) -> Path:
        return self.data / f"invoker{number}" if number else self.data

    def containers(self) -> set[int]:
        """Return the pids of all containers: what the invoker's one child, the keeper, has started."""
        keepers = children(self.process("invoker"))
        return descendants(self.process("invoker")) - keepers

    def kill(self, role: str) -> int:
        """End a process at once; return its pid."""
        pid = self.process(role)
        os.kill(pid, signal.SIGKILL)
        return pid

    def descriptors(self) -> dict[str, int]:
        """Return how many descriptors each process holds.

        Databases are left out: each thread that ever needs one opens it, once. So are containers.
        """
        return {role: len(_descriptors(self.process(role))) for role in (*ROLES, "worker")}

    def usage(self, number: int = 0) -> dict[str, Any]:
        """Return what an invoker holds: `runs`, `sink`, `pool`, and `peers` if it has some."""
        token = (self.data / "run" / "token").read_text()
        client = DoorClient(self._home(number) / "run" / "invoker.sock", role=Role.TOOL, token=token)
        try:
            found: dict[str, Any] = client.call("usage", 5.0)
        finally:
            client.close()
        return found

    def processes(self) -> dict[int, str]:
        """Return the command lines of all its processes."""
        return {pid: command(pid) for pid in descendants(self.pid)}

    def stop(self) -> None:
        """Stop it as its user would; nothing of it must be left but what is to last."""
        process = self._process
        assert process is not None
        below = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        status = process.wait(STOP_S)
        self._ended()
        assert status == 0, (self.folder / "stderr").read_text()
        wait_until(lambda: not alive(below), message=lambda: f"still there: {alive(below)}")

    def crash(self) -> None:
        """Kill its first process; wait until all others have followed."""
        process = self._process
        assert process is not None
        below = descendants(process.pid)
        process.kill()
        process.wait(STOP_S)
        self._ended()
        wait_until(lambda: not alive(below), message=lambda: f"still there: {alive(below)}")

    def left_over(self) -> list[str]:
        """Return what a stopped server has left in its data directory, and should not."""
        found = [str(path.relative_to(self.data)) for path in sorted(self.data.rglob("*")) if not path.is_dir()]
        return [name for name in found if not name.startswith(LASTING)]

    def remove(self) -> None:
        """End it if it runs, and remove its folder."""
        if self._process is not None:
            self.crash()  # waits for all of it: what still cleans up would do so in a folder that is being removed
        shutil.rmtree(self.folder)

    def _ended(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdout is not None:
            process.stdout.close()


def _descriptors(pid: int) -> list[str]:
    found: list[str] = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except FileNotFoundError:  # closed since
            continue
    return [what for what in found if not what.removesuffix("-wal").removesuffix("-shm").endswith(".db")]


@contextmanager
def serving(*options: str, environ: dict[str, str] | None = None) -> Iterator[Server]:
    """A server that runs, and must stop without leaving anything; whatever happens, nothing of it stays."""
    one = Server(*options, environ=environ)
    try:
        yield one.start()
        one.stop()
        assert one.left_over() == []
    finally:
        one.remove()
