"""Decisions of the sink, one after the other."""

from __future__ import annotations

import pytest

from invoker_ext.sink.errors import InvalidTransition
from invoker_ext.sink.ledger import Ledger
from invoker_ext.sink.terms import INLINE_OVERHEAD_BYTES, Grant, Limits, Refuse, Spill, State, Stuck

PAGE = 4096
BUDGET = 80 * PAGE  # of which segments may take 70


def ledger(**changes) -> Ledger:
    return Ledger(Limits(**{"budget_bytes": BUDGET, "segments": 100, "spill_bytes": 1000 * PAGE, **changes}))


def held(books: Ledger, key: int, pages: int, owner: str = "a/1") -> None:
    assert Grant(key) in books.ask(key, owner, pages * PAGE)
    books.commit(key)


def test_room_that_is_there_is_granted_at_once():
    assert list(ledger().ask(1, "a/1", 10)) == [Grant(1)]


def test_a_segment_is_charged_by_the_page():
    books = ledger()
    books.ask(1, "a/1", 1)

    assert books.usage.segment_bytes == PAGE


def test_a_value_above_the_budget_is_refused_at_once_with_what_to_do():
    [command] = ledger().ask(1, "a/1", 10 * BUDGET)

    assert isinstance(command, Refuse)
    assert "can never fit" in command.reason
    assert "open_output" in command.reason


def test_a_request_without_room_waits_and_is_granted_by_a_release():
    books = ledger(spill_bytes=0)
    held(books, 1, 60)
    assert not any(isinstance(one, Grant) for one in books.ask(2, "a/1", 20 * PAGE))

    assert list(books.free(1)) == [Grant(2)]


def test_requests_are_served_in_order_even_if_a_later_one_would_fit():
    books = ledger(spill_bytes=0)
    held(books, 1, 60)
    books.ask(2, "a/1", 20 * PAGE)
    books.ask(3, "a/1", PAGE)

    assert books.state(3) is State.WAITING
    assert list(books.free(1)) == [Grant(2), Grant(3)]


def test_a_withdrawn_request_lets_the_next_one_pass():
    books = ledger(spill_bytes=0)
    held(books, 1, 60)
    books.ask(2, "a/1", 20 * PAGE)
    books.ask(3, "a/1", PAGE)

    assert list(books.free(2)) == [Grant(3)]


def test_above_the_high_water_mark_the_oldest_data_spill_down_to_the_low_one():
    books = ledger()
    for key in range(1, 7):
        held(books, key, 10)

    assert list(books.ask(7, "a/1", 10 * PAGE)) == [Grant(7), Spill(1), Spill(2)]


def test_a_request_that_waits_makes_just_enough_spill():
    books = ledger()
    held(books, 1, 30)
    held(books, 2, 30)

    assert list(books.ask(3, "a/1", 40 * PAGE)) == [Spill(1)]
    wanted, commands = books.spilled(1)
    assert wanted
    assert Grant(3) in commands


def test_what_somebody_maps_does_not_spill():
    books = ledger()
    held(books, 1, 30)
    held(books, 2, 30)
    books.pin(1)

    assert list(books.ask(3, "a/1", 40 * PAGE)) == [Spill(2)]


def test_what_a_firing_has_let_go_of_spills_first():
    books = ledger()
    held(books, 1, 30)
    held(books, 2, 30)
    books.pin(2)
    books.unpin(2)

    assert list(books.ask(3, "a/1", 40 * PAGE)) == [Spill(2)]


def test_a_datum_that_is_mapped_while_it_is_copied_stays():
    books = ledger()
    held(books, 1, 60)
    assert Spill(1) in books.ask(2, "a/1", 40 * PAGE)
    books.pin(1)

    wanted, _ = books.spilled(1)

    assert not wanted
    assert books.state(1) is State.PINNED


def test_the_copy_of_a_datum_that_was_released_meanwhile_is_not_wanted():
    books = ledger()
    held(books, 1, 60)
    books.ask(2, "a/1", 40 * PAGE)
    books.free(1)

    assert books.spilled(1) == (False, [])


def test_a_full_disk_keeps_the_data_and_stops_spilling_until_told():
    books = ledger()
    held(books, 1, 60)
    books.ask(2, "a/1", 40 * PAGE)

    [stuck] = books.spill_failed(1, "no space left")

    assert isinstance(stuck, Stuck)
    assert "no space left" in stuck.reason
    assert books.state(1) is State.HELD
    assert list(books.spill_again()) == [Spill(1)]


def test_the_bound_of_spilled_bytes_is_kept():
    books = ledger(spill_bytes=30 * PAGE)
    held(books, 1, 60)

    [stuck] = books.ask(2, "a/1", 40 * PAGE)

    assert stuck == Stuck(("a/1",), f"the sink's budget of {BUDGET} bytes is in use and nothing more can spill")


def test_a_wait_that_only_a_release_can_end_is_told_once_for_each_request():
    books = ledger(spill_bytes=0)
    held(books, 1, 60)

    assert [type(one) for one in books.ask(2, "a/1", 20 * PAGE)] == [Stuck]
    assert list(books.hold_inline("a/1", 10)) == []
    assert [type(one) for one in books.ask(3, "b/2", 20 * PAGE)] == [Stuck]
    assert books.stuck() is not None
    books.free(1)
    assert books.stuck() is None


def test_a_release_that_is_not_enough_is_told_again():
    books = ledger(spill_bytes=0)
    held(books, 1, 5)
    held(books, 2, 60)
    books.ask(3, "a/1", 20 * PAGE)

    assert [type(one) for one in books.free(1)] == [Stuck]


