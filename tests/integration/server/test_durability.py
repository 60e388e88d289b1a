"""Accepted means kept: whatever process is killed, each accepted run ends in a record, and nothing begins too often."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from invoker_ext.owner.owner import RESTARTED
from tests.support.load import Load, check
from tests.support.processes import alive
from tests.support.server import Server
from tests.support.waiting import wait_until

RUNS = 200


@pytest.fixture
def load(shared_server: Server, tmp_path: Path) -> Load[Server]:
    one = Load(shared_server, tmp_path / "marks")
    one.deploy()
    return one


def kill_amid(load: Load[Server], role: str, after: int) -> None:
    """Kill a process once so many functions have begun."""
    wait_until(lambda: load.executions().total() >= after, within_s=20, message=f"{after} executions")
    victim = load.server.kill(role)
    wait_until(lambda: not alive({victim}), message="the end of the victim")


@pytest.mark.timeout(90)
@pytest.mark.parametrize("role", ["invoker", "worker", "balancer"])
def test_every_accepted_run_ends_in_a_record_through_the_death_of(load: Load[Server], role: str):
    killer = threading.Thread(target=kill_amid, args=(load, role, 150), name=f"killer of {role}")
    killer.start()
    load.run(RUNS, 6)
    killer.join()

    outcomes = check(load, load.records(within_s=30), losses=role == "invoker")

    # What a worker had in its hands when it died was never accepted; nothing else may be refused.
    assert len(load.refused) <= (12 if role == "worker" else 0), load.refused
    assert len(load.accepted) + len(load.refused) == RUNS
    # Few were under way at that moment.
    assert outcomes["success"] >= RUNS - 40, outcomes
    if role != "invoker":
        assert outcomes["success"] == len(load.accepted), outcomes


@pytest.mark.timeout(90)
def test_containers_that_are_killed_cost_only_what_ran_in_them(load: Load[Server]):
    def killer() -> None:
        wait_until(lambda: load.executions().total() >= 150, within_s=20, message="150 executions")
        for container in load.server.containers():
            os.kill(container, signal.SIGKILL)

    thread = threading.Thread(target=killer, name="killer of containers")
    thread.start()
    load.run(RUNS, 6)
    thread.join()

    records = load.records(within_s=30)
    outcomes = check(load, records, losses=1)

    assert load.refused == []
    # A container that dies while its code is loaded has not started its action; both are stock's words.
    assert outcomes.keys() <= {"success", "command exited", "Cannot start action. Check logs for details."}
    assert outcomes["success"] >= RUNS - 40, outcomes
    client = load.server.client()
    for tag, record in records.items():
        if tag.startswith("mark-flow") and not record["response"]["success"]:
            # The step was executed once more, and that container was killed too.
            firings = [client.record(one) for one in record["logs"]]
            assert max(one["value"]["attempt"] for firing in firings for one in flows(firing)) == 2, firings
    client.close()


def flows(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the annotation that has the time line of a firing."""
    return [one for one in record["annotations"] if one["key"] == "dataflow"]


@pytest.mark.timeout(90)
@pytest.mark.parametrize("end", [Server.stop, Server.crash])
def test_the_next_start_goes_on_with_what_had_not_ended(
    make_server: Callable[..., Server], tmp_path: Path, end: Callable[[Server], None]
):
    server = make_server(environ={"DATAFLOWER_INVOKER_DRAIN_S": "0.2"}).start()
    load = Load(server, tmp_path / "marks", pause_s=0.3)
    load.deploy()
    load.run(60, 6, blocking=False)
    wait_until(lambda: load.executions().total() > 0, message="something to begin")

    end(server)
    before = load.executions().total()
    server.start()
    records = load.records(within_s=45)
    outcomes = check(load, records, losses=1)

    assert load.refused == []
    assert before < load.executions().total()
    assert outcomes.keys() <= {"success", RESTARTED}
    assert all(record["response"]["success"] for tag, record in records.items() if tag.startswith("mark-flow"))
    server.stop()
    assert server.left_over() == []
