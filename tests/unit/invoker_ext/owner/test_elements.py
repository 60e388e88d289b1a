"""Elements that are cut out of a text are those that reading it gives."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from invoker_ext.owner.elements import cut

BLANK = st.text("\t\n\r ", max_size=2)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(JSON, min_size=1, max_size=4), BLANK, st.booleans())
def test_each_is_there_as_it_stands_in_the_text(values, blank, plain):
    written = [json.dumps(one, ensure_ascii=plain) for one in values]
    inner = f"{blank},{blank}".join(written)
    text = f'{blank}{{{blank}"value"{blank}:{blank}[{blank}{inner}{blank}]{blank}}}{blank}'
    assert cut(text.encode(), lambda one: one, 4) == ([one.encode() for one in written], values)


@pytest.mark.parametrize(
    "text",
    [
        b'{"value":[]}',
        b'{"value":[1],"more":2}',
        b'{"more":2,"value":[1]}',
        b'{"value":{"value":[1]}}',
        b'{"value":[1,]}',
        b'{"value":[1}',
        b'{"value":[1]} x',
        b'{"value":[1',
        b'{"value":["\xff"]}',
        b'{"value":[\x0b1]}',
        b"[1]",
        b"",
        b'{"value":[1,2,3]}',
    ],
)
def test_all_else_is_left_to_who_reads_it_whole(text):
    assert cut(text, lambda one: one, 2) is None
