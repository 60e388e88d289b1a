from __future__ import annotations

import itertools
import json

import pytest

from controller_ext.balancer.fleet import (
    SILENT_S,
    TEST_S,
    TRANSITIONS,
    Fleet,
    Health,
    HealthEvent,
    MalformedPing,
    Ping,
    Result,
)


def a_ping(instance: int = 0, enabled: bool = True) -> Ping:
    return Ping(instance, 1024, "host", enabled)


def test_every_state_has_an_answer_to_every_event():
    assert set(TRANSITIONS) == set(itertools.product(Health, HealthEvent))


def test_a_ping_makes_an_invoker_usable():
    fleet = Fleet()
    assert fleet.pinged(a_ping(), 0.0)
    assert fleet.usable() == (0,)
    assert not fleet.pinged(a_ping(), 1.0)


def test_indices_below_the_first_ping_are_known_as_down():
    fleet = Fleet()
    fleet.pinged(a_ping(1), 0.0)
    assert fleet.states() == {"invoker0/0": "down", "invoker1/host": "up"}


def test_silence_takes_an_invoker_out():
    fleet = Fleet()
    fleet.pinged(a_ping(), 0.0)
    assert not fleet.silent(SILENT_S)
    assert fleet.silent(SILENT_S + 0.1)
    assert fleet.usable() == ()


def test_an_invoker_that_leaves_says_so():
    fleet = Fleet()
    fleet.pinged(a_ping(), 0.0)
    assert fleet.pinged(a_ping(enabled=False), 1.0)
    assert fleet.states() == {"invoker0/host": "down"}


def test_an_unhealthy_invoker_is_used_only_when_no_healthy_one_is_left():
    fleet = Fleet()
    fleet.pinged(a_ping(0), 0.0)
    for _ in range(4):
        fleet.ended(0, Result.SYSTEM_ERROR, 0.0)
    assert fleet.usable() == (0,)
    fleet.pinged(a_ping(1), 0.0)
    assert fleet.usable() == (1,)


def test_an_unhealthy_invoker_of_stock_gets_tests_alone():
    fleet = Fleet()
    fleet.pinged(STOCK, 0.0)
    assert (fleet.usable(), fleet.tests_due(0.0)) == ((), [0])


def test_whatever_is_heard_of_an_invoker_shows_that_it_is_there():
    fleet = Fleet()
    fleet.pinged(a_ping(), 0.0)
    fleet.ended(0, Result.SUCCESS, SILENT_S)
    assert not fleet.silent(2 * SILENT_S)
    assert fleet.silent(2 * SILENT_S + 0.1)
    fleet.ended(0, Result.SUCCESS, 3 * SILENT_S)
    assert fleet.states() == {"invoker0/host": "down"}


def test_a_result_of_an_unknown_invoker_changes_nothing():
    assert not Fleet().ended(3, Result.SYSTEM_ERROR, 0.0)


def test_a_stock_ping_is_read():
    stock = {"instance": 2, "instanceType": "invoker", "userMemory": "1073741824 B", "tags": [], "uniqueName": "u"}
    assert Ping.read(json.dumps({"name": stock}).encode()) == Ping(2, 1024, "u", True, takes_runs=False)
    assert Ping.read(json.dumps({"name": stock, "isEnabled": False}).encode()).enabled is False
    ours = {**stock, "tags": ["dataflow"]}
    assert Ping.read(json.dumps({"name": ours}).encode()).takes_runs


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"name": None},
        {"name": {"instance": 0, "instanceType": "invoker", "userMemory": "much"}},
        {"name": {"instance": 0, "instanceType": "controller", "userMemory": "1 GB"}},
        {"name": {"instance": -1, "instanceType": "invoker", "userMemory": "1 B"}},
        {"name": {"instance": 10**9, "instanceType": "invoker", "userMemory": "1 B"}},
        {"name": {"instance": True, "instanceType": "invoker", "userMemory": "1 B"}},
        {"name": {"instance": 0, "instanceType": "invoker", "userMemory": "1 B", "tags": ["dataflow.peer=1;1;1;host"]}},
    ],
)
def test_anything_else_is_malformed(document: dict[str, object]):
    with pytest.raises(MalformedPing):
        Ping.read(json.dumps(document).encode())


