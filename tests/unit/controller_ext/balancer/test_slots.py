from __future__ import annotations

import pytest

from controller_ext.balancer.slots import Slots, home_hash, java_hash, pools, steps


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


def a_fleet(*memory_mb: int) -> Slots:
    slots = Slots()
    for index, size in enumerate(memory_mb):
        slots.resize(index, size)
    return slots


def test_a_run_goes_home_while_there_is_room():
    slots = a_fleet(512, 512)
    assert [slots.take((0, 1), 1, 256) for _ in range(2)] == [1, 1]
    assert slots.take((0, 1), 1, 256) == 0


def test_an_unusable_home_is_passed_over():
    assert a_fleet(512, 512).take((0,), 1, 256) == 0


def test_an_overloaded_fleet_gets_the_run_where_most_room_is_left():
    slots = a_fleet(100, 200)
    assert slots.take((0, 1), 0, 256) == 1
    assert slots.free_mb(1) == -56


def test_nobody_usable_means_nobody_chosen():
    assert a_fleet(512).take((), 0, 256) is None
    assert Slots().take((), 0, 256) is None


def test_memory_given_back_can_be_taken_again():
    slots = a_fleet(256)
    chosen = slots.take((0,), 7, 256)
    assert chosen == 0
    slots.give_back(chosen, 256)
    assert slots.free_mb(0) == 256


def test_a_resize_keeps_what_is_charged():
    slots = a_fleet(512)
    slots.take((0,), 0, 256)
    slots.resize(0, 1024)
    assert slots.free_mb(0) == 768
