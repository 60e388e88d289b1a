"""Calls and answers cross the socket unharmed, however the bytes are split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, strategies as st

from invoker_ext.inline.call import Call, Evaluated, Fault
from invoker_ext.inline.frames import (
    JOINED_BYTES,
    Messages,
    Part,
    answer_parts,
    call_parts,
    pack,
    read_answer,
    read_call,
)

JSON_BYTES = st.binary(max_size=40)
CELLS = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), JSON_BYTES, max_size=3)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def crossed(parts: Sequence[Part]) -> list[memoryview]:
    """Return parts as the other end gets them."""
    [got] = taken(Messages(), b"".join(pack(parts)))
    return got


def taken(messages: Messages, data: bytes) -> list[list[memoryview]]:
    """Have bytes received."""
    found = []
    while data:
        room = messages.room()
        count = min(len(room), len(data))
        room[:count] = data[:count]
        found += [[memoryview(bytes(part)) for part in parts] for parts in messages.took(count)]
        data = data[count:]
    return found


@given(st.lists(st.lists(JSON_BYTES, max_size=4), max_size=4), st.data())
def test_messages_come_out_as_they_went_in_over_every_split(sent, data):
    stream = b"".join(piece for parts in sent for piece in pack(parts))
    messages = Messages()
    got = []
    at = 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream) - at))
        got += taken(messages, stream[at : at + size])
        at += size
    assert got == sent


@given(TEXT, TEXT, TEXT, st.lists(JSON_BYTES, max_size=4), CELLS)
def test_a_call_is_read_as_it_was_written(namespace, code, path, params, cells):
    call = Call(namespace=namespace, code=code, path=path, params=params, cells=cells)
    assert read_call(crossed(call_parts(call))) == replace(call, params=(b"".join(params),))


@given(st.none() | JSON_BYTES, st.none() | TEXT, st.none() | st.sampled_from(Fault), CELLS, TEXT)
def test_an_answer_is_read_as_it_was_written(result, error, fault, cells, log):
    answer = Evaluated(result=result, error=error, fault=fault, cells=cells, log=log)
    assert read_answer(crossed(answer_parts(answer))) == answer


def test_a_large_piece_is_not_copied_and_small_ones_are_sent_together():
    large = bytes(JOINED_BYTES)
    packed = pack([[b"[", large, b",", large, b"]"], b"1"])
    assert [one is large for one in packed] == [False, True, False, True, False]
    assert crossed([[b"[", large, b",", large, b"]"], b"1"]) == [b"[%b,%b]" % (large, large), b"1"]
