"""An owner on a real journal and a real sink, with the bus, the pool and the store of records in a test's hands."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from action_runtime.wire.frames import KNEE_BYTES
from invoker_ext.bus import Bus, Message
from invoker_ext.containers.job import Failure, Job, Report, Timing, Warmth
from invoker_ext.contract.graph import ActionCall, Graph, GraphKind
from invoker_ext.contract.messages import ActivationMessage, Identity, Spool
from invoker_ext.contract.records import Activation
from invoker_ext.door.compiled import NotCompiled
from invoker_ext.inline.functions import Functions
from invoker_ext.journal import Journal, Recovered
from invoker_ext.owner.actions import Actions
from invoker_ext.owner.attempt import Attempt
from invoker_ext.owner.identification import Identification
from invoker_ext.owner.owner import Owner
from invoker_ext.owner.parts import Parts, PullParameters
from invoker_ext.owner.teller import Messages
from invoker_ext.relay.results import split_json
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.reserve import SinkSettings
from invoker_ext.sink.sink import Sink
from invoker_ext.sink.terms import Limits
from invoker_ext.store import ActivationQuery, ActivationStore, StoreUnavailable
from invoker_ext.stores.sqlite import SqliteEntities
from tests.support.graphs import graph, step, value
from tests.support.messages import a_message
from tests.support.waiting import until

TOPIC = "invoker0"
LARGE_BYTES = KNEE_BYTES
"""Results that a store keeps ahead of their records."""


class FakeBus(Bus):
    """Notes what is published and committed.

    Attributes:
        published: Headers and payload of completions, in order.
        committed: Offsets, in order.
        on_commit: Called at each commit.
    """

    def __init__(self) -> None:
        self.published: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.committed: list[int] = []
        self.on_commit: Callable[[], None] = lambda: None
        self._handlers: dict[str, Callable[[Message], None]] = {}
        self._offset = 0

    async def start(self) -> None:
        """Connect nothing."""

    def publish(self, topic: str, message: Message, kept: Callable[[Exception | None], None] | None = None) -> None:
        assert topic == "completed0"
        self.published.append((message.headers, json.loads(bytes(message.payload))))

    def subscribe(self, topic: str, on_message: Callable[[Message], None]) -> None:
        self._handlers[topic] = on_message

    def commit(self, topic: str, offset: int, then: Callable[[], None] | None = None) -> None:
        self.on_commit()
        self.committed.append(offset)
        if then is not None:
            then()

    async def close(self) -> None:
        """Disconnect nothing."""

    def deliver(self, message: ActivationMessage, **headers: Any) -> int:
        """Hand a message, with more headers, to the owner; return its offset."""
        self._offset += 1
        self._handlers[TOPIC](Message(message.encode(), message.headers() | headers, self._offset))
        return self._offset

    def told(self, run: str) -> list[dict[str, Any]]:
        """Return the completions of a run."""
        return [payload["response"] for headers, payload in self.published if headers["id"] == run]


class FakePool:
    """Takes jobs and does what a test says; implements `containers.job.Containers`.

    Attributes:
        jobs: All that were submitted, in order.
        killed: Those that were to be ended.
    """

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.killed: list[Job] = []

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def feed(self, job: Job, name: str, value: Stored) -> None:
        """Nothing streams here."""

    def feed_end(self, job: Job, name: str, error: str | None) -> None:
        """Nothing streams here."""

    def kill(self, job: Job) -> None:
        self.killed.append(job)
        fails(job, Failure.RUN_DIED)

    def prewarm(self, calls: Sequence[tuple[ActionCall, Mapping[str, Any], Any]]) -> None:
        """Warm nothing."""


def begins(job: Job) -> None:
    """Let the function of a job begin."""
    job.listener.began(Timing(time.monotonic(), time.monotonic(), None), Warmth.WARM, "c1")


def returns(job: Job, result: object) -> None:
    """Let it return, with its outputs and logs gone at once."""
    body = json.dumps(result).encode()
    split = split_json(body, job.wants)
    for one in split.outputs:
        stored = cast("Attempt", job.listener).run.put(one.head, one.data)
        job.listener.emitted(one.output, one.index, one.how, stored)
    inline = body if len(body) < KNEE_BYTES else None
    job.listener.returned(Report(split.status, len(body), split.counts, inline, None), time.monotonic())
    job.listener.logs([], False)
    job.listener.drained(time.monotonic())


def does(job: Job, result: object) -> None:
    """Let a job begin and return."""
    begins(job)
    returns(job, result)


def fails(job: Job, failure: Failure, *, began: bool = True) -> None:
    """Let a job end without a result."""
    job.listener.failed(failure, None, began, time.monotonic())
    job.listener.logs([], False)


class FakeRecords(ActivationStore):
    """A store of records that can be away, and can keep large results ahead of their records.

    Attributes:
        places: Results by place, if it keeps them; None: it does not.
        away: It takes nothing.
        refused: How often it was asked in vain.
        written: What it took, by activation id.
    """

    def __init__(self) -> None:
        self.places: dict[str, bytes] | None = None
        self.away = False
        self.refused = 0
        self.written: dict[str, Activation] = {}

    def keep_result(self, result: bytes) -> str | None:
        if self.places is None or len(result) < LARGE_BYTES:
            return None
        if self.away:
            raise StoreUnavailable("the store is away")
        place = f"place {len(self.places)}"
        self.places[place] = result
        return place

    def keep_datum(self, descriptor: int, size_bytes: int) -> str | None:
        return self.keep_result(os.pread(descriptor, size_bytes, 0))

    def put_many(self, records: Sequence[Activation]) -> None:
        if self.away:
            self.refused += 1
            raise StoreUnavailable("the store is away")
        for record in records:
            self.written.setdefault(record.activation_id, record)

    def get(self, namespace: str, activation_id: str) -> Activation | None:
        return self.written.get(activation_id)

    def list(self, query: ActivationQuery) -> Sequence[Activation]:
        raise NotImplementedError

    def count(self, query: ActivationQuery) -> int:
        raise NotImplementedError

    def expire(self, before_ms: int | None, most: int | None, limit: int) -> int:
        raise NotImplementedError

    def close(self) -> None:
        """Let go of nothing."""


@dataclass
class Owning:
    """An owner and what is around it."""

    folder: Path
    owner: Owner
    bus: FakeBus
    pool: FakePool
    records: FakeRecords
    sink: Sink
    journal: Journal
    entities: SqliteEntities

    def journalled(self) -> Recovered:
        """Return what a process would find that started now."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "journal"
            shutil.copytree(self.folder / "journal", copy)
            journal = Journal(copy)
            found = journal.recover()
            journal.close()
        return found

    def deploy(self, graph: Graph) -> str:
        """Put a graph in the store; return its digest."""
        self.entities.put_graph(graph.digest, graph.to_json())
        return graph.digest

    async def submitted(self, count: int) -> list[Job]:
        """Wait until so many jobs are with the pool; return them."""
        await until(lambda: len(self.pool.jobs) >= count, message=lambda: f"{count} jobs; {len(self.pool.jobs)} came")
        return self.pool.jobs

    async def run(self, **fields: Any) -> tuple[ActivationMessage, Job]:
        """Deliver a message; return it with the first job that comes of it."""
        message = a_message("guest/act", **fields)
        before = len(self.pool.jobs)
        self.bus.deliver(message)
        return message, (await self.submitted(before + 1))[before]

    async def stored(self, *ids: str) -> None:
        """Wait until the store has these records."""
        await until(lambda: self.records.written.keys() >= set(ids), message="records in the store")

    async def close(self) -> None:
        """Let go of everything."""
        await self.owner.close()
        self.sink.close()
        self.entities.close()


