"""What a RUN frame says of its inputs, read back as a container would."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from action_runtime.wire.values import Head, Media
from invoker_ext.dataflow.commands import Bound, Chunks, Constant, Streamed
from invoker_ext.relay.layout import INLINE_BYTES, Layout, lay_out


class Held:
    """A `Stored` of plain bytes; `inline` or not as the test wants."""

    def __init__(self, head: Head, data: bytes, small: bool = True) -> None:
        self.head = head
        self.data = data
        self.size_bytes = len(data)
        self.inline = data if small else None
        self.elsewhere = False

    def retain(self) -> None:
        raise AssertionError("laying out adds no references")

    release = retain

    def descriptor(self) -> int:
        raise AssertionError("laying out is pure")

    def read(self) -> bytes:
        return self.data


def json_value(value, small=True) -> Held:
    text = json.dumps(value).encode()
    return Held(Head(Media.JSON, len(text)), text, small)


def bytes_value(data: bytes, small=True) -> Held:
    return Held(Head(Media.BYTES, len(data)), data, small)


def pack(head: Head, data: bytes) -> Held:
    return Held(head, data, small=False)


def no_pack(head, data):
    raise AssertionError("nothing had to be packed")


def resolve(layout: Layout, tree: Any) -> Any:
    """Read a TREE as the container does."""
    if isinstance(tree, list):
        return [resolve(layout, one) for one in tree]
    if "chunks" in tree:
        whole = b"".join(resolve(layout, one) for one in tree["chunks"])
        assert len(whole) == tree["n"]
        return whole
    source = layout.segments[tree["seg"]].read() if "seg" in tree else b"".join(layout.parts)
    data = source[tree.get("at", 0) :][: tree["n"]]
    assert len(data) == tree["n"]
    return json.loads(data) if tree["t"] == "json" else data


def values(layout: Layout) -> dict[str, Any]:
    return {one["name"]: resolve(layout, one["value"]) for one in layout.inputs}


def test_small_values_lie_one_after_the_other_in_the_payload():
    layout = lay_out([Bound("a", json_value(1)), Bound("b", json_value("x")), Bound("c", Constant("[2]"))], no_pack)

    assert b"".join(layout.parts) == b'1"x"[2]'
    assert values(layout) == {"a": 1, "b": "x", "c": [2]}
    assert layout.segments == []


def test_large_values_are_segments_counted_from_nought():
    first, second = json_value("one", small=False), bytes_value(b"two", small=False)

    layout = lay_out([Bound("a", first), Bound("b", second)], no_pack)

    assert layout.segments == [first, second]
    assert values(layout) == {"a": "one", "b": b"two"}


def test_a_segment_that_two_inputs_read_is_sent_once():
    one = json_value("one", small=False)

    layout = lay_out([Bound("a", one), Bound("b", (one, one))], no_pack)

    assert layout.segments == [one]
    assert values(layout) == {"a": "one", "b": ["one", "one"]}


def test_a_list_of_small_json_values_is_one_value():
    layout = lay_out([Bound("a", (json_value(1), (json_value(2), Constant("3")), ()))], no_pack)

    assert layout.inputs == [{"name": "a", "value": {"t": "json", "n": 12, "at": 0}}]
    assert values(layout) == {"a": [1, [2, 3], []]}


def test_a_list_with_anything_else_is_a_list_of_values():
    layout = lay_out([Bound("a", (json_value(1), bytes_value(b"x"), (json_value(2, small=False),)))], no_pack)

    assert values(layout) == {"a": [1, b"x", [2]]}


def test_an_array_keeps_its_shape():
    array = Held(Head(Media.ARRAY, 16, (2, 1), "<f8"), bytes(16))

    [described] = lay_out([Bound("a", array)], no_pack).inputs

    assert described["value"] == {"t": "array", "n": 16, "shape": [2, 1], "dtype": "<f8", "at": 0}


def test_chunks_are_one_value_of_many_parts():
    parts = (bytes_value(b"ab"), bytes_value(b"cd", small=False), bytes_value(b"e"))

    layout = lay_out([Bound("a", Chunks(parts))], no_pack)

    assert values(layout) == {"a": b"abcde"}


def test_a_stream_is_only_announced():
    layout = lay_out([Bound("a", Streamed())], no_pack)

    assert layout.inputs == [{"name": "a", "stream": True}]


def test_a_stream_in_a_list_is_refused():
    with pytest.raises(TypeError):
        lay_out([Bound("a", (Streamed(),))], no_pack)


def test_what_is_too_much_for_one_frame_is_put_together_in_one_segment():
    items = tuple(bytes_value(bytes([number % 256]) * 15_000) for number in range(300))
    large = json_value("large", small=False)

    layout = lay_out([Bound("all", items), Bound("a", large), Bound("last", json_value(7))], pack)

    assert sum(map(len, layout.parts)) <= INLINE_BYTES
    assert len(layout.packed) == 1
    assert len(layout.segments) == 2
    assert values(layout) == {"all": [item.data for item in items], "a": "large", "last": 7}


trees = st.recursive(
    st.builds(json_value, st.integers() | st.text(max_size=3), st.booleans())
    | st.builds(bytes_value, st.binary(max_size=5), st.booleans())
    | st.integers().map(lambda number: Constant(str(number))),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=8,
)


def plain(value):
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    if isinstance(value, Constant):
        return json.loads(value.json)
    return json.loads(value.data) if value.head.media is Media.JSON else value.data


@given(st.dictionaries(st.text(max_size=3), trees, max_size=4))
def test_whatever_is_bound_arrives_as_it_is(bound):
    layout = lay_out([Bound(name, value) for name, value in bound.items()], no_pack)

    assert values(layout) == {name: plain(value) for name, value in bound.items()}
