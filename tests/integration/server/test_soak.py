"""A thousand runs of random workflows: each has the result of the reference, and nothing of them is left."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings

from controller_ext.workflow.errors import WorkflowInvalid
from controller_ext.workflow.native import parse
from invoker_ext.contract.graph import Fault
from invoker_ext.store import ActivationQuery
from invoker_ext.stores.sqlite import SqliteActivations
from tests.support.deploying import Deployer
from tests.support.graphs import Workload, workloads
from tests.support.native_text import action_code, native_text, plain_json
from tests.support.processes import descendants
from tests.support.reference import RunFailed, evaluate
from tests.support.server import Server
from tests.support.waiting import wait_until

GRAPHS: Final = 240
RUNS_EACH: Final = 5
CALLERS: Final = 8
WARM_UP: Final = 200
CANCEL_EVERY: Final = 25
PAD: Final = 20_000
"""Above the size up to which values travel inline."""


@dataclass(frozen=True)
class Planned:
    """One run.

    Attributes:
        number: Its own.
        name: Of the deployed workflow.
        work: Its parameters are those of this run.
        cancelled: It is cancelled as soon as it is accepted.
    """

    number: int
    name: str
    work: Workload
    cancelled: bool


def drawn(count: int) -> list[Workload]:
    """Return random workloads that can be written down as native workflows."""
    found: list[Workload] = []

    @settings(
        max_examples=3 * count,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(workloads())
    def draw(work: Workload) -> None:
        if len(found) < count and not any(isinstance(step.call, Fault) for step in work.graph.steps):
            work = adapted(work, padded=len(found) % 3 == 0)
            try:
                parse(native_text(work, "act"))
            except WorkflowInvalid:  # the engine can do more than may be written
                return
            found.append(work)

    draw()
    assert len(found) == count
    return found


def adapted(work: Workload, *, padded: bool) -> Workload:
    """Return it with short waits, and without failures that depend on which of two equal firings came first."""
    attempts = {step.name: step.attempts for step in work.graph.steps}
    specs = {
        name: replace(spec, flaky=spec.flaky if attempts[name] > spec.flaky else 0, pad=PAD if padded else 0)
        for name, spec in work.specs.items()
    }
    steps = tuple(replace(step, backoff_s=step.backoff_s / 10) for step in work.graph.steps)
    return replace(work, graph=replace(work.graph, steps=steps), specs=specs)


def planned(works: Iterable[Workload]) -> list[Planned]:
    """Return all runs in random order."""
    runs: list[Planned] = []
    for number, work in enumerate(works):
        for turn in range(RUNS_EACH):
            parameters = {**work.parameters, "p": {"n": 4 + turn}, "q": {"n": 7 * turn}}
            cancelled = len(runs) % CANCEL_EVERY == 0
            runs.append(Planned(len(runs), f"random-{number}", replace(work, parameters=parameters), cancelled))
    random.shuffle(runs)
    return runs


def expected(work: Workload) -> Any:
    """Return the result of a run; None: it fails."""
    try:
        return evaluate(work)
    except RunFailed:
        return None


class Soak:
    """Carries out runs and notes what is wrong with them."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.wrong: list[str] = []
        self.succeeded = 0

    def run(self, runs: list[Planned]) -> None:
        """Carry out runs from several callers at once."""
        with ThreadPoolExecutor(CALLERS) as pool:
            for future in [pool.submit(self.share, runs, offset) for offset in range(CALLERS)]:
                future.result()

    def share(self, runs: list[Planned], offset: int) -> None:
        client = self.server.client()
        for number in range(offset, len(runs), CALLERS):
            self.one(client, runs[number])
        client.close()

    def one(self, client: Deployer, run: Planned) -> None:
        arguments = {**run.work.parameters, "marks": str(self.folder / str(run.number))}
        if run.cancelled:
            reply = client.call("POST", f"actions/{run.name}", json=arguments)
            client.call("POST", f"activations/{reply.json()['activationId']}/cancel")
            return
        wanted = expected(run.work)
        try:
            reply = client.invoke(run.name, arguments)
        except requests.Timeout:
            self.wrong.append(f"{native_text(run.work, 'act')}: no end; {self.server.usage()}")
            return
        got = plain_json(reply.json()) if reply.status_code == requests.codes.ok else None
        self.succeeded += got is not None
        if got != wanted:
            self.wrong.append(
                f"{native_text(run.work, 'act')}: {str(reply.text)[:1000]} instead of {str(wanted)[:1000]}"
            )


def comes_to_rest(server: Server) -> None:
    """Wait until the invoker has no run, and no container but its two stem cells of 256 MB."""

    def quiet() -> bool:
        usage = server.usage()
        return bool(usage["runs"] == 0 and usage["pool"]["waiting"] == 0 and usage["pool"]["memory_mb"] == 512)

    wait_until(quiet, within_s=20, message=lambda: str(server.usage()))


@pytest.mark.timeout(240)
def test_a_thousand_random_runs_have_the_results_of_the_reference_and_leave_nothing(
    make_server: Callable[..., Server], tmp_path: Path
):
    server = make_server(environ={"DATAFLOWER_INVOKER_KEEP_ALIVE_S": "2"}).start()
    client = server.client()
    client.action("act", action_code())
    works = drawn(GRAPHS)
    for number, work in enumerate(works):
        client.workflow(native_text(work, "act"), f"random-{number}")
    soak = Soak(server, tmp_path)
    runs = planned(works)
    soak.run(runs[:WARM_UP])  # whatever is made once is there now
    comes_to_rest(server)
    descriptors, processes = server.descriptors(), len(descendants(server.pid))

    soak.run(runs[WARM_UP:])

    assert soak.wrong == []
    assert soak.succeeded > len(runs) / 4
    comes_to_rest(server)
    assert not any(server.usage()["sink"].values()), server.usage()
    assert len(descendants(server.pid)) == processes
    grown = {role: count - descriptors[role] for role, count in server.descriptors().items()}
    # Kept connections between processes are one for each caller at a time; a leak would be one for each run.
    assert all(more <= CALLERS for more in grown.values()), grown
    client.close()
    server.stop()
    assert server.left_over() == []
    every_firing_ended(server, len(runs))


def every_firing_ended(server: Server, runs: int) -> None:
    """Look into the stopped server's store: a record for each run, and for each firing that a run names."""
    store = SqliteActivations(server.data / "activations.db")
    records = store.list(ActivationQuery(namespace="guest", limit=1_000_000))
    store.close()
    ids = {record.activation_id for record in records}
    outermost = [record for record in records if record.cause is None]
    assert len(outermost) == runs
    assert [one for record in outermost for one in record.logs if one not in ids] == []