def chain(**more: Any) -> Graph:
    """Two steps, one after the other."""
    steps = step("a", inputs={"x": value("$run.x")}), step("b", inputs={"y": value("a.y")}, **more)
    return graph(*steps, result=value("b"))


def sequence() -> Graph:
    """Two steps as a sequence has them."""
    return graph(
        step("a", inputs={"": value("$run")}, at_most_once=True),
        step("b", inputs={"": value("a")}, at_most_once=True),
        result=value("b"),
        kind=GraphKind.SEQUENCE,
    )


async def _no_spool(spool: Spool) -> bytes:
    raise AssertionError(spool)


def an_owner(
    folder: Path,
    *,
    records: FakeRecords | None = None,
    pending_bytes: int = 1 << 20,
    far: bool = False,
    door: str = "/door",
    pull: PullParameters = _no_spool,
    messages: Messages | None = None,
) -> Owning:
    """Return an owner; action `guest/act` is in its store.

    Args:
        folder: May be that of an earlier one.
        records: Its store of records.
        pending_bytes: Bound of records that wait for it.
        far: Controllers may be on other hosts, as on Kafka.
        door: How controllers name its door.
        pull: Gets spooled parameters.
        messages: To doors of controllers.
    """
    entities = SqliteEntities(folder / "entities.db")
    if entities.get("guest/act") is None:
        body = {
            "entityType": "action",
            "name": "act",
            "version": "0.0.1",
            "updated": 1,
            "exec": {"kind": "python:3", "code": "def main(args): return args", "binary": False},
            "limits": {"memory": 256, "timeout": 60_000, "logs": 10, "concurrency": 1},
            "annotations": [],
            "parameters": [],
            "publish": False,
            "namespace": "guest",
        }
        entities.put("guest/act", body, None)
    bus, records = FakeBus(), records or FakeRecords()
    journal = Journal(folder / "journal")
    sink = Sink(
        SinkSettings(limits=Limits(budget_bytes=1 << 24, segments=100), spare_bytes=0), asyncio.get_running_loop()
    )
    who = Identification(topic=TOPIC, instance={"instance": 0}, door=door, stock_acks=far)
    parts = Parts(
        bus=bus,
        journal=journal,
        records=records,
        sink=sink,
        actions=Actions(entities),
        pull=pull,
        functions=Functions(asyncio.get_running_loop()),
        messages=messages,
        compile=no_compiler,
        parameters=folder / "parameters" if far else None,
    )
    owner = Owner(who, parts, pending_bytes=pending_bytes)
    pool = FakePool()
    owner.containers = pool
    owner.recover(journal.recover())
    owner.listen()
    return Owning(folder, owner, bus, pool, records, sink, journal, entities)


async def no_compiler(door: str, user: Identity, action: str) -> Mapping[str, Any]:
    """Stands for a controller that is away."""
    raise NotCompiled


Make = Callable[..., Owning]
"""Type of the fixture `make`; arguments as for `an_owner`."""
