from __future__ import annotations

from typing import Any

import pytest

from controller_ext.alarms import feed
from controller_ext.alarms.machine import ATTEMPTS, TRANSITIONS, DeleteTrigger, Fire, Machine, State, Stored, Write

START = 1_700_000_000_000 - 1_700_000_000_000 % 60_000
"""The top of a minute."""


def alarm(at_ms: int = START, /, **params: Any) -> feed.Alarm:
    return {"name": "t", "namespace": "guest", "apikey": "u:k", **feed.create(params, at_ms)}


def stored(found: feed.Alarm, revision: str = "1", doc_id: str = "a") -> Stored:
    return Stored(doc_id, revision, found)


MINUTELY: dict[str, Any] = {"cron": "* * * * *"}


def begun(found: feed.Alarm, now_ms: int = START) -> tuple[Machine, Stored]:
    """Return a machine that has seen an alarm."""
    machine, one = Machine(START), stored(found)
    assert machine.seen([one], now_ms) == []
    return machine, one


def fire(machine: Machine, one: Stored, now_ms: int, status: int | None = 202) -> list[Any]:
    assert machine.due(now_ms) == [Fire(one)]
    return machine.fired(one, status, now_ms)


def reason(command: Any) -> str:
    assert isinstance(command, Write)
    assert command.alarm is not None
    message: str = command.alarm["status"]["reason"]["message"]
    return message


def test_an_alarm_fires_when_it_is_due_and_not_before():
    machine, one = begun(alarm(**MINUTELY))
    assert machine.next_ms() == START + 60_000
    assert machine.due(START + 59_999) == []
    assert machine.due(START + 60_000) == [Fire(one)]


def test_it_fires_again_at_the_next_time():
    machine, one = begun(alarm(**MINUTELY))
    assert fire(machine, one, START + 60_000) == []
    assert machine.next_ms() == START + 120_000


def test_what_is_due_while_a_fire_is_under_way_is_not_made_up():
    machine, one = begun(alarm(**MINUTELY))
    machine.due(START + 60_000)
    assert machine.due(START + 200_000) == []
    machine.fired(one, 202, START + 200_000)
    assert machine.next_ms() == START + 240_000


def test_an_alarm_that_was_made_in_this_life_and_seen_late_fires_at_once():
    machine, one = begun(alarm(fireOnce=True, date=START + 500), START + 900)
    assert machine.due(START + 900) == [Fire(one)]


def test_what_was_missed_while_nobody_ran_is_not_made_up():
    machine = Machine(START)
    one = stored(alarm(START - 600_000, isInterval=True, minutes=4))
    assert machine.seen([one], START + 5) == []
    assert machine.next_ms() == START + 150_000  # 30 s after it was made, and every 4 minutes


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"fireOnce": True, "date": START - 1000}, "the fire once date has expired"),
        ({**MINUTELY, "stopDate": START - 1000}, "the stop date has expired"),
        ({"cron": "0 * * * *", "stopDate": START + 1000}, "the next scheduled trigger fire is after the stop date"),
    ],
)
def test_what_was_over_by_the_next_start_ends_and_says_so(params: dict[str, Any], text: str):
    machine = Machine(START)
    commands = machine.seen([stored(alarm(START - 86_400_000, **params))], START)
    assert reason(commands[0]) == (f"Automatically disabled after receiving error on trigger initialization: {text}")


def test_an_alarm_that_can_never_fire_ends_after_its_creation():
    machine = Machine(START)
    found = alarm(**MINUTELY, startDate=START + 61_000, stopDate=START + 70_000)
    commands = machine.seen([stored(found)], START)
    assert reason(commands[0]) == (
        "Automatically disabled after receiving error on trigger creation:"
        " the next scheduled trigger fire is after the stop date"
    )


def test_a_document_that_makes_no_sense_ends():
    machine = Machine(START)
    commands = machine.seen([stored({**alarm(**MINUTELY), "cron": "x"})], START)
    assert reason(commands[0]).endswith("cron pattern 'x' is not valid")


def test_an_alarm_that_does_not_fire_is_left_alone():
    machine = Machine(START)
    ended = feed.disabled(alarm(**MINUTELY), "over", START)
    assert machine.seen([stored(ended)], START) == []
    assert machine.next_ms() is None


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_trigger_that_is_refused_ends_its_alarm(status: int):
    machine, one = begun(alarm(**MINUTELY))
    (write,) = fire(machine, one, START + 60_000, status)
    assert reason(write) == f"Trigger automatically disabled: Received a {status} status code when firing the trigger"
    assert write.alarm["status"]["reason"]["statusCode"] == status


@pytest.mark.parametrize("status", [None, 408, 409, 500, 503])
def test_a_fire_that_failed_is_tried_again_a_bounded_number_of_times(status: int | None):
    machine, one = begun(alarm(**MINUTELY))
    now_ms = START + 60_000
    for _ in range(ATTEMPTS - 1):
        assert fire(machine, one, now_ms, status) == []
        assert machine.next_ms() == now_ms + 1_000
        now_ms += 1_000
    assert fire(machine, one, now_ms, status) == []
    assert machine.next_ms() == START + 120_000
    fire(machine, one, START + 120_000, status)
    assert machine.next_ms() == START + 121_000, "the next fire has all attempts of its own"


