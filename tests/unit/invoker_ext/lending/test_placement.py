"""Where a firing is executed."""

from __future__ import annotations

import pytest

from invoker_ext.lending.placement import SMALL_BYTES, Ask, MostBytes

LARGE = 4 * SMALL_BYTES
ROOMY = {0: 1024, 1: 1024, 2: 1024}


def choose(bytes_at=None, room_mb=None, memory_mb=256):
    return MostBytes().choose(Ask(memory_mb, bytes_at or {}), 0, ROOMY if room_mb is None else room_mb)


def test_a_firing_goes_to_the_host_that_has_most_of_its_input():
    assert choose({0: SMALL_BYTES, 1: LARGE, 2: 3 * SMALL_BYTES}) == 1


@pytest.mark.parametrize("bytes_at", [{}, {0: LARGE, 1: LARGE}, {1: SMALL_BYTES - 1}])
def test_ties_and_small_inputs_go_to_the_owner(bytes_at):
    assert choose(bytes_at) == 0


def test_a_host_without_room_gets_nothing_whatever_it_holds():
    assert choose({1: LARGE}, {0: 1024, 1: 255, 2: 1024}) == 0


def test_an_owner_without_room_lends_from_who_has_most():
    assert choose({}, {0: 128, 1: 512, 2: 768}) == 2


def test_an_owner_without_room_keeps_what_nobody_else_has_room_for():
    assert choose({1: LARGE}, {0: 0, 1: 0, 2: -512}) == 0


def test_equal_room_goes_to_the_lowest_number():
    assert choose({}, {0: 0, 1: 512, 2: 512}) == 1
