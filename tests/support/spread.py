"""An owner whose runs reach over several hosts, which a test has do their work in any order, and kills.

Owner, borrower and lenders are the real ones; pools and the pipe between hosts are in memory.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from invoker_ext.containers.job import Job, Report, Timing, Warmth
from invoker_ext.contract.graph import ActionCall, Graph, action_graph
from invoker_ext.contract.told import Told
from invoker_ext.lending.desk import Desk
from invoker_ext.lending.hosts import Hosts
from invoker_ext.owner.actions import ActionDoc
from invoker_ext.relay.json_form import object_json
from invoker_ext.relay.results import split_json
from invoker_ext.sink.sink import Sink
from tests.support.containers import a_call
from tests.support.lending import Code, LendingHost, Pool
from tests.support.messages import a_message
from tests.support.owning import LARGE_BYTES, Owning
from tests.support.peers import Network
from tests.support.waiting import until

_TOLD: Final = Told("127.0.0.1:1", 1, 0)
Action = Callable[[Any], Any]
"""Arguments → result; one with `error` is a failure."""


class AnyCode(Code):
    """Knows every action."""

    def fetch(self, name: str, revision: str | None) -> ActionDoc:
        call = a_call(name)
        return self.docs.setdefault(name, ActionDoc(call, {"kind": "python:3"}, True, {}, action_graph(call)))


class Spread:
    """Host 0, which owns all runs, and others.

    Attributes:
        owning: The owner.
        others: Hosts that are there, by number.
        actions: What actions do, by their last name.
        done: How often each action was executed to its end.
        network: Between them.
    """

    def __init__(self, owning: Owning, actions: Mapping[str, Action], *, others: int = 2, room_mb: int = 0) -> None:
        """Let them know each other.

        Args:
            owning: The owner.
            actions: See above; put into its store.
            others: How many.
            room_mb: Of the owner; nothing: it has all done elsewhere, as long as there is somebody.
        """
        self.owning = owning
        self.actions = dict(actions)
        self.done: Counter[str] = Counter()
        self.network = Network()
        self._over: set[int] = set()
        self._hosts = Hosts(0, life=1)
        self._pool = Pool()
        self._pool.room = room_mb
        peers = self.network.host(0, owning.sink)
        self._desk = Desk(self._hosts, self._pool, peers, owning.sink, AnyCode(), ttl_s=60.0)
        owning.owner.lend(self._desk.borrower)
        self.others = {number: LendingHost(self.network, number, AnyCode()) for number in range(1, others + 1)}
        self._all = list(self.others.values())
        self.know()
        document = owning.entities.get("guest/act")
        assert document is not None
        for name in actions:
            if owning.entities.get(f"guest/{name}") is None:
                owning.entities.put(f"guest/{name}", {**document.body, "name": name}, None)

    def know(self) -> None:
        """Let the owner hear of all others."""
        for number, host in self.others.items():
            self._hosts.pinged(number, replace(_TOLD, room_mb=host.pool.room), asyncio.get_running_loop().time())

    def run(self, graph: Graph, parameters: Any, **more: Any) -> str:
        """Have a run begin; return its activation id. `more`: members of its message."""
        digest = self.owning.deploy(graph)
        message = a_message("guest/flow", json.dumps(parameters).encode(), graph=digest, **more)
        self.owning.bus.deliver(message)
        return message.activation_id

    # -- what happens --------------------------------------------------------------------------

    def ready(self) -> list[tuple[int, Job]]:
        """Return the jobs that can be done, with their hosts."""
        pools = {0: self._pool, **{number: host.pool for number, host in self.others.items()}}
        return [
            (number, job)
            for number, pool in pools.items()
            for job in pool.jobs
            if id(job) not in self._over and job not in pool.killed
        ]

    async def jobs(self, count: int) -> list[tuple[int, Job]]:
        """Wait until so many can be done."""
        await until(lambda: len(self.ready()) == count, message=lambda: f"{count} jobs, not {self.ready()}")
        return self.ready()

    async def pulling(self, count: int) -> None:
        """Wait until so many data have been asked for."""
        await until(lambda: len(self.network.pulls) >= count, message="data are asked for")

    def begin(self, job: Job) -> None:
        """Let its function begin."""
        job.listener.began(Timing(time.monotonic(), time.monotonic(), None), Warmth.WARM, "c1")

    def do(self, number: int, job: Job) -> None:
        """Do a job, from beginning to end, on the host that has it."""
        name = job.call.name.rpartition("/")[2]
        self._over.add(id(job))
        self.begin(job)
        self.done[name] += 1
        body = json.dumps(self.actions[name](json.loads(object_json(job.inputs)))).encode()
        split = split_json(body, job.wants)
        sink: Sink = self.others[number].sink if number else self.owning.sink
        for one in split.outputs:
            job.listener.emitted(one.output, one.index, one.how, sink.put_bytes(one.head, one.data, f"guest/{job.run}"))
        inline = body if len(body) < LARGE_BYTES else None
        job.listener.returned(Report(split.status, len(body), split.counts, inline, None), time.monotonic())
        job.listener.logs([], False)
        job.listener.drained(time.monotonic())

    def kill(self, number: int) -> None:
        """Have one of the others vanish, with all that it holds and does."""
        del self.others[number]
        self.network.kill(number)

    async def end(self, run: str) -> tuple[int, Any]:
        """Wait for the end of a run while all that can be done is done; return status and result."""
        while not self.owning.bus.told(run):
            self.know()
            await until(lambda: self.ready() or self.owning.bus.told(run), message="jobs, or the end")
            for number, job in self.ready()[:1]:
                self.do(number, job)
        return await self.response(run)

    async def end_by_chance(self, run: str, seed: int, losses: int) -> tuple[int, Any]:
        """Do the same in a random order, while hosts are killed, and data stay on their way for a while."""
        chance = random.Random(seed)
        while not self.owning.bus.told(run):
            self.know()
            for _ in range(chance.choice((0, 1, 2, 5, 20))):
                await asyncio.sleep(0)
            self.network.flows.set()
            await until(lambda: self.ready() or self.owning.bus.told(run), message="jobs, or the end")
            ready = self.ready()
            if chance.random() < 0.4:
                self.network.flows.clear()
            if losses and self.others and chance.random() < 0.15:
                losses -= 1
                self.kill(chance.choice(list(self.others)))
            elif ready:
                number, job = chance.choice(ready)
                if chance.random() < 0.2:
                    self.begin(job)
                else:
                    self.do(number, job)
        self.network.flows.set()
        return await self.response(run)

    async def response(self, run: str) -> tuple[int, Any]:
        """Return status and result of a run that has ended, which must have been told once."""
        assert len(self.owning.bus.told(run)) == 1
        await self.owning.stored(run)
        record = self.owning.records.written[run]
        return record.status, json.loads(record.result or b"null")

    async def empty(self) -> None:
        """Wait until nothing is left anywhere."""
        sinks = [self.owning.sink, *(host.sink for host in self.others.values())]

        def left() -> list[int]:
            return [one.usage.inline_bytes + one.usage.segment_bytes for one in sinks]

        await until(lambda: not any(left()), message=lambda: f"bytes are left: {left()}")

    async def close(self) -> None:
        """Let go of everything but the owner."""
        await self._desk.close()
        for host in self._all:
            await host.close()


def call(name: str) -> ActionCall:
    """Return the call of one of its actions."""
    return replace(a_call(f"guest/{name}"), revision=None)
