import array
import json

import numpy as np
import pytest
from hypothesis import given, strategies as st

from action_runtime import serde
from action_runtime.serde import as_bytes, decode, dumps, encode, json_length, json_text, revive
from action_runtime.wire.values import Head, Media

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
).filter(lambda value: not (isinstance(value, dict) and set(value) == {"$data"}))


@given(JSON)
def test_json_comes_back_equal(value):
    try:
        encoded = encode(value)
    except UnicodeEncodeError:
        return
    assert decode(encoded.head, encoded.data) == value
    assert encoded.head.size_bytes == len(encoded.data)


@given(st.binary())
def test_bytes_come_back_equal_and_read_only(value):
    for shape in (value, bytearray(value), memoryview(value)):
        encoded = encode(shape)
        assert encoded.head == Head(Media.BYTES, len(value))
        back = decode(encoded.head, bytes(encoded.data))
        assert (bytes(back), back.readonly) == (value, True)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6, dtype="<i4").reshape(2, 3),
        np.arange(6, dtype=">f8"),
        np.arange(24).reshape(2, 3, 4)[:, ::2, :],
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([True, False]),
        np.array([1 + 2j]),
        np.array(["ab", "c"]),
        np.array(["2026-01-01"], dtype="datetime64[ns]"),
        np.empty((0, 3)),
    ],
    ids=lambda value: f"{value.dtype}{value.shape}",
)
def test_numpy_arrays_come_back_equal(value):
    encoded = encode(value)
    back = decode(encoded.head, bytes(encoded.data))

    assert (back.dtype, back.shape) == (value.dtype, value.shape)
    assert np.array_equal(back, value)


@pytest.mark.parametrize(
    "value", [array.array("d", [1.5]), memoryview(bytes(8)).cast("h"), memoryview(b"ab").cast("b")]
)
def test_buffers_of_numbers_are_arrays(value):
    encoded = encode(value)

    assert encoded.head.media is Media.ARRAY
    assert np.array_equal(decode(encoded.head, bytes(encoded.data)), np.asarray(value))


def test_arrays_are_shaped_views_where_numpy_is_not(monkeypatch):
    monkeypatch.setattr(serde, "_numpy", lambda: None)
    value = np.arange(6, dtype="<i2").reshape(2, 3)

    back = decode(encode(value).head, value.tobytes())

    assert (back.shape, back.tolist(), back.readonly) == ((2, 3), value.tolist(), True)
    assert decode(Head(Media.ARRAY, 0, (0, 3), "<f8"), b"").tolist() == []
    for dtype in (">i2", "<c16"):
        with pytest.raises(TypeError, match="needs NumPy"):
            decode(Head(Media.ARRAY, 16, (1,), dtype), bytes(16))


@pytest.mark.parametrize(
    "value", [np.array([object()]), np.zeros(2, dtype=[("a", "<i4")]), {1, 2}, object(), memoryview(bytes(8)).cast("P")]
)
def test_what_cannot_be_sent_is_a_type_error(value):
    with pytest.raises(TypeError):
        encode(value)


def test_numbers_without_a_json_form_are_a_value_error():
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode([float("nan")])


def test_only_what_nobody_can_change_counts_as_fixed():
    frozen = np.zeros(4)
    frozen.flags.writeable = False

    assert not encode(b"x").mutable
    assert not encode(memoryview(b"xyz")[1:]).mutable
    assert encode(bytearray(b"x")).mutable
    assert encode(memoryview(bytearray(b"x")).toreadonly()).mutable
    assert encode(frozen).mutable
    assert not encode(np.zeros((4, 4))[:, ::2]).mutable


def test_numpy_numbers_are_json():
    assert json.loads(dumps({"a": np.int64(3), "b": np.float32(0.5), "c": np.array(7)})) == {"a": 3, "b": 0.5, "c": 7}
    assert encode(np.int64(3)).data == b"3"


def test_bytes_and_arrays_inside_json_become_data_and_come_back():
    array = np.arange(4, dtype="<i4").reshape(2, 2)
    value = {"raw": b"\x00\xff", "array": array}
    plain = json.loads(dumps(value))

    assert plain["raw"] == {"$data": {"type": "bytes", "base64": "AP8="}}
    assert bytes(revive(plain["raw"])) == b"\x00\xff"
    assert np.array_equal(revive(plain["array"]), array)


@pytest.mark.parametrize(
    "value",
    [
        {"$data": 1},
        {"$data": {"type": "bytes"}},
        {"$data": {"type": "bytes", "base64": "!"}},
        {"$data": {"type": "array", "base64": "AA==", "shape": [9], "dtype": "<f8"}},
        {"$data": {"type": "other", "base64": ""}},
        {"$data": {"type": "bytes", "base64": ""}, "more": 1},
        [1],
    ],
)
def test_what_only_looks_like_data_stays_as_it_is(value):
    assert revive(value) is value


@given(JSON | st.binary(max_size=40))
def test_the_length_of_the_json_form_is_known_without_building_it(value):
    encoded = encode(value)

    assert json_length(encoded) == len(json_text(encoded))


def test_a_file_over_a_value_holds_its_bytes_its_text_or_its_json():
    assert bytes(as_bytes("ü")) == "ü".encode()
    assert bytes(as_bytes(b"ab")) == b"ab"
    assert bytes(as_bytes(np.array([1], dtype="|u1"))) == b"\x01"
    assert bytes(as_bytes({"a": 1})) == b'{"a": 1}'
