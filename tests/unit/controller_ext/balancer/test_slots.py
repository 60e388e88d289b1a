from __future__ import annotations

from typing import Any

import pytest

from controller_ext.balancer.slots import Charge, Slots, ends_within_s, home_hash, java_hash, pools, steps


@pytest.mark.parametrize(
    ("namespace", "action", "expected"),
    [
        ("guest", "guest/hello", 13198339),
        ("guest", "guest/pkg/hello", 753903232),
        ("guest", "whisk.system/utils/echo", 1997953949),
        ("whisk.system", "whisk.system/invokerHealthTestAction0", 117526585),
    ],
)
def test_the_home_of_an_action_is_stocks(namespace: str, action: str, expected: int):
    assert home_hash(namespace, action) == expected


def test_characters_beyond_16_bits_hash_as_on_the_jvm():
    assert java_hash("\U0001f600") == 1772899


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, (1,)),
        (2, (1,)),
        (3, (1, 2)),
        (4, (1, 3)),
        (5, (1, 2, 3)),
        (6, (1, 5)),
        (7, (1, 2, 3, 5)),
        (8, (1, 3, 5, 7)),
        (9, (1, 2, 5, 7)),
        (10, (1, 3, 7)),
        (12, (1, 5, 7, 11)),
        (16, (1, 3, 5, 7, 11, 13)),
    ],
)
def test_steps_are_stocks(count: int, expected: tuple[int, ...]):
    assert steps(count) == expected


@pytest.mark.parametrize(
    ("count", "managed", "blackbox"),
    [(1, range(1), range(1)), (2, range(2), range(1, 2)), (10, range(9), range(9, 10)), (25, range(23), range(23, 25))],
)
def test_invokers_are_parted_as_by_stock(count: int, managed: range, blackbox: range):
    assert pools(count) == (managed, blackbox)


def test_the_last_invokers_are_at_least_what_the_first_leave():
    assert pools(10, managed=0.5, blackbox=0.1) == (range(5), range(5, 10))


def a_fleet(*memory_mb: int, picked: int = 0) -> Slots:
    slots = Slots(lambda below: picked % below)
    for index, size in enumerate(memory_mb):
        slots.resize(index, size)
    return slots


def a_charge(memory_mb: int = 256, home: int = 0, **fields: Any) -> Charge:
    return Charge(memory_mb=memory_mb, home=home, **fields)


def test_a_run_goes_home_while_there_is_room():
    slots = a_fleet(512, 512)
    assert [slots.take((0, 1), a_charge(home=1)) for _ in range(2)] == [1, 1]
    assert slots.take((0, 1), a_charge(home=1)) == 0


def test_who_has_no_room_is_passed_over_by_the_step_of_the_action():
    # Hash 13198339 over five invokers: home 4, step 2.
    slots = a_fleet(256, 256, 256, 256, 256)
    home = home_hash("guest", "guest/hello")
    assert [slots.take(range(5), a_charge(home=home)) for _ in range(5)] == [4, 1, 3, 0, 2]


def test_an_unusable_home_is_passed_over():
    assert a_fleet(512, 512).take((0,), a_charge(home=1)) == 0


@pytest.mark.parametrize("picked", [0, 1])
def test_an_overloaded_fleet_gets_the_run_anywhere(picked: int):
    slots = a_fleet(200, 1000, 200, picked=picked)
    assert slots.take((0, 2), a_charge()) == (0, 2)[picked]
    assert slots.free_mb((0, 2)[picked]) == -56


def test_images_that_must_be_pulled_go_to_the_last_invokers_and_no_others_there():
    slots = a_fleet(*[256] * 10)
    pulled = a_charge(pulled=True)
    assert [slots.take(range(10), pulled) for _ in range(3)] == [9, 9, 9]
    assert {slots.take(range(10), a_charge()) for _ in range(20)} <= set(range(9))
    assert slots.take(range(9), pulled) is None


def test_nobody_usable_means_nobody_chosen():
    assert a_fleet(512).take((), a_charge()) is None
    assert a_fleet().take((), a_charge()) is None


def test_memory_given_back_can_be_taken_again():
    slots = a_fleet(256)
    chosen = slots.take((0,), a_charge(home=7))
    assert chosen == 0
    slots.give_back(chosen, a_charge(home=7))
    assert slots.free_mb(0) == 256


def test_a_resize_keeps_what_is_charged():
    slots = a_fleet(512)
    slots.take((0,), a_charge())
    slots.resize(0, 1024)
    assert slots.free_mb(0) == 768


def test_activations_of_an_action_share_a_slot_up_to_its_limit():
    slots = a_fleet(512)
    shared = a_charge(action="guest/a@0.0.1", concurrency=3)
    free = []
    for _ in range(4):
        slots.take((0,), shared)
        free.append(slots.free_mb(0))
    assert free == [256, 256, 256, 0]
    for _ in range(4):
        slots.give_back(0, shared)
        free.append(slots.free_mb(0))
    # As stock's nested semaphore: memory comes back with each third place that is free.
    assert free[4:] == [256, 256, 256, 512]


def test_another_version_of_an_action_has_slots_of_its_own():
    slots = a_fleet(512)
    for version in ("0.0.1", "0.0.2"):
        slots.take((0,), a_charge(action=f"guest/a@{version}", concurrency=2))
    assert slots.free_mb(0) == 0


def test_an_overloaded_invoker_shares_slots_too():
    slots = a_fleet(128)
    shared = a_charge(action="guest/a@0.0.1", concurrency=2)
    assert [slots.take((0,), shared) for _ in range(3)] == [0, 0, 0]
    assert slots.free_mb(0) == 128 - 2 * 256
    for _ in range(3):
        slots.give_back(0, shared)
    assert slots.free_mb(0) == 128 - 256 + 256


def test_controllers_share_an_invokers_memory():
    slots = a_fleet(1024, 0)
    slots.take((0,), a_charge())
    for controllers, free in ((2, 256), (3, 341 - 256), (100, 128 - 256), (1, 768)):
        slots.divide(controllers)
        assert slots.free_mb(0) == free
    slots.divide(2)
    slots.resize(1, 600)
    assert slots.free_mb(1) == 300


@pytest.mark.parametrize(("timeout_s", "ends_s"), [(0.1, 180.0), (60.0, 180.0), (300.0, 660.0)])
def test_an_end_is_awaited_as_long_as_by_stock(timeout_s: float, ends_s: float):
    assert ends_within_s(timeout_s) == ends_s


def test_what_an_invoker_has_from_before_is_charged_to_it_before_it_is_heard_of():
    slots = Slots(lambda _: 0)
    charge = Charge(memory_mb=256, home=0)
    slots.charge(2, charge)

    for invoker in range(3):
        slots.resize(invoker, 1024)

    assert [slots.free_mb(invoker) for invoker in range(3)] == [1024, 1024, 768]
    slots.give_back(2, charge)
    assert slots.free_mb(2) == 1024
