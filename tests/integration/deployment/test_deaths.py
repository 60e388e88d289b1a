"""Each part of a deployment is killed while two hundred workflows are under way on both of its hosts.

Every accepted run must end once, with the right result or with an error that is stated here, and nothing of it may be
left on any host.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import needs
from tests.support import couchdb, kafka, npm_clients
from tests.support.crowd import Crowd
from tests.support.site import Site
from tests.support.waiting import wait_until

OUTAGE_S: Final = float(os.environ.get("DATAFLOWER_TEST_OUTAGE_S", "2"))
"""How long CouchDB is away; a minute is what a deployment must bear."""
pytestmark = pytest.mark.timeout(300 + 2 * OUTAGE_S)
WORKFLOWS: Final = 200
CHAINS: Final = 20
LATE: Final = 30
"""Workflows that are invoked at the moment of the death."""
SHARE: Final = 40
"""So many of all runs each host owns at least."""
MOVING: Final = 20
"""So many functions have begun behind the gate when something is killed."""
WITHIN_S: Final = 90.0
KILLED: Final = 4
"""Containers of each host."""
DIED: Final = "The action did not produce a valid response and exited unexpectedly."
RESTARTED: Final = (
    "The invoker was restarted after this activation had begun; it was not started a second time. "
    "Invoke it again if that is safe."
)
OWNER_LOST: Final = (
    "The invoker that had accepted this activation is gone (owner lost); it was not started a second time. "
    "Invoke it again if that is safe."
)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    needs("Kafka", kafka.available(), kafka.HOW)
    needs("a CouchDB server for tests", couchdb.installed(), npm_clients.HOW)
    site = Site()
    try:
        yield site
    finally:
        site.remove()


def nothing(site: Site) -> None:
    """Leave all as it is."""


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # the pool has ended it meanwhile
            os.kill(pid, signal.SIGKILL)


def those_at_the_gate_are_killed(site: Site) -> None:
    """Kill the containers in which one step of each run waits."""
    gates = {pid for invoker in site.invokers for pid in site.containers(invoker, "node")}
    assert len(gates) >= len(site.invokers)
    kill(gates)


def containers_are_killed(site: Site, crowd: Crowd) -> None:
    for invoker in site.invokers:
        kill(sorted(site.containers(invoker, "python"))[:KILLED])


def an_invoker_is_killed_and_started_again(site: Site, crowd: Crowd) -> None:
    site.invokers["invoker1"].kill()
    invoker_1_starts(site)


def an_invoker_is_killed_and_stays_away(site: Site, crowd: Crowd) -> None:
    site.invokers["invoker1"].kill()


def invoker_1_starts(site: Site) -> None:
    site.invokers["invoker1"] = site.deployment.invoker()
    assert site.invokers["invoker1"].line == "invoker1"


def a_controller_is_killed_and_started_again(site: Site, crowd: Crowd) -> None:
    site.controllers["1"].kill()
    site.controllers["1"] = site.controller("1")


def kafka_is_killed_and_started_again(site: Site, crowd: Crowd) -> None:
    site.kafka.kill()
    site.kafka.start()


def couchdb_is_killed_and_away_for_a_while(site: Site, crowd: Crowd) -> None:
    site.couch.kill()
    over = time.monotonic() + OUTAGE_S
    while time.monotonic() < over:
        crowd.come(LATE, blocking=True)
        crowd.answered(WITHIN_S)
    site.couch.start()


@dataclass(frozen=True)
class Death:
    """What dies, and what it may cost.

    Attributes:
        happens: Kills, and starts again what a deployment starts at once.
        stated: Errors that runs may end with.
        unanswered: What else callers may see.
        before: Is done while all runs wait at the gate.
        afterwards: Is done when no run is under way any more.
    """

    happens: Callable[[Site, Crowd], None]
    stated: frozenset[str] = frozenset()
    unanswered: frozenset[str] = frozenset()
    before: Callable[[Site], None] = nothing
    afterwards: Callable[[Site], None] = nothing


DEATHS: Final = (
    Death(containers_are_killed, frozenset({DIED}), before=those_at_the_gate_are_killed),
    Death(an_invoker_is_killed_and_started_again, frozenset({DIED, RESTARTED})),
    Death(an_invoker_is_killed_and_stays_away, frozenset({DIED, OWNER_LOST}), afterwards=invoker_1_starts),
    Death(a_controller_is_killed_and_started_again, unanswered=frozenset({"ConnectionError"})),
    Death(kafka_is_killed_and_started_again),
    Death(couchdb_is_killed_and_away_for_a_while),
)


@pytest.mark.parametrize("death", DEATHS, ids=lambda death: death.happens.__name__)
def test_every_run_ends_once_and_nothing_is_left_when(site: Site, tmp_path: Path, death: Death):
    wait_until(site.whole, WITHIN_S, "both invokers are up")
    stored = site.records()
    crowd = Crowd(site, tmp_path / death.happens.__name__)
    crowd.gather(WORKFLOWS, CHAINS, WITHIN_S)
    held = {invoker: site.deployment.usage(invoker) for invoker in site.invokers}
    assert sum(usage["runs"] for usage in held.values()) == WORKFLOWS + CHAINS
    for usage in held.values():
        assert usage["runs"] >= SHARE
        assert usage["sink"]["segment_bytes"]
    death.before(site)
    crowd.open(MOVING, WITHIN_S)

    crowd.come(LATE)
    death.happens(site, crowd)

    crowd.answered(WITHIN_S)
    wait_until(site.idle, WITHIN_S, "no run is under way")
    death.afterwards(site)
    records = crowd.records(WITHIN_S)
    outcomes = crowd.check(records, death.stated)
    assert outcomes["success"] >= WORKFLOWS - SHARE
    assert {text for _, text in crowd.refused} <= death.unanswered
    wait_until(lambda: site.left(records) == [], WITHIN_S, lambda: str(site.left(records)))
    assert site.measured("runs", "lent_runs", "data_bytes") == {"0"}
    # Nobody has written a record again, and where nothing had to be done again there is no other.
    assert site.revisions(list(records)) == {"1"}
    if not death.stated and not death.unanswered:
        assert site.records() - stored == crowd.stored
