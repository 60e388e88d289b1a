"""A bus under test: two processes' doors to it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from invoker_ext.bus import Bus
from invoker_ext.buses.address import KafkaAddress
from invoker_ext.buses.kafka.bus import KafkaBus
from invoker_ext.buses.local import LocalBus
from invoker_ext.buses.local_hub import LocalHub
from invoker_ext.door.hello import Role
from tests.support.kafka import Kafka

TOKEN = "a-token"


class BusUnderTest(Protocol):
    """What the suite needs of an implementation."""

    async def join(self) -> Bus: ...

    async def leave(self, bus: Bus) -> None: ...

    async def aclose(self) -> None: ...


class LocalBusUnderTest:
    """Hub and clients on one loop, over a real Unix socket."""

    def __init__(self) -> None:
        # Not pytest's tmp_path: its names may be too long for a Unix socket.
        self._folder = Path(tempfile.mkdtemp(prefix="df-bus-"))
        self._hub = LocalHub(max_topic_messages=100)
        self._buses: list[Bus] = []

    async def start(self) -> None:
        await self._hub.start(self._folder / "bus.sock", TOKEN)

    async def join(self) -> Bus:
        bus = LocalBus(self._folder / "bus.sock", token=TOKEN, role=Role.INVOKER)
        await bus.start()
        self._buses.append(bus)
        return bus

    async def leave(self, bus: Bus) -> None:
        await bus.close()

    async def restart(self) -> None:
        await self._hub.close()
        self._hub = LocalHub()
        await self.start()

    async def aclose(self) -> None:
        for bus in self._buses:
            await bus.close()
        await self._hub.close()
        shutil.rmtree(self._folder)


class KafkaBusUnderTest:
    """Topics of one test on a Kafka that all tests share."""

    def __init__(self, broker: Kafka) -> None:
        self.address = KafkaAddress(servers=(broker.server,), prefix=f"{uuid.uuid4().hex}-")
        self._buses: list[Bus] = []

    async def join(self) -> Bus:
        bus = KafkaBus(self.address, topics=["t"])
        await bus.start()
        self._buses.append(bus)
        return bus

    async def leave(self, bus: Bus) -> None:
        await bus.close()

    async def aclose(self) -> None:
        await asyncio.gather(*(bus.close() for bus in self._buses))


@pytest.fixture
async def local() -> AsyncIterator[LocalBusUnderTest]:
    """The local bus, which can be restarted."""
    one = LocalBusUnderTest()
    await one.start()
    yield one
    await one.aclose()


@pytest.fixture(params=["local", "kafka"])
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[BusUnderTest]:
    """Each implementation."""
    one: LocalBusUnderTest | KafkaBusUnderTest
    if request.param == "local":
        one = LocalBusUnderTest()
        await one.start()
    else:
        one = KafkaBusUnderTest(request.getfixturevalue("kafka_broker"))
    yield one
    await one.aclose()
