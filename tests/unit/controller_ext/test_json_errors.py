import json

import pytest
from hypothesis import given, strategies as st

from controller_ext.json_errors import READ_BYTES, sentence


def parts(raw: bytes) -> tuple[str, str]:
    """What was found and where, and what was expected."""
    text = sentence(raw)
    assert text is not None
    first, _, _ = text.partition(":\n")
    found, _, expected = first.removeprefix("Unexpected ").partition(", expected ")
    return found, expected


@pytest.mark.parametrize(
    ("raw", "found", "expected"),
    [
        (b"", "end-of-input at input index 0 (line 1, position 1)", "JSON Value"),
        (b"  ", "end-of-input at input index 2 (line 1, position 3)", "JSON Value"),
        (b"{", "end-of-input at input index 1 (line 1, position 2)", "'\"'"),
        (b"{'a'", "character ''' at input index 1 (line 1, position 2)", "'\"'"),
        (b'{"a"', "end-of-input at input index 4 (line 1, position 5)", "':'"),
        (b'{"a":', "end-of-input at input index 5 (line 1, position 6)", "JSON Value"),
        (b'{"a":1', "end-of-input at input index 6 (line 1, position 7)", "'}'"),
        (b'{"a":1,', "end-of-input at input index 7 (line 1, position 8)", "'\"'"),
        (b'{"a":1,}', "character '}' at input index 7 (line 1, position 8)", "'\"'"),
        (b'{"a":1]', "character ']' at input index 6 (line 1, position 7)", "'}'"),
        (b'{"a":01}', "character '1' at input index 6 (line 1, position 7)", "'}'"),
        (b'{"a":-}', "character '}' at input index 6 (line 1, position 7)", "DIGIT"),
        (b'{"a":1.}', "character '}' at input index 7 (line 1, position 8)", "DIGIT"),
        (b'{"a":1e+}', "character '}' at input index 8 (line 1, position 9)", "DIGIT"),
        (b"[1,2", "end-of-input at input index 4 (line 1, position 5)", "']'"),
        (b"[1,]", "character ']' at input index 3 (line 1, position 4)", "JSON Value"),
        (b"[1 2]", "character '2' at input index 3 (line 1, position 4)", "']'"),
        (b"[NaN]", "character 'N' at input index 1 (line 1, position 2)", "JSON Value"),
        # A word is told by where it began, and by the character that is wrong in it.
        (b'{"a":tru}', "character '}' at input index 5 (line 1, position 6)", "JSON Value"),
        (b"nul", "end-of-input at input index 0 (line 1, position 1)", "JSON Value"),
        (b'"a', "end-of-input at input index 2 (line 1, position 3)", "'\"'"),
        (b'"a\x01"', "character '\\u0001' at input index 2 (line 1, position 3)", "'\"'"),
        (b'"\\x"', "character 'x' at input index 2 (line 1, position 3)", "JSON escape sequence"),
        (b'"\\u12g4"', "character 'g' at input index 5 (line 1, position 6)", "hex digit"),
        (b'{"a":1} x', "character 'x' at input index 8 (line 1, position 9)", "end-of-input"),
        (b'{"a":1}{', "character '{' at input index 7 (line 1, position 8)", "end-of-input"),
        (b'{\n "a": x}', "character 'x' at input index 8 (line 2, position 7)", "JSON Value"),
        ('{"é": x}'.encode(), "character 'x' at input index 7 (line 1, position 8)", "JSON Value"),
        ("é".encode(), "character 'Ã' at input index 0 (line 1, position 1)", "JSON Value"),
    ],
)
def test_the_sentence_says_what_stock_found_where_and_what_it_expected(raw: bytes, found: str, expected: str):
    assert parts(raw) == (found, expected)


def test_the_line_is_shown_with_a_mark_below():
    assert sentence(b'{"a":1,\n"b"\x01') == (
        "Unexpected character '\\u0001' at input index 11 (line 2, position 4), expected ':':\n\"b\"?\n   ^\n"
    )


def test_of_a_long_line_what_is_around_is_shown():
    text = sentence(b"[" + b"1," * 1000 + b"x]")

    assert text is not None
    line, mark = text.splitlines()[1:]
    assert len(line) <= 160
    assert line[mark.index("^")] == "x"


def test_a_text_that_is_too_large_is_not_read_again():
    assert sentence(b"[" * (READ_BYTES + 1)) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_what_is_json_has_nothing_wrong(value: object, indent: bool):
    assert sentence(json.dumps(value, indent=1 if indent else None, ensure_ascii=not indent).encode()) is None


@given(VALUES, st.integers(0, 400), st.binary(max_size=3))
def test_what_is_wrong_for_python_is_wrong_here(value: object, at: int, other: bytes):
    raw = json.dumps(value).encode()
    raw = raw[:at] + other + raw[at + 1 :]
    try:
        json.loads(raw.decode("ascii"), parse_constant=lambda word: 1 / 0)
    except (ValueError, ZeroDivisionError):
        assert sentence(raw) is not None or not raw.isascii()
    else:
        assert sentence(raw) is None
