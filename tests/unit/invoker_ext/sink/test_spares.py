from __future__ import annotations

import os

import pytest
from hypothesis import given, strategies as st

from invoker_ext.sink.spares import MAX_BYTES, MIN_BYTES, Spares, size_class

MIB = 1 << 20


@pytest.fixture
def orders():
    return []


@pytest.fixture
def spares(orders):
    """Spares of at most 8 MiB; what stands for a segment is /dev/null."""
    made = Spares(8 * MIB, orders.append)
    yield made
    made.trim(0)


def null() -> int:
    return os.open(os.devnull, os.O_RDONLY)


def serve(spares: Spares, size_bytes: int, room_bytes: int = 64 * MIB):
    found = spares.take(size_bytes)
    spares.replenish(size_bytes, room_bytes)
    if found:
        os.close(found[0])
    return found


@given(st.integers(MIN_BYTES, MAX_BYTES))
def test_a_class_holds_its_sizes_and_wastes_at_most_an_eighth(size):
    assert size <= size_class(size) <= size * 9 / 8


def test_powers_of_two_are_classes_of_their_own():
    assert [size_class(MIB), size_class(64 * MIB)] == [MIB, 64 * MIB]


def test_nothing_is_kept_before_somebody_asked(spares, orders):
    assert orders == []
    assert spares.held_bytes == 0


def test_a_miss_orders_one_for_the_next(spares, orders):
    assert serve(spares, MIB) is None
    assert orders == [MIB]


def test_what_was_ordered_serves_the_next_of_its_class_and_is_replaced(spares, orders):
    serve(spares, MIB)
    spares.put(null(), MIB)

    found = serve(spares, MIB - 100)

    assert found is not None
    assert found[1] == MIB
    assert orders == [MIB, MIB]


def test_a_spare_on_its_way_goes_to_who_waits_for_it_and_is_replaced(spares, orders):
    came: list[tuple[int, int] | None] = []
    serve(spares, MIB)

    assert spares.wait(MIB - 100, came.append)
    assert serve(spares, MIB - 100) is None
    assert orders == [MIB, MIB]
    descriptor = null()
    spares.put(descriptor, MIB)

    assert came == [(descriptor, MIB)]
    assert spares.held_bytes == 0
    os.close(descriptor)


def test_who_waits_in_vain_is_told(spares):
    came: list[tuple[int, int] | None] = []
    serve(spares, MIB)
    assert spares.wait(MIB, came.append)

    spares.failed(MIB)

    assert came == [None]
    assert not spares.wait(MIB, came.append)


def test_nobody_waits_for_what_is_not_on_its_way(spares):
    assert not spares.wait(MIB, lambda spare: None)
    serve(spares, MIB)
    assert not spares.wait(2 * MIB, lambda spare: None)
    assert spares.wait(MIB, lambda spare: None)
    assert not spares.wait(MIB, lambda spare: None)


def test_each_further_miss_while_none_is_on_its_way_keeps_one_more(spares, orders):
    serve(spares, MIB)
    spares.wait(MIB, lambda spare: None)
    serve(spares, MIB)
    assert orders == [MIB, MIB]

    serve(spares, MIB)

    assert orders == [MIB, MIB, MIB]
    serve(spares, MIB)
    assert orders == [MIB, MIB, MIB]


def test_sizes_out_of_range_have_no_spares(spares, orders):
    serve(spares, MIN_BYTES - 1)
    serve(spares, MAX_BYTES + 1)

    assert orders == []


def test_the_bound_is_kept_and_the_least_recently_used_class_gives_way(spares, orders):
    serve(spares, 6 * MIB)
    spares.put(null(), 6 * MIB)

    serve(spares, 4 * MIB)

    assert spares.held_bytes == 0
    assert orders == [6 * MIB, 4 * MIB]


def test_nothing_is_ordered_that_the_budget_has_no_room_for(spares, orders):
    serve(spares, MIB, room_bytes=MIB - 1)

    assert orders == []


def test_a_failed_order_is_not_repeated_until_the_next_miss(spares, orders):
    serve(spares, MIB)
    spares.failed(MIB)
    assert orders == [MIB]

    serve(spares, MIB)

    assert orders == [MIB, MIB]
