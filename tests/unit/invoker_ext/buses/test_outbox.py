from __future__ import annotations

from invoker_ext.bus import BusUnavailable, Message
from invoker_ext.buses.outbox import Outbox


def test_numbers_grow_per_topic():
    outbox = Outbox(10, 100)
    assert [outbox.add(topic, Message(b"x"), None) for topic in ("a", "a", "b")] == [1, 2, 1]


def test_everything_up_to_a_number_is_kept():
    outbox = Outbox(10, 100)
    kept: list[tuple[int, Exception | None]] = []
    for number in (1, 2, 3):
        outbox.add("t", Message(b"x"), lambda error, number=number: kept.append((number, error)))  # type: ignore[misc]
    outbox.kept("t", 2)
    assert kept == [(1, None), (2, None)]
    assert [one.number for _, one in outbox.unkept()] == [3]


def test_one_failure_concerns_one_message():
    outbox = Outbox(10, 100)
    heard: list[Exception | None] = []
    error = BusUnavailable("full")
    for _ in range(3):
        outbox.add("t", Message(b"x"), heard.append)
    outbox.failed("t", 2, error)
    assert heard == [error]
    assert [one.number for _, one in outbox.unkept()] == [1, 3]


def test_unknown_numbers_and_topics_change_nothing():
    outbox = Outbox(10, 100)
    outbox.kept("t", 5)
    outbox.failed("t", 5, BusUnavailable("full"))
    assert outbox.drop("t", 5) is None


def test_the_bounds_refuse_and_keeping_makes_room():
    outbox = Outbox(2, 10)
    assert outbox.add("t", Message(bytes(11)), None) is None
    outbox.add("t", Message(b"x"), None)
    outbox.add("u", Message(b"x"), None)
    assert outbox.add("t", Message(b"x"), None) is None
    outbox.kept("u", 1)
    assert len(outbox) == 1
    assert outbox.add("t", Message(b"x"), None) == 2
