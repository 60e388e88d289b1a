import pytest

from action_runtime.answer import Status, body, judge, refusal
from action_runtime.serde import dumps


@pytest.mark.parametrize(
    ("result", "emitted", "status"),
    [
        ({}, False, Status.OK),
        ([], False, Status.OK),
        ((1,), False, Status.OK),
        ({"error": None}, False, Status.ERROR),
        (None, False, Status.NULL),
        (None, True, Status.OK),
        ("text", True, Status.INVALID),
        (1.5, False, Status.INVALID),
        (False, False, Status.INVALID),
        (b"bytes have a form as object", False, Status.OK),
    ],
)
def test_a_result_is_judged_as_stock_does(result, emitted, status):
    assert judge(result, emitted) is status


@pytest.mark.parametrize(
    ("result", "emitted", "text"),
    [
        ({"a": 1}, {}, '{"a": 1}'),
        (None, {}, "{}"),
        (None, {"x": ["1"]}, '{"x": 1}'),
        ({"a": 1}, {"x": ["1", "[2]"], "y": ['"z"']}, '{"a": 1, "x": [1, [2]], "y": "z"}'),
        ({"x": "old", "b": 2}, {"x": ["1"]}, '{"b": 2, "x": 1}'),
        ([1], {"x": ["1"]}, "[1]"),
    ],
)
def test_emitted_values_become_members_of_the_body(result, emitted, text):
    assert body(Status.OK, result, emitted) == text


def test_nothing_emitted_and_nothing_returned_is_null():
    assert body(Status.NULL, None, {}) == "null"


def circular():
    value: dict[str, object] = {}
    value["self"] = value
    return value


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ({"a": float("nan")}, Status.INVALID),
        ({"a": {1}}, Status.EXITED),
        ({(1, 2): 3}, Status.EXITED),
        (circular(), Status.EXITED),
    ],
)
def test_what_json_cannot_hold_is_refused_as_stock_does(result, status):
    with pytest.raises((TypeError, ValueError)) as caught:
        dumps(result)
    assert refusal(caught.value) is status
