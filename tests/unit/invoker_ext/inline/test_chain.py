"""Functions that follow each other in one call come to what they would one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from invoker_ext.inline.call import LOG_CHARS, Call, Evaluated, Fault, failed
from invoker_ext.inline.chain import PASSED_BYTES, SLICE_S, evaluate_chain

CALL = Call(
    namespace="guest", code="0", path="[0]", params=(b'{"n":0}',), cells={"x": b"1"}, more=(("1", "[1]"), ("2", "[2]"))
)


class Stage:
    """Evaluates what a test says, and notes what it was asked."""

    def __init__(self, *answers: Evaluated, seconds: float = 0.0) -> None:
        self.asked: list[Call] = []
        self._answers = iter(answers)
        self._seconds = seconds

    def __call__(self, call: Call) -> Evaluated:
        self.asked.append(call)
        return next(self._answers)

    def run(self, call: Call = CALL) -> Evaluated:
        return evaluate_chain(call, self, lambda: len(self.asked) * self._seconds)


def gives(value: object, **cells: bytes) -> Evaluated:
    return Evaluated(result=json.dumps(value).encode(), cells=cells)


NOTHING = Evaluated()


def test_each_gets_what_the_one_before_it_came_to_and_the_variables_as_they_are_then():
    stage = Stage(gives({"n": 1}, x=b"2"), gives({"n": 2}), gives({"n": 3}, x=b"4"))
    assert stage.run() == replace(gives({"n": 3}, x=b"4"), done=3)
    assert [(one.code, one.path, one.params, one.cells["x"]) for one in stage.asked] == [
        ("0", "[0]", (b'{"n":0}',), b"1"),
        ("1", "[1]", (b'{"n": 1}',), b"2"),
        ("2", "[2]", (b'{"n": 2}',), b"2"),
    ]


def test_what_is_no_object_is_boxed_for_the_next_one_and_stays_so_if_that_returns_nothing():
    stage = Stage(gives(5), NOTHING, NOTHING)
    assert stage.run() == Evaluated(result=b'{"value":5}', done=3)
    assert stage.asked[2].params == (b'{"value":5}',)
    assert Stage(gives({}), gives({}), gives(5)).run().result == b"5"


def test_where_none_returns_anything_the_parameters_go_on():
    stage = Stage(NOTHING, NOTHING, NOTHING)
    assert stage.run() == Evaluated(done=3)
    assert stage.asked[2].params == CALL.params


def test_the_first_that_fails_is_the_last_and_what_was_changed_before_it_counts():
    fails = failed(Fault.THREW, "[1]", cells={"x": b"3"})
    answer = Stage(gives({"n": 1}, x=b"2", y=b"1"), fails).run()
    assert answer == replace(fails, cells={"x": b"3", "y": b"1"}, done=2)


def large() -> Evaluated:
    return gives("x" * PASSED_BYTES)


@pytest.mark.parametrize(
    "first",
    [
        lambda: gives({"error": 1}),
        lambda: gives({"a": {"error": 1}}),
        lambda: Evaluated(result=b'{"err\\u006fr":1}'),
        large,
        lambda: replace(gives(1), log="x" * LOG_CHARS),
        lambda: gives(1, x=b"1" * (PASSED_BYTES + 1)),
    ],
    ids=["error", "perhaps", "hidden", "large", "log", "cells"],
)
def test_who_asked_goes_on_after_what_must_be_looked_at_and_what_is_large(first: Callable[[], Evaluated]):
    assert Stage(first()).run() == first()


def test_an_error_in_the_first_input_is_looked_at_once_a_function_has_left_it_there():
    call = replace(CALL, params=(b'{"error":1}',))
    assert Stage(NOTHING).run(call) == NOTHING


def test_others_have_their_turn_after_a_while():
    assert Stage(gives(1), gives(2), seconds=SLICE_S * 0.6).run().done == 2


def test_what_they_write_comes_in_their_order():
    lines = [replace(NOTHING, log=f"{number}\n") for number in range(3)]
    assert Stage(*lines).run().log == "0\n1\n2\n"
