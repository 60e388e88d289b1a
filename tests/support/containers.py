"""Builders for the pool: jobs, a listener that records, a fleet over real processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from invoker_ext.containers.driver import Driver
from invoker_ext.containers.drivers.process import ProcessDriver
from invoker_ext.containers.fleet import Fleet
from invoker_ext.containers.job import Failure, Job, Report, Timing, Warmth
from invoker_ext.containers.limits import PoolLimits
from invoker_ext.contract.graph import ActionCall
from invoker_ext.contract.messages import Identity
from invoker_ext.dataflow.commands import Bound, Constant
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.reserve import SinkSettings
from invoker_ext.sink.sink import Sink
from invoker_ext.sink.terms import Limits

GUEST = Identity(subject="guest", namespace="guest", uuid="u" * 32, api_key="u:k", limits={})
MIB = 1024 * 1024
LIMITS = PoolLimits(memory_mb=2048, cores=2)


class Recorder:
    """A Listener that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.outputs: list[tuple[str, int, str, bytes]] = []
        self.timing: Timing | None = None
        self.warmth: Warmth | None = None
        self.container = ""
        self.report: Report | None = None
        self.answer: Report | None = None
        """What came ahead of the log."""
        self.lines: list[str] = []
        self.truncated = False
        self.failure: Failure | None = None
        self.detail: Any = None
        self.began_before: bool | None = None
        self.times: dict[str, float] = {}
        self.over = asyncio.Event()

    def _hear(self, what: str) -> None:
        self.heard.append(what)
        self.times[what] = time.monotonic()

    def began(self, timing: Timing, warmth: Warmth, container: str) -> None:
        self._hear("began")
        self.timing, self.warmth, self.container = timing, warmth, container

    def emitted(self, output: str, index: int, how: str, value: Stored) -> None:
        self._hear("emitted")
        data = value.inline
        self.outputs.append((output, index, how, value.read() if data is None else data))
        value.release()

    def answered(self, report: Report, at: float) -> None:
        self.times["answered"] = time.monotonic()
        self.answer = report

    def returned(self, report: Report, at: float) -> None:
        self._hear("returned")
        self.report = report

    def taken(self, name: str, count: int) -> None:
        self._hear("taken")

    def logs(self, lines: Sequence[str], truncated: bool) -> None:
        self._hear("logs")
        self.lines, self.truncated = list(lines), truncated
        if self.failure is not None:
            self.over.set()

    def drained(self, at: float, refusal: str | None = None) -> None:
        self._hear("drained")
        self.over.set()

    def failed(self, failure: Failure, detail: Any, began: bool, at: float) -> None:
        self._hear("failed")
        self.failure, self.detail, self.began_before = failure, detail, began

    @property
    def text(self) -> list[str]:
        """The lines without their time."""
        return [line[31:] for line in self.lines]

    async def end(self, within_s: float = 20.0) -> Recorder:
        """Wait until nothing more will be heard."""
        async with asyncio.timeout(within_s):
            await self.over.wait()
        return self


def a_call(name: str = "guest/act", **changes: Any) -> ActionCall:
    """An action of the guest."""
    fields: dict[str, Any] = {
        "name": name,
        "version": "0.0.1",
        "revision": "1-1",
        "kind": "python:3",
        "memory_mb": 256,
        "timeout_ms": 10_000,
        "logs_mb": 10,
    }
    return ActionCall(**{**fields, **changes})


def a_job(
    code: str = "def main(args):\n    return args\n",
    arguments: str = "{}",
    *,
    call: ActionCall | None = None,
    timeout_s: float = 10.0,
    wants: dict[str, str] | None = None,
    inputs: Sequence[Bound] | None = None,
    run: str = "r" * 32,
    opens_streams: bool = False,
) -> tuple[Job, Recorder]:
    """A job and who hears of it."""
    listener = Recorder()
    call = call or a_call()
    job = Job(
        call=call,
        code={"kind": call.kind, "code": code, "binary": False},
        user=GUEST,
        activation_id="a" * 32,
        env={"namespace": "guest", "action_name": f"/{call.name}", "activation_id": "a" * 32},
        init_env={},
        inputs=[Bound("", Constant(arguments))] if inputs is None else inputs,
        wants={} if wants is None else wants,
        plain=False,
        timeout_s=timeout_s,
        run=run,
        listener=listener,
        queued=time.monotonic(),
        opens_streams=opens_streams,
    )
    return job, listener


@asynccontextmanager
async def a_fleet(
    home: Path, limits: PoolLimits = LIMITS, driver: Driver | None = None, sink_mb: int = 512
) -> AsyncIterator[tuple[Fleet, Sink]]:
    """A fleet of real containers, processes if no driver is given, and its sink; both are closed at the end."""
    sink = Sink(
        SinkSettings(limits=Limits(budget_bytes=sink_mb * MIB, segments=500), spare_bytes=0), asyncio.get_running_loop()
    )
    fleet = Fleet(
        driver or ProcessDriver(home),
        sink,
        limits,
        environment={"__OW_API_HOST": "http://127.0.0.1:3233"},
        outbox_bytes=64 * 1024 * 1024,
    )
    await fleet.open()
    try:
        yield fleet, sink
    finally:
        await fleet.close()
        sink.close()