GOOD, BAD, LATE = Result.SUCCESS, Result.SYSTEM_ERROR, Result.TIMEOUT
STOCK_HEALTH = {
    # What an invoker did since its first ping → what it is held for.
    "came": ((), "unhealthy"),
    "worked": ((GOOD,), "up"),
    "failed first": ((BAD,), "unhealthy"),
    "was late first": ((LATE,), "unresponsive"),
    "worked, then failed": ((GOOD, BAD), "unhealthy"),
    "failed, then worked": ((BAD, GOOD), "up"),
    "failed three times of many": ((GOOD, GOOD, GOOD, GOOD, BAD, BAD, BAD), "up"),
    "failed four times of many": ((GOOD, GOOD, GOOD, GOOD, BAD, BAD, BAD, BAD), "unhealthy"),
    "was late four times": ((GOOD, GOOD, GOOD, GOOD, LATE, LATE, LATE, LATE), "unresponsive"),
    "failed and was late, three times each": ((GOOD, BAD, LATE, BAD, LATE, BAD, LATE), "up"),
    "works again, not often enough": ((GOOD, *(BAD,) * 4, *(GOOD,) * 5), "unhealthy"),
    "works again": ((GOOD, *(BAD,) * 4, *(GOOD,) * 7), "up"),
}


@pytest.mark.parametrize("case", STOCK_HEALTH)
def test_an_invoker_is_judged_as_by_stock(case: str):
    results, health = STOCK_HEALTH[case]
    fleet = Fleet()
    fleet.pinged(STOCK, 0.0)
    fleet.pinged(a_ping(1), 0.0)
    for result in results:
        fleet.ended(0, result, 0.0)
        fleet.ended(1, result, 0.0)
    # One of ours need not be tested before it gets work.
    assert list(fleet.states().values()) == [health, health if results else "up"]


STOCK = Ping(0, 1024, "host", True, takes_runs=False)


def test_a_stock_invoker_is_tested_at_once_then_each_minute_until_it_is_healthy():
    fleet = Fleet()
    fleet.pinged(STOCK, 5.0)
    assert fleet.tests_due(5.0) == [0]
    assert fleet.tests_due(5.0 + TEST_S - 1) == []
    assert fleet.tests_due(5.0 + TEST_S) == [0]
    fleet.ended(0, GOOD, 0.0)
    assert fleet.tests_due(1000.0) == []


def test_a_success_of_one_that_stays_unhealthy_is_followed_by_a_test_at_once():
    fleet = Fleet()
    fleet.pinged(STOCK, 0.0)
    for result in (GOOD, BAD, BAD, BAD, BAD):
        fleet.ended(0, result, 0.0)
    assert fleet.tests_due(0.0) == [0]
    fleet.ended(0, GOOD, 0.0)
    assert fleet.states() == {"invoker0/host": "unhealthy"}
    assert fleet.tests_due(0.0) == [0]


def test_an_invoker_of_ours_is_tested_only_when_it_failed():
    fleet = Fleet()
    fleet.pinged(a_ping(), 0.0)
    assert fleet.tests_due(0.0) == []
    fleet.ended(0, BAD, 0.0)
    assert fleet.tests_due(0.0) == [0]


def test_runs_go_to_invokers_of_ours_alone():
    fleet = Fleet()
    fleet.pinged(STOCK, 0.0)
    fleet.ended(0, GOOD, 0.0)
    assert (fleet.usable(), fleet.usable(runs=True)) == ((0,), ())
    fleet.pinged(a_ping(1), 0.0)
    assert (fleet.usable(), fleet.usable(runs=True)) == ((0, 1), (1,))
