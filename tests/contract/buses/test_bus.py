"""What every implementation of the bus does."""

from __future__ import annotations

import asyncio

from invoker_ext.bus import BusUnavailable, Message
from tests.contract.buses.conftest import BusUnderTest
from tests.support.waiting import until


async def test_a_message_arrives_with_payload_and_headers(broker: BusUnderTest):
    publisher, consumer = await broker.join(), await broker.join()
    got: list[Message] = []
    consumer.subscribe("t", got.append)
    publisher.publish("t", Message(b"\x00payload", {"id": "x", "n": 3}))
    await until(lambda: got)
    assert (got[0].payload, got[0].headers) == (b"\x00payload", {"id": "x", "n": 3})


async def test_a_topic_keeps_its_order_and_its_offsets_grow_by_one(broker: BusUnderTest):
    publisher, consumer = await broker.join(), await broker.join()
    got: list[Message] = []
    consumer.subscribe("t", got.append)
    for number in range(50):
        publisher.publish("t", Message(b"%d" % number))
    await until(lambda: len(got) == 50)
    assert [one.payload for one in got] == [b"%d" % number for number in range(50)]
    assert [one.offset - got[0].offset for one in got] == list(range(50))


async def test_a_message_waits_for_a_consumer_that_comes_later(broker: BusUnderTest):
    publisher = await broker.join()
    publisher.publish("t", Message(b"early"))
    consumer = await broker.join()
    got: list[Message] = []
    consumer.subscribe("t", got.append)
    await until(lambda: [one.payload for one in got] == [b"early"])


async def test_a_message_is_kept_once_its_consumer_has_committed_it(broker: BusUnderTest):
    publisher, consumer = await broker.join(), await broker.join()
    got: list[Message] = []
    kept: list[Exception | None] = []
    consumer.subscribe("t", got.append)
    publisher.publish("t", Message(b"1"), kept.append)
    publisher.publish("t", Message(b"2"), kept.append)
    await until(lambda: len(got) == 2)
    consumer.commit("t", got[1].offset)
    await until(lambda: kept == [None, None])


async def test_a_consumer_that_comes_back_gets_everything_from_its_last_commit_on(broker: BusUnderTest):
    publisher, first = await broker.join(), await broker.join()
    got: list[Message] = []
    kept: list[Exception | None] = []
    first.subscribe("t", got.append)
    for number in range(4):
        publisher.publish("t", Message(b"%d" % number), kept.append)
    await until(lambda: len(got) == 4)
    first.commit("t", got[1].offset)
    await until(lambda: len(kept) == 2)
    await broker.leave(first)

    again: list[bytes | memoryview] = []
    second = await broker.join()
    second.subscribe("t", lambda message: again.append(message.payload))
    await until(lambda: again == [b"2", b"3"])


async def test_messages_that_were_not_kept_arrive_again_after_the_bus_restarted(broker: BusUnderTest):
    publisher, consumer = await broker.join(), await broker.join()
    got: list[Message] = []
    kept: list[Exception | None] = []
    consumer.subscribe("t", got.append)
    publisher.publish("t", Message(b"done"), kept.append)
    await until(lambda: got)
    consumer.commit("t", got[0].offset)
    await until(lambda: kept == [None])
    publisher.publish("t", Message(b"open"), kept.append)
    await until(lambda: len(got) == 2)

    await broker.restart()
    await until(lambda: [one.payload for one in got] == [b"done", b"open", b"open"])
    consumer.commit("t", got[-1].offset)
    await until(lambda: kept == [None, None])


async def test_a_commit_from_before_a_restart_commits_nothing_new(broker: BusUnderTest):
    publisher, consumer = await broker.join(), await broker.join()
    got: list[Message] = []
    kept: list[Exception | None] = []
    consumer.subscribe("t", got.append)
    publisher.publish("t", Message(b"1"), kept.append)
    await until(lambda: got)
    await broker.restart()
    await until(lambda: len(got) == 2)
    consumer.commit("t", got[0].offset)
    await consumer.close()
    await asyncio.sleep(0)
    assert kept == []


async def test_topics_do_not_disturb_each_other(broker: BusUnderTest):
    publisher, consumer = await broker.join(), await broker.join()
    got: list[Message] = []
    kept: list[str] = []
    consumer.subscribe("b", got.append)
    publisher.publish("a", Message(b"a"), lambda _: kept.append("a"))
    publisher.publish("b", Message(b"b"), lambda _: kept.append("b"))
    await until(lambda: got)
    consumer.commit("b", got[0].offset)
    await until(lambda: kept == ["b"])


async def test_a_full_topic_says_that_the_bus_is_unavailable(broker: BusUnderTest):
    publisher = await broker.join()
    kept: list[Exception | None] = []
    for _ in range(101):
        publisher.publish("nobody", Message(b"x"), kept.append)
    await until(lambda: len(kept) == 1)
    assert isinstance(kept[0], BusUnavailable)


async def test_a_megabyte_arrives_whole(broker: BusUnderTest):
    publisher, consumer = await broker.join(), await broker.join()
    got: list[Message] = []
    payload = bytes(range(256)) * 4096
    consumer.subscribe("t", got.append)
    publisher.publish("t", Message(payload))
    await until(lambda: got)
    assert got[0].payload == payload
