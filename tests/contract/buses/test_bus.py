"""What every implementation of the bus does."""

from __future__ import annotations

from invoker_ext.bus import Message
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


async def test_a_consumer_hears_when_what_it_committed_does_not_come_again(broker: BusUnderTest):
    publisher, consumer = await broker.join(), await broker.join()
    got: list[Message] = []
    committed: list[int] = []
    consumer.subscribe("t", got.append)
    publisher.publish("t", Message(b"1"))
    await until(lambda: got)
    consumer.commit("t", got[0].offset, lambda: committed.append(got[0].offset))
    await until(lambda: committed == [got[0].offset])


async def test_a_consumer_that_comes_back_gets_everything_from_its_last_commit_on(broker: BusUnderTest):
    publisher, first = await broker.join(), await broker.join()
    got: list[Message] = []
    kept: list[Exception | None] = []
    first.subscribe("t", got.append)
    for number in range(4):
        publisher.publish("t", Message(b"%d" % number), kept.append)
    await until(lambda: len(got) == 4)
    first.commit("t", got[1].offset)
    await until(lambda: len(kept) >= 2)
    await broker.leave(first)

    again: list[bytes | memoryview] = []
    second = await broker.join()
    second.subscribe("t", lambda message: again.append(message.payload))
    await until(lambda: again == [b"2", b"3"])


async def test_topics_do_not_disturb_each_other(broker: BusUnderTest):
    publisher, consumer = await broker.join(), await broker.join()
    got: list[Message] = []
    kept: list[str] = []
    consumer.subscribe("b", got.append)
    publisher.publish("a", Message(b"a"), lambda _: kept.append("a"))
    publisher.publish("b", Message(b"b"), lambda _: kept.append("b"))
    await until(lambda: got)
    consumer.commit("b", got[0].offset)
    await until(lambda: "b" in kept)
    assert [one.payload for one in got] == [b"b"]


async def test_a_megabyte_arrives_whole(broker: BusUnderTest):
    publisher, consumer = await broker.join(), await broker.join()
    got: list[Message] = []
    payload = bytes(range(256)) * 4096
    consumer.subscribe("invoker0", got.append)
    publisher.publish("invoker0", Message(payload))
    await until(lambda: got)
    assert got[0].payload == payload
