from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

import pytest
from hypothesis import given, strategies as st

from controller_ext import json_text
from controller_ext.entities.errors import Malformed

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))
objects = st.dictionaries(st.text(max_size=4), values, max_size=5)
spaces = st.sampled_from([None, 1, 4])


@given(objects, spaces)
def test_an_object_taken_apart_and_joined_is_the_same(value: dict[str, Any], indent: int | None):
    raw = json.dumps(value, indent=indent).encode()
    assert json.loads(json_text.join(json_text.split(raw))) == value


@given(objects, spaces)
def test_the_names_of_an_object_are_found(value: dict[str, Any], indent: int | None):
    assert set(json_text.names_in(json.dumps(value, indent=indent).encode())) == value.keys()


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":NaN}', b'{"a":1,}', b'{"a":"\\ud800"}', b"[]", b"1", b'{"a":', b'{"a":"\xff"}', b"\xef\xbb\xbf{}",
        b'{"a":' + b"[" * 1000 + b"]" * 1000 + b"}", b'{"a":' + b"1" * 5000 + b"}", b'{"a":1e999}', b'{"a":1,"a":{}}',
    ],
)  # fmt: skip
def test_names_are_found_in_the_same_texts_as_by_the_parser_and_refused_with_the_same_words(raw: bytes):
    def outcome(read: Callable[[bytes], Collection[str]]) -> object:
        try:
            return set(read(raw))
        except Malformed as error:
            return str(error)

    assert outcome(json_text.names_in) == outcome(lambda raw: json_text.parse_object(raw, goes_on=True))


@given(objects, objects, spaces)
def test_a_payload_wins_over_defaults(defaults: dict[str, Any], payload: dict[str, Any], indent: int | None):
    raw = json.dumps(payload, indent=indent).encode()
    members = {name: json.dumps(value).encode() for name, value in defaults.items()}
    merged = json_text.merge(members, json_text.join(members), raw, json_text.parse_object(raw))
    assert json.loads(merged) == {**defaults, **payload}


@given(st.binary(max_size=40) | st.text(alphabet='{}[]":,0 \\uden', max_size=40).map(str.encode))
def test_garbage_is_malformed_or_an_object(raw: bytes):
    try:
        members = json_text.split(raw)
    except Malformed:
        with pytest.raises(Malformed):
            json_text.parse_object(raw)
    else:
        assert members.keys() == json_text.parse_object(raw).keys()


def test_a_payload_without_defaults_is_not_printed_again():
    raw = b' {"a" : 1.50 }'
    assert json_text.merge({}, b"{}", raw, {"a": 1}) is raw


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "Unexpected end-of-input at input index 0 (line 1, position 1), expected JSON Value:\n\n^\n"),
        (
            b'{"exec":',
            "Unexpected end-of-input at input index 8 (line 1, position 9), expected JSON Value:\n"
            '{"exec":\n        ^\n',
        ),
        (b"{", "Unexpected end-of-input at input index 1 (line 1, position 2), expected '\"':\n{\n ^\n"),
        (
            b'{\n "a" 1}',
            "Unexpected character '1' at input index 7 (line 2, position 6), expected ':':\n \"a\" 1}\n     ^\n",
        ),
        (
            b'{"a":"x',
            'Unexpected end-of-input at input index 7 (line 1, position 8), expected \'"\':\n{"a":"x\n       ^\n',
        ),
        (
            b"{} x",
            "Unexpected character 'x' at input index 3 (line 1, position 4), expected end-of-input:\n{} x\n   ^\n",
        ),
        (b'{"a":NaN}', "NaN is not a JSON value"),
        (b'{"a":"\xff"}', "Illegal UTF-8 at byte 6"),
        (b'{"a":"\\ud800"}', "half a surrogate pair is no character"),
        (b'{"\\udc00":1}', "half a surrogate pair is no character"),
        (
            b'{"a":' + b"[" * 100_000 + b"}",
            "JSON input nested too deeply:JSON input was nested more deeply than the configured limit of maxNesting"
            " = 1000",
        ),
    ],
)
@pytest.mark.parametrize("read", [json_text.parse, json_text.split])
def test_what_is_no_json_is_told_in_stocks_words(raw: bytes, text: str, read: Any):
    with pytest.raises(Malformed) as caught:
        read(raw)
    assert str(caught.value) == f"The request content was malformed:\n{text}"


@pytest.mark.parametrize("number", [b"1" * 101, b"0." + b"1" * 99, b"-" + b"9" * 100])
def test_a_number_of_more_characters_than_stock_reads_is_malformed(number: bytes):
    with pytest.raises(Malformed) as caught:
        json_text.parse(number)
    start = number[:20].decode()
    assert str(caught.value) == (
        f"The request content was malformed:\nNumber too long:The number starting with '{start}' had 101 characters"
        " which is more than the allowed limit maxNumberCharacters = 100. If this is legit input consider increasing"
        " the limit."
    )


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b'[1, {"a": 2E+400}]'])
def test_a_number_that_has_no_json_form_in_python_is_malformed(number: bytes):
    with pytest.raises(Malformed, match="is beyond the range of numbers"):
        json_text.parse(number)


def test_a_number_that_python_cannot_read_is_malformed_wherever_it_goes():
    with pytest.raises(Malformed, match=r"Number too long$"):
        json_text.split(b'{"a":' + b"9" * 5000 + b"}")


@pytest.mark.parametrize("number", [b"1" * 100, b"1e308", b"-0", b"1.5e-400"])
def test_other_numbers_are_read(number: bytes):
    assert json_text.parse(number) == json.loads(number)


def test_what_goes_on_as_it_is_may_hold_any_number():
    assert json_text.parse_object(b'{"a": 1e999, "b": ' + b"1" * 200 + b"}", goes_on=True).keys() == {"a", "b"}


def test_a_long_line_is_shown_around_the_error():
    with pytest.raises(Malformed) as caught:
        json_text.parse(b'{"a":"' + b"x" * 10_000 + b'",}')
    lines = str(caught.value).splitlines()
    assert len(lines[2]) <= 160
    assert lines[2][lines[3].index("^")] == "}"


@pytest.mark.parametrize("raw", [b"[1]", b'"x"', b"5", b"null", b"true"])
@pytest.mark.parametrize("read", [json_text.parse_object, json_text.split])
def test_anything_but_an_object_is_refused(raw: bytes, read: Any):
    with pytest.raises(Malformed, match=r"JSON object expected$"):
        read(raw)
