"""A session on the running loop, its far end, and a listener that keeps what it hears."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Any

import pytest

from action_runtime.wire.frames import FrameKind
from invoker_ext.relay.session import Session
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.reserve import SinkSettings
from invoker_ext.sink.sink import Sink
from invoker_ext.sink.terms import Limits
from tests.support.far_end import FarEnd

MIB = 1 << 20


@dataclass
class Heard:
    """A `Listener`."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    data: list[Stored] = field(default_factory=list)
    errors: list[Any] = field(default_factory=list)

    def hello(self, meta):
        self.calls.append(("hello", meta))

    def inited(self, meta):
        self.calls.append(("inited", meta))

    def emitted(self, f, output, index, how, stored):
        self.calls.append(("emitted", (f, output, index, how)))
        self.data.append(stored)

    def returned(self, meta, payload):
        self.calls.append(("returned", payload))

    def drained(self, meta):
        self.calls.append(("drained", meta["held_bytes"]))

    def freed(self, meta):
        self.calls.append(("freed", meta["held_bytes"]))

    def taken(self, meta):
        self.calls.append(("taken", meta["count"]))

    def closed(self, error):
        self.errors.append(error)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


@dataclass
class Line:
    """One connection: this end, the far end, who listens."""

    session: Session
    container: FarEnd
    heard: Heard

    async def greet(self) -> None:
        await self.container.send(FrameKind.HELLO, {"protocol": 1, "pid": 1, "python": "3"})
        await self.container.next(FrameKind.WELCOME)


@pytest.fixture
async def sink(no_leaks, tmp_path):
    settings = SinkSettings(
        limits=Limits(budget_bytes=32 * MIB, segments=1500, spill_bytes=256 * MIB),
        spare_bytes=0,
        spill_folder=tmp_path,
    )
    made = Sink(settings, asyncio.get_running_loop(), lambda stuck: None)
    yield made
    made.close()


@pytest.fixture
async def lines(sink):
    """A factory of connections that have not been greeted."""
    made: list[Line] = []

    def make() -> Line:
        ours, theirs = socket.socketpair()
        heard = Heard()
        session = Session(ours, sink, heard, asyncio.get_running_loop(), owner="guest", outbox_bytes=4 * MIB)
        made.append(Line(session, FarEnd(theirs), heard))
        return made[-1]

    yield make
    for line in made:
        line.session.close()
        line.container.close()


@pytest.fixture
async def line(lines):
    """A greeted connection with firing 1 open."""
    made = lines()
    await made.greet()
    made.session.open_firing(1, "run")
    return made
