"""A bus under test: two processes' doors to it, and a way to break it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from invoker_ext.bus import Bus
from invoker_ext.buses.local import LocalBus
from invoker_ext.buses.local_hub import LocalHub
from invoker_ext.door.hello import Role

TOKEN = "a-token"


class BusUnderTest(Protocol):
    """What the suite needs of an implementation."""

    async def join(self) -> Bus: ...

    async def leave(self, bus: Bus) -> None: ...

    async def restart(self) -> None: ...

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


@pytest.fixture(params=["local"])
async def broker() -> AsyncIterator[BusUnderTest]:
    local = LocalBusUnderTest()
    await local.start()
    yield local
    await local.aclose()
