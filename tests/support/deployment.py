"""A deployment on several hosts in the hands of a test: a controller and invokers as processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition

from invoker_ext.door.client import DoorClient
from invoker_ext.door.hello import Role
from tests.support.deploying import Deployer
from tests.support.processes import alive, descendants
from tests.support.waiting import wait_until

STOP_S: Final = 40.0
"""An invoker ends its containers, which an engine under load takes its time for."""


class Part:
    """One command of the console script, in the foreground until it is stopped.

    Attributes:
        line: What it printed when it was ready, without the word.
    """

    def __init__(self, folder: Path, *arguments: str, environ: dict[str, str]) -> None:
        """Start it and wait for its ready line."""
        self._errors = folder / f"{arguments[0]}-{uuid.uuid4().hex[:8]}.log"
        argv = [sys.executable, "-m", "controller_ext.cli", *arguments]
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=errors, text=True, env=environ)
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said.startswith("ready "), self.errors()
        self.line = said.removeprefix("ready ").strip()

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self._process.pid

    def errors(self) -> str:
        """Return the end of what it logged."""
        return self._errors.read_text(errors="replace")[-4096:]

    def kill(self) -> None:
        """End it at once; all that it started must follow."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it as its user would; nothing of it may be left."""
        status = self._end(signal.SIGTERM)
        assert status == 0, self.errors()

    def remove(self) -> None:
        """End it if it runs."""
        if self._process.returncode is None:
            self.kill()

    def _end(self, number: int) -> int:
        below = descendants(self.pid)
        self._process.send_signal(number)
        status = self._process.wait(STOP_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        wait_until(lambda: not alive(below), message=lambda: f"still there: {alive(below)}")
        return status


class Deployment:
    """Controllers and invokers on one Kafka and one CouchDB, with topics and databases of their own.

    Args:
        bus: URL of Kafka.
        store: URL of CouchDB.
        environ: Variables of all processes.
    """

    def __init__(self, bus: str, store: str, environ: dict[str, str] | None = None) -> None:
        # Not pytest's tmp_path: its names may be too long for the Unix sockets inside.
        self.folder = Path(tempfile.mkdtemp(prefix="df-dep-"))
        name = uuid.uuid4().hex[:12]
        places = {"BUS": f"{bus}?prefix={name}-", "STORE_URL": store, "STORE_PREFIX": f"t{name}_"}
        both = ("DATAFLOWER_CONTROLLER_", "DATAFLOWER_INVOKER_")
        own = {prefix + variable: value for prefix in both for variable, value in places.items()}
        self.environ = {**os.environ, **own, **(environ or {})}
        self._parts: list[Part] = []

    def initialise(self) -> None:
        """Make the databases, as an operator does once."""
        self.command("admin", "db", "init")

    def command(self, *arguments: str) -> str:
        """Run a command to its end; return what it printed."""
        argv = [sys.executable, "-m", "controller_ext.cli", *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=STOP_S, env=self.environ)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def refusal(self, *arguments: str) -> str:
        """Run a command that must end by itself, as it cannot do what it is asked; return what it says."""
        argv = [sys.executable, "-m", "controller_ext.cli", *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=STOP_S, env=self.environ)
        assert done.returncode == 1, done.stderr
        return done.stderr

    def controller(self, *options: str) -> Part:
        """Start a controller on a free port; its line is its URL."""
        folder = str(self.folder / f"controller-{uuid.uuid4().hex[:8]}")
        return self._started("controller", "--port", "0", "--data-dir", folder, *options)

    def invoker(self, *options: str) -> Part:
        """Start an invoker; all share one data directory, in which each takes a slot."""
        return self._started("invoker", "--data-dir", str(self.invokers), *options)

    @property
    def invokers(self) -> Path:
        """The data directory of all invokers."""
        return self.folder / "invokers"

    def slot(self, invoker: str) -> Path:
        """Return the folder of an invoker, by its name `invoker<N>`."""
        number = invoker.removeprefix("invoker")
        return next(one.parent for one in self.invokers.glob("slot*/number") if one.read_text() == number)

    def usage(self, invoker: str) -> dict[str, Any]:
        """Return what an invoker holds, by its name."""
        run = self.slot(invoker) / "run"
        client = DoorClient(run / "invoker.sock", role=Role.TOOL, token=(run / "token").read_text())
        try:
            found: dict[str, Any] = client.call("usage", 5.0)
        finally:
            client.close()
        return found

    def client(self, controller: Part, **more: Any) -> Deployer:
        """Return a client of a controller; one a thread."""
        return Deployer(controller.line, **more)

    def topic(self, name: str) -> list[tuple[bytes, dict[str, Any]]]:
        """Return all messages of one of its topics in Kafka, each with our headers."""
        server, _, prefix = self.environ["DATAFLOWER_CONTROLLER_BUS"].removeprefix("kafka://").partition("?prefix=")
        consumer = KafkaConsumer(bootstrap_servers=[server], enable_auto_commit=False)
        partition = TopicPartition(prefix + name, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        found: list[tuple[bytes, dict[str, Any]]] = []
        while consumer.position(partition) < end:
            for records in consumer.poll(1000).values():
                found += [(one.value, json.loads(dict(one.headers).get("dataflower", b"{}"))) for one in records]
        consumer.close()
        return found

    def remove(self) -> None:
        """End all that runs, and remove the folder."""
        for part in self._parts:
            part.remove()
        shutil.rmtree(self.folder)

    def _started(self, *arguments: str) -> Part:
        self._parts.append(Part(self.folder, *arguments, environ=self.environ))
        return self._parts[-1]