def test_a_throttled_fire_waits_longer_each_time_and_ends_its_alarm_in_the_end():
    machine, one = begun(alarm(**MINUTELY))
    now_ms = START + 60_000
    for count in range(1, ATTEMPTS):
        assert fire(machine, one, now_ms, 429) == []
        now_ms += count**2 * 1_000
        assert machine.next_ms() == now_ms
    (write,) = fire(machine, one, now_ms, 429)
    assert reason(write) == (
        "Automatically disabled after continuously receiving a 429 status code when firing the trigger"
    )


def test_once_is_once():
    machine, one = begun(alarm(fireOnce=True, date=START + 10))
    (write,) = fire(machine, one, START + 10)
    assert reason(write) == "Automatically disabled after firing once"
    assert machine.due(START + 20) == []
    machine.written(one, stored(write.alarm, "2"), START + 20)
    assert machine.next_ms() is None


@pytest.mark.parametrize(("wanted", "rules"), [("true", False), ("rules", True)])
def test_once_may_take_its_trigger_along(wanted: str, rules: bool):
    found = alarm(fireOnce=True, date=START + 10, deleteAfterFire=wanted)
    machine, one = begun(found)
    assert fire(machine, one, START + 10) == [Write(one, None), DeleteTrigger(found, rules=rules)]
    machine.written(one, None, START + 20)
    assert machine.next_ms() is None


@pytest.mark.parametrize(
    ("params", "at_ms", "kind"),
    [
        ({**MINUTELY, "stopDate": START + 90_000}, START + 60_000, "cron"),
        ({"isInterval": True, "minutes": 1, "stopDate": START + 80_000}, START + 30_000, "interval"),
    ],
)
def test_the_last_fire_before_the_stop_ends_the_alarm(params: dict[str, Any], at_ms: int, kind: str):
    machine, one = begun(alarm(**params))
    (write,) = fire(machine, one, at_ms)
    assert reason(write) == f"Automatically disabled after firing last scheduled {kind} trigger"


def test_fires_are_counted_where_they_are_limited_and_the_count_is_kept():
    machine, one = begun(alarm(**MINUTELY, maxTriggers=2))
    (write,) = fire(machine, one, START + 60_000)
    assert (write.alarm["triggersLeft"], write.alarm["status"]["active"]) == (1, True)
    again = stored(write.alarm, "2")
    machine.written(one, again, START + 60_100)
    assert machine.seen([again], START + 60_200) == []
    assert machine.next_ms() == START + 120_000
    (write,) = fire(machine, again, START + 120_000)
    assert reason(write) == "Automatically disabled after reaching max triggers"


def test_a_fire_that_failed_is_not_counted():
    machine, one = begun(alarm(**MINUTELY, maxTriggers=1))
    now_ms = START + 60_000
    for _ in range(ATTEMPTS):
        assert fire(machine, one, now_ms, 503) == []
        now_ms += 1_000
    assert machine.next_ms() == START + 120_000


def test_what_could_not_be_stored_is_stored_again_until_it_is():
    machine, one = begun(alarm(fireOnce=True, date=START + 10))
    (write,) = fire(machine, one, START + 10)
    assert machine.due(START + 1_009) == []
    assert machine.due(START + 1_010) == [write]
    assert machine.due(START + 2_010) == [write]


def test_what_somebody_else_changed_meanwhile_counts():
    machine, one = begun(alarm(fireOnce=True, date=START + 10))
    fire(machine, one, START + 10)
    machine.written(one, None, START + 20)
    changed = stored(alarm(START + 15, fireOnce=True, date=START + 500), "2")
    assert machine.seen([changed], START + 30) == []
    assert machine.due(START + 500) == [Fire(changed)]


def test_the_answer_to_an_alarm_that_was_changed_meanwhile_is_of_no_meaning():
    machine, one = begun(alarm(**MINUTELY))
    machine.due(START + 60_000)
    changed = stored(alarm(START + 60_010, cron="*/5 * * * *"), "2")
    machine.seen([changed], START + 60_020)
    assert machine.fired(one, 404, START + 60_030) == []
    assert machine.next_ms() == START // 300_000 * 300_000 + 300_000
    machine.written(one, stored(one.alarm, "9"), START + 60_040)
    assert machine.seen([changed], START + 60_050) == []


def test_an_alarm_that_was_deleted_fires_no_more():
    machine, one = begun(alarm(**MINUTELY))
    machine.due(START + 60_000)
    assert machine.seen([], START + 60_010) == []
    assert machine.fired(one, 202, START + 60_020) == []
    assert machine.next_ms() is None


def test_alarms_are_of_each_other_independent():
    machine = Machine(START)
    slow, quick = stored(alarm(**MINUTELY), doc_id="slow"), stored(alarm(**MINUTELY), doc_id="quick")
    machine.seen([slow, quick], START)
    assert machine.due(START + 60_000) == [Fire(slow), Fire(quick)]
    machine.fired(quick, 202, START + 60_010)
    assert machine.due(START + 120_000) == [Fire(quick)]


def test_every_state_can_be_left_and_reached():
    assert set(TRANSITIONS) == set(State)
    assert {one for after in TRANSITIONS.values() for one in after} == set(State)
