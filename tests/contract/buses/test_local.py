"""What only the local bus does."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from action_runtime.wire.codec import encode
from action_runtime.wire.frames import FrameKind
from invoker_ext.bus import BusUnavailable, Message
from invoker_ext.buses.local import LocalBus
from invoker_ext.buses.local_hub import LocalHub
from invoker_ext.door.hello import Role
from tests.contract.buses.conftest import LocalBusUnderTest
from tests.support.waiting import until


@pytest.fixture
async def hub() -> AsyncIterator[tuple[LocalHub, Path]]:
    with tempfile.TemporaryDirectory(prefix="df-bus-") as folder:
        hub = LocalHub()
        path = Path(folder) / "bus.sock"
        await hub.start(path, "right")
        yield hub, path
        await hub.close()


async def test_a_wrong_token_is_refused(hub: tuple[LocalHub, Path]):
    bus = LocalBus(hub[1], token="wrong", role=Role.INVOKER)
    with pytest.raises(BusUnavailable):
        await bus.start(within_s=0.2)


async def test_the_socket_is_closed_to_others(hub: tuple[LocalHub, Path]):
    assert hub[1].stat().st_mode & 0o777 == 0o600


async def test_garbage_ends_the_connection_and_nothing_else(hub: tuple[LocalHub, Path]):
    reader, writer = await asyncio.open_unix_connection(str(hub[1]))
    writer.write(b"\xff" * 64)
    await reader.read()
    writer.close()
    await writer.wait_closed()
    bus = LocalBus(hub[1], token="right", role=Role.INVOKER)
    await bus.start(within_s=2.0)
    await bus.close()


async def test_a_frame_that_is_not_for_the_bus_ends_the_connection(hub: tuple[LocalHub, Path]):
    from invoker_ext.door.hello import call_hello

    reader, writer = await asyncio.open_unix_connection(str(hub[1]))
    writer.write(call_hello(Role.TOOL, "right") + encode(FrameKind.PUBLISH, {"t": 3}))
    while await reader.read(4096):
        pass
    writer.close()
    await writer.wait_closed()


async def test_the_process_of_the_hub_publishes_and_consumes_without_a_socket(hub: tuple[LocalHub, Path]):
    endpoint = hub[0].endpoint
    got: list[Message] = []
    kept: list[Exception | None] = []
    endpoint.publish("t", Message(b"x"), kept.append)
    endpoint.subscribe("t", got.append)
    endpoint.commit("t", got[0].offset)
    assert kept == [None]


async def test_an_undelivered_message_can_be_taken_back(hub: tuple[LocalHub, Path]):
    endpoint = hub[0].endpoint
    got: list[Message] = []
    entry = endpoint.post("t", Message(b"x"))
    assert entry is not None
    assert endpoint.withdraw("t", entry)
    endpoint.subscribe("t", got.append)
    assert got == []


async def test_a_delivered_message_cannot_be_taken_back(hub: tuple[LocalHub, Path]):
    endpoint = hub[0].endpoint
    endpoint.subscribe("t", lambda _: None)
    entry = endpoint.post("t", Message(b"x"))
    assert entry is not None
    assert not endpoint.withdraw("t", entry)


async def test_every_reader_of_a_shared_topic_gets_what_comes_and_nobody_need_commit(hub: tuple[LocalHub, Path]):
    endpoint = hub[0].endpoint
    readers = [LocalBus(hub[1], token="right", role=Role.INVOKER) for _ in range(2)]
    got: list[list[Message]] = [[], [], []]
    kept: list[Exception | None] = []
    endpoint.subscribe("health", got[0].append)
    for reader, messages in zip(readers, got[1:], strict=True):
        await reader.start(within_s=2.0)
        reader.subscribe("health", messages.append)
    await until(lambda: _ping(readers[0], got))

    readers[1].publish("health", Message(b"second"), kept.append)
    await until(lambda: kept == [None])
    await until(lambda: all(messages[-1].payload == b"second" for messages in got))
    await readers[1].close()
    endpoint.publish("health", Message(b"third"), kept.append)
    await until(lambda: got[1][-1].payload == b"third")

    assert kept == [None, None]
    assert got[2][-1].payload == b"second"
    await readers[0].close()


def _ping(bus: LocalBus, got: list[list[Message]]) -> bool:
    """Publish until everybody reads."""
    bus.publish("health", Message(b"first"))
    return all(got)


async def test_a_shared_topic_that_nobody_reads_yet_keeps_the_newest_for_its_first_reader(hub: tuple[LocalHub, Path]):
    endpoint = hub[0].endpoint
    got: list[Message] = []
    for number in range(200):
        endpoint.publish("health", Message(b"%d" % number))

    endpoint.subscribe("health", got.append)

    assert [one.payload for one in got] == [b"%d" % number for number in range(100, 200)]


async def test_what_is_published_before_the_hub_is_there_arrives(hub: tuple[LocalHub, Path]):
    await hub[0].close()
    bus = LocalBus(hub[1], token="right", role=Role.INVOKER)
    bus.publish("t", Message(b"early"))
    late = LocalHub()
    await late.start(hub[1], "right")
    got: list[Message] = []
    late.endpoint.subscribe("t", got.append)
    await bus.start(within_s=2.0)
    await until(lambda: got)
    await bus.close()
    await late.close()


async def test_messages_that_were_not_kept_arrive_again_after_the_bus_restarted(local: LocalBusUnderTest):
    publisher, consumer = await local.join(), await local.join()
    got: list[Message] = []
    kept: list[Exception | None] = []
    consumer.subscribe("t", got.append)
    publisher.publish("t", Message(b"done"), kept.append)
    await until(lambda: got)
    consumer.commit("t", got[0].offset)
    await until(lambda: kept == [None])
    publisher.publish("t", Message(b"open"), kept.append)
    await until(lambda: len(got) == 2)

    await local.restart()
    await until(lambda: [one.payload for one in got] == [b"done", b"open", b"open"])
    consumer.commit("t", got[-1].offset)
    await until(lambda: kept == [None, None])


async def test_a_commit_from_before_a_restart_commits_nothing_new(local: LocalBusUnderTest):
    publisher, consumer = await local.join(), await local.join()
    got: list[Message] = []
    kept: list[Exception | None] = []
    consumer.subscribe("t", got.append)
    publisher.publish("t", Message(b"1"), kept.append)
    await until(lambda: got)
    await local.restart()
    await until(lambda: len(got) == 2)
    consumer.commit("t", got[0].offset)
    await consumer.close()
    await asyncio.sleep(0)
    assert kept == []


async def test_a_full_topic_says_that_the_bus_is_unavailable(local: LocalBusUnderTest):
    publisher = await local.join()
    kept: list[Exception | None] = []
    for _ in range(101):
        publisher.publish("nobody", Message(b"x"), kept.append)
    await until(lambda: len(kept) == 1)
    assert isinstance(kept[0], BusUnavailable)
