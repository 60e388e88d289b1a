from __future__ import annotations

from invoker_ext.bus import Message
from invoker_ext.buses.topic import Entry, Topic


def a_topic(max_messages: int = 10, max_bytes: int = 1000) -> Topic:
    return Topic(100, max_messages, max_bytes)


def put(topic: Topic, *payloads: bytes) -> list[Entry]:
    entries = [topic.put(Message(payload), None, number) for number, payload in enumerate(payloads)]
    return [entry for entry in entries if entry is not None]


def take_all(topic: Topic) -> list[bytes]:
    taken = []
    while (entry := topic.take()) is not None:
        taken.append(bytes(entry.message.payload))
    return taken


def test_messages_are_taken_in_order_and_numbered():
    topic = a_topic()
    assert [entry.message.offset for entry in put(topic, b"a", b"b")] == [100, 101]
    assert take_all(topic) == [b"a", b"b"]


def test_a_commit_covers_everything_before_it():
    topic = a_topic()
    put(topic, b"a", b"b", b"c")
    take_all(topic)
    assert [entry.number for entry in topic.commit(101)] == [0, 1]
    assert (len(topic), topic.size_bytes) == (1, 1)


def test_an_older_commit_covers_nothing():
    topic = a_topic()
    put(topic, b"a")
    take_all(topic)
    assert topic.commit(99) == []


def test_what_was_not_delivered_cannot_be_committed():
    topic = a_topic()
    put(topic, b"a")
    assert topic.commit(100) == []


def test_a_new_consumer_gets_what_was_not_committed():
    topic = a_topic()
    put(topic, b"a", b"b", b"c")
    topic.take()
    topic.take()
    topic.commit(100)
    topic.rewind()
    assert take_all(topic) == [b"b", b"c"]


def test_a_late_commit_of_a_consumer_that_came_back_is_taken():
    topic = a_topic()
    put(topic, b"a", b"b")
    topic.take()
    topic.rewind()
    assert [entry.number for entry in topic.commit_waiting(101)] == [0]
    assert take_all(topic) == [b"b"]


def test_the_bounds_refuse():
    topic = a_topic(max_messages=2, max_bytes=5)
    assert topic.put(Message(b"123456"), None, 0) is None
    assert len(put(topic, b"1", b"2", b"3")) == 2


def test_an_undelivered_message_can_be_taken_back():
    topic = a_topic()
    first, second = put(topic, b"a", b"b")
    assert topic.withdraw(first)
    assert not topic.withdraw(first)
    assert take_all(topic) == [b"b"]
    assert not topic.withdraw(second)
    assert topic.size_bytes == 1


def test_a_message_that_a_dead_consumer_has_seen_cannot_be_taken_back():
    topic = a_topic()
    (entry,) = put(topic, b"a")
    topic.take()
    topic.rewind()
    assert not topic.withdraw(entry)


def test_a_message_taken_back_leaves_its_room():
    topic = a_topic(max_messages=1)
    (entry,) = put(topic, b"a")
    topic.withdraw(entry)
    assert len(topic) == 0
    assert put(topic, b"b")
