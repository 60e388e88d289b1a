from __future__ import annotations

import itertools

import pytest

from controller_ext.balancer.fleet import SILENT_S, TRANSITIONS, Fleet, Health, HealthEvent, MalformedPing, Ping


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


def test_three_system_errors_are_tolerated_and_four_are_not():
    fleet = Fleet()
    fleet.pinged(a_ping(), 0.0)
    assert not any(fleet.ended(0, system_error=True) for _ in range(3))
    assert fleet.ended(0, system_error=True)
    assert fleet.states() == {"invoker0/host": "unhealthy"}


def test_an_unhealthy_invoker_is_used_only_when_no_healthy_one_is_left():
    fleet = Fleet()
    fleet.pinged(a_ping(0), 0.0)
    for _ in range(4):
        fleet.ended(0, system_error=True)
    assert fleet.usable() == (0,)
    fleet.pinged(a_ping(1), 0.0)
    assert fleet.usable() == (1,)


def test_a_success_makes_an_unhealthy_invoker_healthy():
    fleet = Fleet()
    fleet.pinged(a_ping(), 0.0)
    for _ in range(4):
        fleet.ended(0, system_error=True)
    assert fleet.ended(0, system_error=False)
    assert fleet.states() == {"invoker0/host": "up"}


def test_a_result_of_an_unknown_invoker_changes_nothing():
    assert not Fleet().ended(3, system_error=True)


def test_a_stock_ping_is_read():
    stock = {"instance": 2, "instanceType": "invoker", "userMemory": "1073741824 B", "tags": [], "uniqueName": "u"}
    assert Ping.from_json({"name": stock}) == Ping(2, 1024, "u", True)
    assert Ping.from_json({"name": stock, "isEnabled": False}).enabled is False


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"name": None},
        {"name": {"instance": 0, "userMemory": "1 GB"}},
        {"name": {"instance": -1, "userMemory": "1 B"}},
        {"name": {"instance": 10**9, "userMemory": "1 B"}},
        {"name": {"instance": True, "userMemory": "1 B"}},
    ],
)
def test_anything_else_is_malformed(document: dict[str, object]):
    with pytest.raises(MalformedPing):
        Ping.from_json(document)
