import json

import pytest

from action_runtime.long_text import LONG_CHARACTERS, printed

encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
LONG = "y" * LONG_CHARACTERS


@pytest.mark.parametrize(
    "value",
    [
        "short",
        LONG,
        LONG[1:],
        LONG + "é",
        LONG + "\ud83d\ude00",
        LONG + "\x7f",
        [LONG],
        {},
        {"a": 1},
        {"a": LONG},
        {"a": LONG, "é\n": [1, {"b": None}], "c": "x\n"},
        {"a": 1, "b": LONG, "c": LONG + '"'},
        {1: LONG, None: 1.5},
        {str(number): LONG for number in range(100)},
    ],
)
def test_the_text_is_the_encoders(value):
    assert printed(value, encode) == encode(value)


@pytest.mark.parametrize("character", [*map(chr, range(0x20)), '"', "\\"])
def test_what_must_be_escaped_is_escaped_wherever_it_stands(character):
    for text in (character + LONG, LONG + character, LONG + character + LONG):
        assert printed({"a": text}, encode) == encode({"a": text})


def test_long_strings_are_not_handed_to_the_encoder():
    seen = []

    def noting(value):
        seen.append(value)
        return encode(value)

    printed({"a": LONG, "b": 1}, noting)
    printed(LONG, noting)

    assert seen == ["a", "b", 1]


def test_troubles_stay_the_encoders():
    for value in ({"a": LONG, "b": float("nan")}, {"a": LONG, (1, 2): 1}, {"a": LONG, "b": object()}):
        with pytest.raises((TypeError, ValueError)) as ours:
            printed(value, encode)
        with pytest.raises(type(ours.value)) as theirs:
            encode(value)
        assert str(ours.value) == str(theirs.value)
