"""Hosts that lend each other containers, over a network in memory; their pools do what a test says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from action_runtime.wire.values import Head, Media
from invoker_ext.containers.job import Failure, Job, Report, Timing, Warmth
from invoker_ext.contract.graph import action_graph
from invoker_ext.contract.told import Told
from invoker_ext.lending.desk import Desk
from invoker_ext.lending.hosts import Hosts
from invoker_ext.owner.actions import ActionDoc, ActionGone
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.reserve import SinkSettings
from invoker_ext.sink.sink import Sink
from invoker_ext.sink.terms import Limits
from tests.support.containers import Recorder, a_call, a_job
from tests.support.owning import FakePool
from tests.support.peers import Network
from tests.support.waiting import until

LARGE = 64 * 1024


class Pool(FakePool):
    """The pool of one host.

    Attributes:
        room: Memory that is left, MB.
        fed: Parts of streams, and ends, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.room = 1024
        self.fed: list[tuple[str, bytes | str | None]] = []

    def room_mb(self) -> int:
        return self.room

    def feed(self, job: Job, name: str, value: Stored) -> None:
        self.fed.append((name, value.read()))

    def feed_end(self, job: Job, name: str, error: str | None) -> None:
        self.fed.append((name, error))


class Code:
    """Knows `guest/act`, after a look into the store."""

    def __init__(self) -> None:
        self.docs: dict[str, ActionDoc] = {}

    def cached(self, name: str, revision: str | None) -> ActionDoc | None:
        return self.docs.get(name)

    def fetch(self, name: str, revision: str | None) -> ActionDoc:
        if name != "guest/act":
            raise ActionGone
        call = a_call()
        doc = self.docs[name] = ActionDoc(call, {"kind": "python:3", "code": "…"}, True, {}, action_graph(call))
        return doc


class LendingHost:
    """One host; on the running loop."""

    def __init__(self, network: Network, number: int, code: Code | None = None) -> None:
        self.number = number
        limits = Limits(budget_bytes=1 << 26, segments=100)
        self.sink = Sink(SinkSettings(limits=limits, spare_bytes=0), asyncio.get_running_loop())
        self.pool = Pool()
        self.peers = network.host(number, self.sink)
        self.hosts = Hosts(number, life=1)
        self.code = code or Code()
        self.desk = Desk(self.hosts, self.pool, self.peers, self.sink, self.code, ttl_s=60.0)
        self.borrower, self.lender = self.desk.borrower, self.desk.lender

    def knows(self, *others: LendingHost) -> None:
        """Hear a ping of others."""
        for other in others:
            told = Told(f"127.0.0.1:{other.number}", 1, other.pool.room_mb())
            self.hosts.pinged(other.number, told, asyncio.get_running_loop().time())

    def put(self, data: bytes) -> Stored:
        """Hold bytes in a sink."""
        return self.sink.put_bytes(Head(Media.BYTES, len(data)), data, "guest/" + "r" * 32)

    async def job(self, count: int = 1) -> Job:
        """Wait until the pool has so many jobs; return the last."""
        await until(lambda: len(self.pool.jobs) >= count, message=lambda: f"job {count} on host {self.number}")
        return self.pool.jobs[count - 1]

    @property
    def holds(self) -> int:
        """Bytes in its sink."""
        usage = self.sink.usage
        return usage.inline_bytes + usage.segment_bytes

    async def close(self) -> None:
        await self.desk.close()
        self.sink.close()


class Keeping(Recorder):
    """A listener that keeps what it gets.

    Attributes:
        data: References to all outputs.
        each: Called with each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.data: list[Stored] = []
        self.each: Callable[[Stored], None] = self.data.append

    def emitted(self, output: str, index: int, how: str, value: Stored) -> None:
        self.each(value)


def keeping(job: Job) -> tuple[Job, Keeping]:
    """Return a job with such a listener."""
    heard = Keeping()
    return replace(job, listener=heard), heard


async def made_elsewhere(owner: LendingHost, host: LendingHost, data: bytes) -> tuple[Job, Stored]:
    """Have a job done on another host that makes one datum and does not end; return it there, and the datum."""
    job, heard = keeping(a_job()[0])
    owner.borrower.submit(job)
    lent = await host.job(len(host.pool.jobs) + 1)
    lent.listener.emitted("y", 0, "emit", host.put(data))
    await until(lambda: heard.data)
    return lent, heard.data[0]


async def settled() -> None:
    """Let what is on its way arrive."""
    for _ in range(20):
        await asyncio.sleep(0)


def begins(job: Job) -> None:
    """Let the function of a job begin."""
    job.listener.began(Timing(time.monotonic(), time.monotonic(), None), Warmth.WARM, "c1")


def returns(
    job: Job,
    counts: Mapping[str, tuple[str, int]] | None = None,
    *,
    status: str = "ok",
    body: Any = b"{}",
    lines: Sequence[str] = ("2026-01-01T00:00:00.0Z stdout: hello",),
) -> None:
    """Let it return and drain."""
    job.listener.returned(Report(status, 2, counts or {}, body, None), time.monotonic())
    job.listener.logs(list(lines), False)
    job.listener.drained(time.monotonic())


def dies(job: Job, failure: Failure = Failure.RUN_DIED) -> None:
    """Let its container die."""
    job.listener.failed(failure, None, True, time.monotonic())
    job.listener.logs([], False)
