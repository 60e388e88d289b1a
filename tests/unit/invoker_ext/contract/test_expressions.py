import contextlib
import pickle

import pytest
from hypothesis import given, settings, strategies as st

from invoker_ext.contract.expressions import ConditionFailed, check, evaluate


@pytest.mark.parametrize(
    "text",
    [
        "value.illegal == true",
        "has(value.a) && value.a > 3",
        "value.exists(x, x.n > 2) || size(value) == 0",
        "value.rows.all(row, row.all(cell, cell > 0))",
        "type(value) == string && value.startsWith('//')",
        "'all(' in value.tags",
        "timestamp(value.at) > timestamp('2024-01-01T00:00:00Z')",
    ],
)
def test_a_sound_condition_gets_no_complaint(text):
    assert check(text) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "empty"),
        ("value.a >", "not valid CEL at column 10"),
        ("value.a == 1 &&\n  )", "not valid CEL at line 2, column 3"),
        ("vlaue.a == 1", "unknown variable `vlaue`"),
        ("value.all(x, y > 1)", "unknown variable `y`"),
        ("value.startWith('a')", "did you mean `startsWith`"),
        ("open('x') == 1", "unknown function `open`"),
        ("x" * 5000, "5000 characters"),
        ("value.all(a, a.all(b, b.all(c, c)))", "nest 3 deep"),
        ("value.map(a, [a, a]).map(b, [b, b]) == []", "2 times `map`"),
        ("value == " + "9" * 40, "invalid int literal"),
    ],
)
def test_a_broken_condition_is_explained_at_deploy_time(text, sentence):
    assert sentence in (check(text) or "")


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("value.illegal == true", {"illegal": True}, True),
        ("value.illegal == true", {"illegal": False}, False),
        ("value > 3", 3.5, True),
        ("value == null", None, True),
        ("value.size() == 2", [1, 2], True),
        ("has(value.x) && value.x", {}, False),
    ],
)
def test_a_condition_is_decided_by_the_value(text, value, holds):
    assert evaluate(text, value) is holds


@pytest.mark.parametrize(
    ("text", "value", "sentence"),
    [
        ("value.illegal == true", {}, "no field `illegal`"),
        ("value[3] == 1", [1], "too short"),
        ("value.a", {"a": 3}, "the outcome is a number, not true or false"),
        ("value.a == 1", "text", "(a string)"),
        ("value.a == 1", [1], "(a list)"),
        ("value.a == 1", True, "(a boolean)"),
        ("value.a == 1", None, "(null)"),
        ("value", {}, "the outcome is an object"),
        ("timestamp('2020-01-01T00:00:00Z')", 1, "the outcome is datetime"),
        ("value.a == 1", b"raw", "bytes"),
        ("1 / value == 1", 0, "division by zero"),
        ("value.matches('(')", "x", "regex"),
    ],
)
def test_a_condition_that_cannot_be_decided_says_why(text, value, sentence):
    with pytest.raises(ConditionFailed, match="condition `") as caught:
        evaluate(text, value)
    assert sentence in str(caught.value)


def test_the_error_survives_pickling():
    with pytest.raises(ConditionFailed) as caught:
        evaluate("value.a", {})
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


_SNIPPETS = st.sampled_from(
    ["value", ".", "a", "(", ")", "==", "1", "&&", "'", "all(x,", "x", "[", "]", "{", "}", "!", " "]
)


@settings(max_examples=200, deadline=None)
@given(
    text=st.one_of(st.text(), st.lists(_SNIPPETS).map("".join)),
    value=st.none() | st.integers() | st.dictionaries(st.text(), st.text()),
)
def test_no_text_brings_anything_but_a_sentence(text, value):
    if check(text) is None:
        with contextlib.suppress(ConditionFailed):
            assert evaluate(text, value) in {True, False}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("value.all(a, value.exists(b, b == a))", list(range(4_000))),
        ("value.all(a, a in value)", list(range(4_000))),
        ("value.map(a, a).size() > 0", list(range(4_000))),
        ("value.map(a, value).size() > 0", list(range(400))),
        ("value.filter(a, value.filter(b, b == a).size() > 0).size() > 0", list(range(400))),
        ("value.all(a, [1, 2, 3].all(b, b > a))", list(range(20_000))),
        ("(" + "value + " * 100 + "value).all(a, a >= 0)", list(range(4_000))),
        ("value == 1", list(range(100_000))),
        ("value.a == 1", {str(n): n for n in range(10_000)}),
    ],
)
def test_a_condition_that_would_hold_everybody_up_is_refused(text, value):
    assert check(text) is None
    with pytest.raises(ConditionFailed, match="too many members"):
        evaluate(text, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("value.all(a, a >= 0)", list(range(20_000))),
        ("value.rows.filter(row, row.n > 2).size() > 3", {"rows": [{"n": n, "name": "x"} for n in range(200)]}),
        ("value.all(a, value.exists(b, b == a))", list(range(50))),
    ],
)
def test_what_is_quick_is_decided(text, value):
    assert evaluate(text, value)
