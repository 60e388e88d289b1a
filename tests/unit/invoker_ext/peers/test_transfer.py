"""Credit, and whether a transfer that was cut goes on."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from action_runtime.wire.errors import ProtocolViolation
from action_runtime.wire.values import Head, Media
from invoker_ext.peers.bulk.credit import PART_BYTES, Allowance, Window
from invoker_ext.peers.errors import InvalidTransition
from invoker_ext.peers.ref import Ref
from invoker_ext.peers.transfer import Transfer, TransferState


def moving(tries: int = 3) -> Transfer:
    transfer = Transfer(100, tries)
    transfer.has_room()
    transfer.begins()
    return transfer


def test_a_transfer_that_makes_progress_may_be_cut_any_number_of_times():
    transfer = moving()
    for at in range(1, 50):
        assert transfer.was_cut(at)
        assert transfer.at == at
        transfer.begins()
    transfer.is_whole()
    assert (transfer.state, transfer.at, transfer.cuts) == (TransferState.DONE, 100, 49)


def test_a_transfer_that_makes_none_fails_after_its_tries():
    transfer = moving(tries=3)
    for goes_on in (True, True, True, False):
        assert transfer.was_cut(7) is goes_on
        if goes_on:
            transfer.begins()
    assert transfer.state is TransferState.FAILED


def test_what_is_not_in_the_table_is_not_done():
    transfer = Transfer(100, 3)
    with pytest.raises(InvalidTransition):
        transfer.begins()
    with pytest.raises(InvalidTransition):
        transfer.is_whole()
    done = moving()
    done.is_whole()
    done.fails()
    assert done.state is TransferState.DONE


@given(
    size_bytes=st.integers(1, 10 * PART_BYTES),
    credit_bytes=st.integers(1, 4 * PART_BYTES),
    pieces=st.lists(st.integers(1, PART_BYTES), min_size=1),
    start=st.floats(0, 0.99),
)
def test_a_datum_passes_with_any_credit_and_never_more_than_that_is_under_way(size_bytes, credit_bytes, pieces, start):
    offset = int(size_bytes * start)
    window = Window(size_bytes - offset, credit_bytes)
    allowance = Allowance(offset, size_bytes, window.first_bytes)
    taken = offset
    turn = 0
    while taken < size_bytes:
        part = allowance.next_bytes()
        allowance.sent(part)
        assert allowance.at - taken <= credit_bytes
        assert allowance.at > taken, "nobody can go on"
        while taken < allowance.at:
            piece = max(1, min(pieces[turn % len(pieces)], allowance.at - taken))
            turn += 1
            taken += piece
            if grant := window.took(piece):
                allowance.grant(grant)
            if turn > 10_000:
                return  # a credit of some bytes: long enough
    assert allowance.over


@pytest.mark.parametrize(("offset", "granted"), [(-1, 5), (10, 1), (0, 0), (0, 11), (5, 6)])
def test_a_fetch_from_beyond_the_datum_is_refused(offset, granted):
    with pytest.raises(ProtocolViolation):
        Allowance(offset, 10, granted)


@pytest.mark.parametrize("grant", [0, -1, 6, "1", None, True])
def test_more_credit_than_the_datum_has_bytes_is_refused(grant):
    with pytest.raises(ProtocolViolation):
        Allowance(0, 10, 5).grant(grant)


def test_a_ref_is_read_as_it_was_written():
    for head in (Head(Media.JSON, 7), Head(Media.ARRAY, 24, (3,), "<f8")):
        ref = Ref(3, "name", head)
        assert Ref.from_meta(ref.to_meta()) == ref
    for broken in ({}, {"host": "3", "name": "n", "t": "json", "n": 1}, {"host": 3, "name": "n", "t": "json", "n": -1}):
        with pytest.raises(ProtocolViolation):
            Ref.from_meta(broken)
