"""What controllers tell each other, on a bus in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from controller_ext.balancer import siblings
from controller_ext.balancer.cluster import Presence
from controller_ext.balancer.siblings import INVALIDATION, TOPIC, NameTaken, Siblings, until_first
from invoker_ext.bus import Bus, Message
from invoker_ext.contract.stock import CacheInvalidation
from tests.support.waiting import until


class SharedBus(Bus):
    """Everybody hears everything, unless it is away.

    Attributes:
        sent: All messages that were handed over, by topic.
    """

    def __init__(self) -> None:
        self.away = False
        self.sent: list[tuple[str, bytes]] = []
        self._readers: list[tuple[str, Callable[[Message], None]]] = []

    async def start(self) -> None:
        """Connect nothing."""

    def publish(self, topic: str, message: Message, kept: Callable[[Exception | None], None] | None = None) -> None:
        self.sent.append((topic, bytes(message.payload)))
        if self.away:
            return
        if kept is not None:
            kept(None)
        for wanted, reader in self._readers:
            if wanted == topic:
                reader(message)

    def subscribe(self, topic: str, on_message: Callable[[Message], None]) -> None:
        self._readers.append((topic, on_message))

    def commit(self, topic: str, offset: int, then: Callable[[], None] | None = None) -> None:
        """Forget nothing."""

    async def close(self) -> None:
        """Disconnect nothing."""


class Controller:
    """One of several."""

    def __init__(self, name: str, bus: SharedBus) -> None:
        self.sizes: list[int] = []
        self.forgot: list[str] = []
        self.siblings = Siblings(name, bus, self.sizes.append, self.forgot.append)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second takes ten milliseconds."""
    monkeypatch.setattr(siblings, "PING_S", 0.01)
    monkeypatch.setattr(siblings, "DEAF_S", 0.05)


async def test_controllers_hear_of_each_other_and_the_first_one_leads():
    bus = SharedBus()
    first, second = Controller("0", bus), Controller("1", bus)
    for one in (second, first):
        one.siblings.start()
    await asyncio.wait_for(first.siblings.leading(True), 5)
    await second.siblings.leading(False)
    assert (first.sizes, second.sizes) == ([2], [2])
    first.siblings.close()
    await asyncio.wait_for(second.siblings.leading(True), 5)
    assert second.sizes == [2, 1]
    second.siblings.close()


async def test_a_write_is_told_to_the_others_alone():
    bus = SharedBus()
    first, second = Controller("0", bus), Controller("1", bus)
    for one in (first, second):
        one.siblings.start()
    first.siblings.wrote("guest/a")
    assert (first.forgot, second.forgot) == ([], ["guest/a"])
    assert (INVALIDATION, CacheInvalidation("guest/a", "controller0").encode()) in bus.sent
    for payload in (b"", b"{}", b"3"):
        bus.publish(INVALIDATION, Message(payload))
        bus.publish(TOPIC, Message(payload))
    assert second.forgot == ["guest/a"]
    first.siblings.close()
    second.siblings.close()


async def test_while_the_bus_is_away_nothing_piles_up_and_nobody_is_missed():
    bus = SharedBus()
    one = Controller("0", bus)
    one.siblings.start()
    bus.publish(TOPIC, Message(Presence("1", "other").encode()))
    bus.away = True
    handed_over = len(bus.sent)
    await until(lambda: one.siblings.deaf)
    assert len(bus.sent) <= handed_over + 1
    assert one.sizes == [2]
    one.siblings.close()


async def test_a_double_is_told_of_and_does_not_count(caplog: pytest.LogCaptureFixture):
    bus = SharedBus()
    one = Controller("0", bus)
    one.siblings.start()
    bus.publish(TOPIC, Message(Presence("0", "another process").encode()))
    assert "another controller has our id" in caplog.text
    assert one.sizes == []
    one.siblings.close()


async def test_a_controller_whose_id_another_one_has_gives_way_and_does_not_say_that_it_leaves():
    bus = SharedBus()
    first, second, later = Controller("0", bus), Controller("1", bus), Controller("0", bus)
    for one in (first, second):
        one.siblings.start()
    await asyncio.wait_for(first.siblings.leading(True), 5)

    later.siblings.start()
    with pytest.raises(NameTaken, match="with the id '0' is alive on this Kafka: give this one an --id of its own"):
        await asyncio.wait_for(later.siblings.displaced(), 5)
    later.siblings.close()

    assert second.sizes == [2]
    for one in (first, second):
        one.siblings.close()


async def test_a_controller_that_takes_the_place_of_one_that_was_killed_stays():
    bus = SharedBus()
    later = Controller("0", bus)
    later.siblings.start()
    bus.publish(TOPIC, Message(Presence("0", "a life that ended amid its last word").encode()))

    await asyncio.wait_for(later.siblings.leading(True), 5)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(later.siblings.displaced(), 0.1)
    later.siblings.close()


async def test_the_first_that_ends_stops_the_others():
    stopped: list[str] = []

    async def lasting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append("lasting")

    async def failing() -> None:
        raise ValueError("it failed")

    with pytest.raises(ValueError, match="it failed"):
        await until_first(lasting(), failing())
    assert stopped == ["lasting"]
