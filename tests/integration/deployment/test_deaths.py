"""Controllers, Kafka and CouchDB are killed under load, each while two hundred runs are under way."""

from __future__ import annotations

import itertools
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
import requests

from tests.conftest import needs
from tests.support import couchdb, kafka, npm_clients
from tests.support.couchdb import CouchServer
from tests.support.deploying import Deployer
from tests.support.deployment import Deployment, Part
from tests.support.kafka import Kafka, free_ports
from tests.support.load import Load, check
from tests.support.waiting import wait_until

OUTAGE_S: Final = float(os.environ.get("DATAFLOWER_TEST_OUTAGE_S", "2"))
"""How long CouchDB is away; a minute is what a deployment must bear."""
pytestmark = pytest.mark.timeout(240 + 2 * OUTAGE_S)
SENT: Final = 150
WAITED: Final = 50
UNDER_WAY: Final = 60
"""So many runs of those that are sent have been accepted when something is killed."""
PAUSE_S: Final = 0.1
RECORDS_S: Final = 90.0


class Site:
    """Two controllers and two invokers on a Kafka and a CouchDB that may be killed."""

    def __init__(self) -> None:
        self.kafka = Kafka().start()
        self.couch = CouchServer(lasting=True).start()
        kinds = "python:3=python"
        self._folder = tempfile.TemporaryDirectory(prefix="df-secret-")
        secret = Path(self._folder.name) / "secret"
        secret.write_text("sixteen bytes or more")
        secret.chmod(0o600)
        self.deployment = Deployment(
            self.kafka.url,
            self.couch.url,
            {
                "DATAFLOWER_CONTROLLER_KINDS": kinds,
                "DATAFLOWER_CONTROLLER_WORKERS": "1",
                "DATAFLOWER_CONTROLLER_PEER_SECRET_FILE": str(secret),
                "DATAFLOWER_INVOKER_PEER_LISTEN": "127.0.0.1:0",
                "DATAFLOWER_INVOKER_PEER_SECRET_FILE": str(secret),
                "DATAFLOWER_INVOKER_KINDS": kinds,
                "DATAFLOWER_INVOKER_STEM_CELLS": "0",
                "DATAFLOWER_INVOKER_USER_MEMORY_MB": "1536",
            },
        )
        self.deployment.initialise()
        self._ports = dict(zip(("0", "1"), free_ports(2), strict=True))
        with ThreadPoolExecutor(2) as pool:
            invokers = [pool.submit(self.deployment.invoker) for _ in range(2)]
            self.first, self.second = self.controller("0"), self.controller("1")
            for one in invokers:
                one.result()
        self._turns = itertools.count()
        wait_until(lambda: all(self._sees_two(one) for one in (self.first, self.second)), 20.0)

    def controller(self, name: str) -> Part:
        """Start a controller, or start it again where it was."""
        self.deployment.environ["DATAFLOWER_CONTROLLER_PEER_LISTEN"] = f"127.0.0.1:{self._ports[name]}"
        return self.deployment.controller("--id", name, "--data-dir", str(self.deployment.folder / f"c{name}"))

    def client(self) -> Deployer:
        """Return a client of the one controller, then of the other."""
        return self.deployment.client((self.first, self.second)[next(self._turns) % 2])

    def idle(self) -> bool:
        """Return whether no invoker has a run at hand."""
        folder = str(self.deployment.invokers)
        said = self.deployment.command("invoker", "--check", "--data-dir", folder).splitlines()
        return [line.split(", ")[1] for line in said] == ["0 runs", "0 runs"]

    def remove(self) -> None:
        self.deployment.remove()
        self.couch.remove()
        self.kafka.remove()
        self._folder.cleanup()

    @staticmethod
    def _sees_two(controller: Part) -> bool:
        states = requests.get(f"{controller.line}/invokers", timeout=5).json()
        return list(states.values()) == ["up", "up"]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    needs("Kafka", kafka.available(), kafka.HOW)
    needs("a CouchDB server for tests", couchdb.installed(), npm_clients.HOW)
    site = Site()
    try:
        yield site
    finally:
        site.remove()


class Under:
    """A load that is under way while its body runs, and has all its records when it is left."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        self.sent = Load(site, folder / "marks", PAUSE_S)
        self.waited = Load(site, folder / "marks", PAUSE_S)
        self._threads = [
            threading.Thread(target=self.sent.run, args=(SENT, 10), kwargs={"blocking": False}),
            threading.Thread(target=self.waited.run, args=(WAITED, WAITED), kwargs={"blocking": True}),
        ]

    def __enter__(self) -> Under:
        self.sent.deploy()
        # Both controllers and invokers have read all before anything dies: what was read is kept.
        warm = Load(self._site, self.sent.marks.with_name("warm"), PAUSE_S)
        warm.run(36, 36, blocking=True)
        for thread in self._threads:
            thread.start()
        wait_until(lambda: len(self.sent.accepted) >= UNDER_WAY, 30.0)
        return self

    def __exit__(self, *failure: object) -> None:
        for thread in self._threads:
            thread.join(120)

    def ended(self) -> tuple[int, list[str]]:
        """Hold the promises of all runs; return how many succeeded, and what errors the others state."""
        good, errors = 0, []
        for load in (self.sent, self.waited):
            outcomes = check(load, load.records(RECORDS_S), losses=0)
            good += outcomes.pop("success", 0)
            errors += list(outcomes)
        wait_until(self._site.idle, RECORDS_S)
        return good, errors


def test_runs_outlive_the_controller_that_took_them(site: Site, tmp_path: Path):
    with Under(site, tmp_path) as load:
        site.second.kill()
        site.second = site.controller("1")
    accepted = len(load.sent.accepted) + len(load.waited.accepted)
    assert load.ended() == (accepted, [])
    # Who asked the other controller has noticed nothing; callers of the one that died know that they have no answer.
    assert accepted >= UNDER_WAY
    assert [one for one in load.sent.refused + load.waited.refused if "ConnectionError" not in one] == []


def test_runs_outlive_kafka(site: Site, tmp_path: Path):
    with Under(site, tmp_path) as load:
        site.kafka.kill()
        site.kafka.start()
    assert load.sent.refused + load.waited.refused == []
    assert load.ended() == (SENT + WAITED, [])


def test_an_outage_of_couchdb_costs_no_run_and_no_record(site: Site, tmp_path: Path):
    with Under(site, tmp_path) as load:
        site.couch.kill()
        over = time.monotonic() + OUTAGE_S
        during: list[Load[Site]] = []
        while time.monotonic() < over:
            during.append(Load(site, tmp_path / f"during{len(during)}", PAUSE_S))
            during[-1].run(24, 12, blocking=True)
        site.couch.start()
    assert [one for each in (load.sent, load.waited, *during) for one in each.refused] == []
    assert load.ended() == (SENT + WAITED, [])
    for each in during:
        assert check(each, each.records(RECORDS_S), losses=0) == {"success": 24}