def test_small_data_above_the_budget_name_who_holds_more_than_others():
    books = ledger(spill_bytes=0)
    books.hold_inline("a/1", 100)
    books.hold_inline("a/2", BUDGET // 2)
    assert books.stuck() is None

    [told] = books.hold_inline("b/3", BUDGET // 2)

    assert isinstance(told, Stuck)
    assert (told.owners, told.urgent) == (("b/3",), False)
    found = books.stuck()
    assert found is not None
    assert (found.owners, found.urgent) == (("a/2", "b/3"), False)


def test_small_data_far_above_the_budget_are_urgent_until_they_are_gone():
    books = ledger(spill_bytes=0)
    books.hold_inline("a/1", BUDGET // 2)
    [told] = books.hold_inline("b/2", BUDGET)

    assert isinstance(told, Stuck)
    assert told.urgent
    books.free_inline("b/2", BUDGET)
    assert books.stuck() is None


def test_small_data_are_not_stuck_while_segments_can_spill_for_them():
    books = ledger()
    held(books, 1, 40)

    assert Spill(1) in books.hold_inline("a/1", BUDGET)
    assert books.stuck() is None


def test_nobody_is_stuck_while_a_segment_is_still_being_written():
    books = ledger()
    books.ask(1, "a/1", 60 * PAGE)

    assert list(books.ask(2, "a/1", 20 * PAGE)) == []
    assert list(books.commit(1)) == [Spill(1)]


def test_small_data_always_find_room():
    books = ledger(spill_bytes=0)
    held(books, 1, 70)

    assert list(books.hold_inline("a/1", 9 * PAGE)) == []


def test_small_data_above_the_whole_budget_are_told():
    books = ledger(spill_bytes=0)
    held(books, 1, 70)

    assert list(books.hold_inline("a/1", 11 * PAGE)) == [Stuck(("a/1",), books._why())]


def test_small_data_count_with_what_python_keeps_around_them():
    books = ledger()
    books.hold_inline("a/1", 100)
    assert books.usage.inline_bytes == 100 + INLINE_OVERHEAD_BYTES

    books.free_inline("a/1", 100)

    assert books.usage.inline_bytes == 0


def test_a_lone_namespace_may_use_the_whole_budget():
    books = ledger(spill_bytes=0)
    held(books, 1, 35)

    assert Grant(2) in books.ask(2, "a/2", 35 * PAGE)


def test_a_namespace_above_its_share_waits_while_another_passes():
    books = ledger(spill_bytes=0)
    held(books, 1, 35, "a/1")
    held(books, 2, 1, "b/1")

    books.ask(3, "a/2", 10 * PAGE)

    assert books.state(3) is State.WAITING
    assert Grant(4) in books.ask(4, "b/2", 10 * PAGE)


def test_a_namespace_above_its_share_makes_its_own_data_spill():
    books = ledger()
    held(books, 1, 1, "b/1")
    held(books, 2, 35, "a/1")

    assert list(books.ask(3, "a/2", 10 * PAGE)) == [Spill(2)]


def test_the_largest_namespace_pays_first_when_all_need_room():
    books = ledger()
    held(books, 1, 5, "b/1")
    held(books, 2, 30, "a/1")

    assert Spill(2) in books.ask(3, "c/1", 40 * PAGE)


def test_descriptors_are_bounded_as_bytes_are():
    books = ledger(segments=1)
    held(books, 1, 1)

    [stuck] = books.ask(2, "a/1", PAGE)

    assert isinstance(stuck, Stuck)
    assert "all 1 segments" in stuck.reason
    assert list(books.free(1)) == [Grant(2)]


def test_use_is_told_by_run():
    books = ledger()
    held(books, 1, 3, "a/1")
    held(books, 2, 4, "a/2")

    assert books.usage.by_owner == {"a/1": 3 * PAGE, "a/2": 4 * PAGE}


def test_what_a_container_maps_is_told_apart():
    books = ledger()
    held(books, 1, 3, "a/1")
    held(books, 2, 4, "a/1")
    books.hold_inline("a/2", 100)
    books.pin(2)

    assert books.unmapped() == {"a/1": 3 * PAGE, "a/2": 100 + INLINE_OVERHEAD_BYTES}
    assert books.unmapped_of("a/1") == [1]


def test_small_data_that_expired_are_not_counted_down_twice():
    books = ledger()
    for owner in ("a/1", "a/1", "a/2"):
        books.hold_inline(owner, 100)

    books.expire_inline("a/1")
    books.free_inline("a/1", 100)

    assert books.usage.inline_bytes == 100 + INLINE_OVERHEAD_BYTES
    assert list(books.unmapped()) == ["a/2"]


def test_room_that_an_expiry_makes_goes_to_whoever_waits():
    books = ledger(spill_bytes=0)
    held(books, 1, 40)
    books.hold_inline("a/1", 20 * PAGE)
    books.ask(2, "b/1", 20 * PAGE)

    assert list(books.expire_inline("a/1")) == [Grant(2)]


@pytest.mark.parametrize(
    "wrong",
    [lambda books: books.commit(1), lambda books: (books.pin(1), books.unpin(1), books.unpin(1))],
    ids=["commit twice", "unpin twice"],
)
def test_what_a_state_does_not_allow_raises(wrong):
    books = ledger()
    held(books, 1, 1)

    with pytest.raises(InvalidTransition):
        wrong(books)
