"""Two controllers and two invokers that lend each other containers, on a Kafka and a CouchDB, to be killed."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import requests

from tests.support import crowd
from tests.support.couchdb import CouchServer
from tests.support.deploying import Deployer
from tests.support.deployment import Deployment, Part
from tests.support.kafka import Kafka, free_ports
from tests.support.processes import children, command, descendants
from tests.support.waiting import wait_until

_WORKING: Final = ("busy", "open", "resting", "removing", "waiting", "undrained")
"""Places of containers that have something of a run."""
CONCURRENCY: Final = 250
"""How many may wait at the gate of a crowd in one container."""
ANSWER_S: Final = 70.0
"""Longer no request is waited for: a blocking one is answered after a minute at most."""


class Site:
    """All of a deployment, in the hands of a test that kills parts of it."""

    def __init__(self) -> None:
        self.kafka = Kafka().start()
        self.couch = CouchServer(lasting=True).start()
        kinds = f"python:3=python,nodejs:20={shutil.which('node')}"
        self._folder = tempfile.TemporaryDirectory(prefix="df-secret-")
        secret = Path(self._folder.name) / "secret"
        secret.write_text("sixteen bytes or more")
        secret.chmod(0o600)
        self.deployment = Deployment(
            self.kafka.url,
            self.couch.url,
            {
                "DATAFLOWER_CONTROLLER_ACTION_CONCURRENCY": str(CONCURRENCY),
                "DATAFLOWER_CONTROLLER_KINDS": kinds,
                "DATAFLOWER_CONTROLLER_OWNER_LOST_S": "3",
                "DATAFLOWER_CONTROLLER_PEER_SECRET_FILE": str(secret),
                "DATAFLOWER_CONTROLLER_WORKERS": "1",
                "DATAFLOWER_INVOKER_KINDS": kinds,
                "DATAFLOWER_INVOKER_PEER_LISTEN": "127.0.0.1:0",
                "DATAFLOWER_INVOKER_PEER_LOST_S": "2",
                "DATAFLOWER_INVOKER_PEER_SECRET_FILE": str(secret),
                "DATAFLOWER_INVOKER_SINK_MB": "16",
                "DATAFLOWER_INVOKER_STEM_CELLS": "0",
                "DATAFLOWER_INVOKER_USER_MEMORY_MB": str(8 * crowd.MEMORY_MB),
            },
        )
        self.deployment.initialise()
        self._ports = dict(zip(("0", "1"), free_ports(2), strict=True))
        self._turns = itertools.count()
        with ThreadPoolExecutor(2) as pool:
            starting = [pool.submit(self.deployment.invoker) for _ in range(2)]
            self.controllers = {name: self.controller(name) for name in self._ports}
            self.invokers = {one.line: one for one in (each.result() for each in starting)}
        wait_until(self.whole, 30.0, "both invokers are up")
        client = self.client()
        crowd.deploy(client, CONCURRENCY)
        client.close()

    def controller(self, name: str) -> Part:
        """Start a controller, or start it again where it was."""
        self.deployment.environ["DATAFLOWER_CONTROLLER_PEER_LISTEN"] = f"127.0.0.1:{self._ports[name]}"
        return self.deployment.controller("--id", name, "--data-dir", str(self.deployment.folder / f"c{name}"))

    def client(self) -> Deployer:
        """Return a client of the one controller, then of the other."""
        return self.deployment.client(self.controllers[str(next(self._turns) % 2)], timeout_s=ANSWER_S)

    def containers(self, invoker: str, running: str = "") -> set[int]:
        """Return the pids of an invoker's containers whose command line holds a text."""
        pid = self.invokers[invoker].pid
        return {one for one in descendants(pid) - children(pid) if running in command(one)}

    def idle(self) -> bool:
        """Return whether no controller waits for the end of a run."""
        counts = [requests.get(f"{one.line}/activation/count", timeout=5).text for one in self.controllers.values()]
        return {int(count) for count in counts} == {0}

    def left(self, accepted: Container[str]) -> list[str]:
        """Return what is left of runs on any host; nothing once all are over.

        Args:
            accepted: Their ids. What a controller spooled for a request that died with it stays for a while.
        """
        found = [one for name in self.invokers for one in self._left_at(name)]
        spools = [path for name in self.controllers for path in (self.deployment.folder / f"c{name}/spool").iterdir()]
        return found + [str(path) for path in spools if path.name in accepted]

    def _left_at(self, invoker: str) -> list[str]:
        usage, folder = self.deployment.usage(invoker), self.deployment.slot(invoker)
        sink, pool, peers = usage["sink"], usage["pool"], usage["peers"]
        held = {"runs": usage["runs"], "lent": peers["runs"], "offers": peers["offers"]}
        held |= sink
        held |= {name: pool[name] for name in _WORKING}
        held["memfds"] = max(0, _memfd_bytes(self.invokers[invoker].pid) - usage["spare_bytes"])
        held["mapped"] = sum(map(_memfd_bytes, self.containers(invoker)))
        held["files"] = [str(path) for name in ("spill", "parameters") for path in folder.glob(f"{name}/*")]
        return [f"{invoker}: {name} {value}" for name, value in held.items() if value]

    def measured(self, *names: str) -> set[str]:
        """Return the values that a controller tells Prometheus of invokers under these names, but for spares."""
        page = requests.get(f"{self.controllers['0'].line}/metrics", timeout=5).text
        heads = tuple(f"dataflower_invoker_{name}{{" for name in names)
        lines = [line for line in page.splitlines() if line.startswith(heads) and 'place="spare"' not in line]
        return {line.rpartition(" ")[2] for line in lines}

    def records(self) -> int:
        """Return how many activation records there are."""
        found: int = self._activations("GET", "").json()["doc_count"]
        return found

    def revisions(self, ids: list[str]) -> set[str]:
        """Return the generations of these records; one that was written once has the first."""
        reply = self._activations("POST", "/_all_docs", json={"keys": [f"guest/{one}" for one in ids]})
        return {row["value"]["rev"].partition("-")[0] for row in reply.json()["rows"]}

    def _activations(self, method: str, path: str, **more: Any) -> requests.Response:
        prefix = self.deployment.environ["DATAFLOWER_CONTROLLER_STORE_PREFIX"]
        return requests.request(method, f"{self.couch.url}/{prefix}activations{path}", timeout=20, **more)

    def whole(self) -> bool:
        """Return whether every controller has both invokers for its work."""
        states = [requests.get(f"{one.line}/invokers", timeout=5).json() for one in self.controllers.values()]
        return all(list(one.values()) == ["up", "up"] for one in states)

    def remove(self) -> None:
        """End everything."""
        self.deployment.remove()
        self.couch.remove()
        self.kafka.remove()
        self._folder.cleanup()


def _memfd_bytes(pid: int) -> int:
    """Return the size of all memfds that a process has open."""
    found = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(entry.readlink()).startswith("/memfd:"):
                found += entry.stat().st_size
        except FileNotFoundError:  # closed since
            continue
    return found
