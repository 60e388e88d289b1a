"""Calls and answers cross the socket unharmed, however the bytes are split."""

from __future__ import annotations

from hypothesis import given, strategies as st

from invoker_ext.inline.call import Call, Evaluated, Fault
from invoker_ext.inline.frames import Messages, answer_parts, call_parts, pack, read_answer, read_call

JSON_BYTES = st.binary(max_size=40)
CELLS = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), JSON_BYTES, max_size=3)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.lists(JSON_BYTES, max_size=4), max_size=4), st.data())
def test_messages_come_out_as_they_went_in_over_every_split(sent, data):
    stream = b"".join(map(pack, sent))
    messages = Messages()
    got = []
    at = 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream) - at))
        got += messages.feed(stream[at : at + size])
        at += size
    assert got == sent


@given(TEXT, TEXT, TEXT, JSON_BYTES, CELLS)
def test_a_call_is_read_as_it_was_written(namespace, code, path, params, cells):
    call = Call(namespace=namespace, code=code, path=path, params=params, cells=cells)
    assert read_call(call_parts(call)) == call


@given(st.none() | JSON_BYTES, st.none() | TEXT, st.none() | st.sampled_from(Fault), CELLS, TEXT)
def test_an_answer_is_read_as_it_was_written(result, error, fault, cells, log):
    answer = Evaluated(result=result, error=error, fault=fault, cells=cells, log=log)
    assert read_answer(answer_parts(answer)) == answer
