"""What only the bus on Kafka does: stock's topics and records, and life through the death of Kafka."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from invoker_ext.bus import BusUnavailable, Message, MessageTooLarge
from invoker_ext.buses.address import KafkaAddress
from invoker_ext.buses.kafka.bus import KafkaBus
from invoker_ext.buses.kafka.topics import MAX_MESSAGE_BYTES
from tests.support import kafka
from tests.support.waiting import until

BACK_S = 30.0
"""Within it Kafka is found again after a restart."""


@pytest.fixture
def address(kafka_broker: kafka.Kafka) -> KafkaAddress:
    return KafkaAddress(servers=(kafka_broker.server,), prefix=f"{uuid.uuid4().hex}-")


async def joined(address: KafkaAddress, *topics: str, **options: Any) -> KafkaBus:
    bus = KafkaBus(address, topics=topics, **options)
    await bus.start()
    return bus


async def ask(address: KafkaAddress, question: Callable[[KafkaConsumer], Any], **options: Any) -> Any:
    """Ask Kafka itself, by a consumer of no group."""

    def answer() -> Any:
        consumer = KafkaConsumer(bootstrap_servers=list(address.servers), enable_auto_commit=False, **options)
        try:
            return question(consumer)
        finally:
            consumer.close()

    return await asyncio.to_thread(answer)


def records_of(topic: str) -> Callable[[KafkaConsumer], list[Any]]:
    def read(consumer: KafkaConsumer) -> list[Any]:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        found: list[Any] = []
        while len(found) < consumer.end_offsets([partition])[partition]:
            for records in consumer.poll(timeout_ms=500).values():
                found += records
        return found

    return read


async def test_topics_are_made_as_stock_makes_them(address: KafkaAddress):
    bus = await joined(address, "invoker3", "completed0", "health", "cacheInvalidation")
    await bus.close()

    def settings() -> dict[str, dict[str, str]]:
        admin = KafkaAdminClient(bootstrap_servers=list(address.servers))
        try:
            names = ("invoker3", "completed0", "health", "cacheInvalidation")
            found = admin.describe_configs([_topic_resource(address.prefix + name) for name in names])
        finally:
            admin.close()
        return _by_topic(found, address.prefix)

    found = await asyncio.to_thread(settings)
    for name, retention_ms in (("invoker3", 172800000), ("completed0", 3600000), ("health", 3600000)):
        assert found[name]["retention.ms"] == str(retention_ms)
        assert found[name]["segment.bytes"] == "536870912"
        assert found[name]["retention.bytes"] == "1073741824"
    assert found["cacheInvalidation"]["retention.ms"] == "300000"
    assert found["invoker3"]["max.message.bytes"] == found["completed0"]["max.message.bytes"] == "1054644"
    assert "max.message.bytes" not in found["health"]


def _topic_resource(name: str) -> ConfigResource:
    return ConfigResource(ConfigResourceType.TOPIC, name)


def _by_topic(found: Any, prefix: str) -> dict[str, dict[str, str]]:
    [topics] = found.values()
    return {
        name.removeprefix(prefix): {key: one["value"] for key, one in settings.items()}
        for name, settings in topics.items()
    }


async def test_a_record_has_no_key_and_headers_only_if_the_message_has(address: KafkaAddress):
    bus = await joined(address, "health")
    bus.publish("health", Message(b"{}"))
    bus.publish("health", Message(b"{}", {"id": "x"}))
    await bus.close()
    plain, headed = await ask(address, records_of(f"{address.prefix}health"))
    assert (plain.key, plain.value, list(plain.headers)) == (None, b"{}", [])
    assert list(headed.headers) == [("dataflower", b'{"id":"x"}')]


async def test_offsets_are_committed_in_the_name_of_stocks_group(address: KafkaAddress):
    bus = await joined(address, "invoker0")
    got: list[Message] = []
    done: list[bool] = []
    bus.subscribe("invoker0", got.append)
    for _ in range(3):
        bus.publish("invoker0", Message(b"{}"))
    await until(lambda: len(got) == 3)
    bus.commit("invoker0", got[1].offset, lambda: done.append(True))
    await until(lambda: done)
    await bus.close()
    name = f"{address.prefix}invoker0"
    assert await ask(address, lambda one: one.committed(TopicPartition(name, 0)), group_id=name) == 2


async def test_pings_of_the_past_are_not_read(address: KafkaAddress):
    bus = await joined(address, "health")
    bus.publish("health", Message(b"old"))
    await bus.close()
    bus = await joined(address, "health")
    got: list[bytes | memoryview] = []
    bus.subscribe("health", lambda message: got.append(message.payload))

    def ping() -> bool:
        bus.publish("health", Message(b"new"))
        return bool(got)

    await until(ping)
    await bus.close()
    assert set(got) == {b"new"}


async def test_what_an_earlier_life_may_have_seen_is_marked(address: KafkaAddress):
    bus = await joined(address, "invoker0")
    bus.publish("invoker0", Message(b"before"))
    await bus.close()
    bus = await joined(address, "invoker0")
    got: list[Message] = []
    bus.subscribe("invoker0", got.append)
    await until(lambda: got)
    bus.publish("invoker0", Message(b"after"))
    await until(lambda: len(got) == 2)
    await bus.close()
    assert [(one.payload, one.repeated) for one in got] == [(b"before", True), (b"after", False)]


async def test_stocks_largest_message_is_taken_and_a_larger_one_is_told(address: KafkaAddress):
    bus = await joined(address, "invoker0")
    told: list[Exception | None] = []
    bus.publish("invoker0", Message(b"x" * (MAX_MESSAGE_BYTES - 100)), told.append)
    await until(lambda: told)
    bus.publish("invoker0", Message(b"x" * (MAX_MESSAGE_BYTES + 1)), told.append)
    await until(lambda: len(told) == 2)
    await bus.close()
    assert told[0] is None
    assert isinstance(told[1], MessageTooLarge)


async def test_without_kafka_the_start_ends_and_says_so(free_port: int):
    bus = KafkaBus(KafkaAddress(servers=(f"127.0.0.1:{free_port}",)), topics=["health"])
    with pytest.raises(BusUnavailable, match=f"127.0.0.1:{free_port}"):
        await bus.start(within_s=0.1)
    await bus.close()


async def test_messages_that_kafka_does_not_have_are_bounded_and_can_be_taken_back(mortal_kafka: kafka.Kafka):
    bus = await joined(KafkaAddress(servers=(mortal_kafka.server,)), "health", max_messages=3)
    mortal_kafka.kill()
    told: list[Exception | None] = []
    # A topic that nobody has made: without Kafka nothing of it leaves us.
    posted = [bus.post("invoker9", Message(b"x"), told.append) for _ in range(4)]
    assert posted[3] is None
    assert [type(one) for one in told] == [BusUnavailable]
    assert posted[2] is not None
    assert bus.withdraw("invoker9", posted[2])
    assert bus.post("invoker9", Message(b"y"), told.append) is not None
    await bus.close()


async def test_every_message_arrives_once_and_in_order_through_the_death_of_kafka(mortal_kafka: kafka.Kafka):
    address = KafkaAddress(servers=(mortal_kafka.server,))
    publisher, consumer = await joined(address, "invoker0"), await joined(address, "invoker0")
    got: list[Message] = []
    kept: list[Exception | None] = []
    committed: list[int] = []

    def take(message: Message) -> None:
        got.append(message)
        consumer.commit("invoker0", message.offset, lambda: committed.append(message.offset))

    consumer.subscribe("invoker0", take)
    for number in range(20):
        publisher.publish("invoker0", Message(b"%d" % number), kept.append)
    await until(lambda: len(committed) == 20)
    mortal_kafka.kill()
    for number in range(20, 40):
        publisher.publish("invoker0", Message(b"%d" % number), kept.append)
    await asyncio.to_thread(mortal_kafka.start)
    for number in range(40, 60):
        publisher.publish("invoker0", Message(b"%d" % number), kept.append)
    await until(lambda: len(committed) == 60, BACK_S, lambda: f"{len(got)} came, {len(kept)} were kept")
    await asyncio.gather(publisher.close(), consumer.close())
    assert [one.payload for one in got] == [b"%d" % number for number in range(60)]
    assert kept == [None] * 60


def test_checksums_of_messages_are_not_made_in_python():
    from kafka.record import util

    assert util.crc32c_c is not None, "900 KB take 200 ms without the package crc32c"
