from types import SimpleNamespace

import pytest

from invoker_ext.dataflow.commands import Constant, Evaluate
from invoker_ext.dataflow.events import Evaluated
from invoker_ext.owner.conditions import MAX_BYTES, QUICK_BYTES, answer, is_quick


def datum(size):
    """A datum that says how large it is and must not be read."""
    return SimpleNamespace(size_bytes=size)


@pytest.mark.parametrize(("text", "holds"), [('{"n":3}', True), ('{"n":4}', False)])
def test_a_condition_is_decided_over_the_value(text, holds):
    assert answer(Evaluate(7, "value.n == 3", Constant(text)), 1.5) == Evaluated(7, holds, None, 1.5)


def test_what_cannot_be_decided_is_answered_with_the_reason():
    answered = answer(Evaluate(7, "value.n == 3", Constant("{}")), 1.5)

    assert not answered.holds
    assert answered.error is not None
    assert "no field `n`" in answered.error


def test_a_value_nested_too_deeply_to_be_read_is_an_answer_too():
    answered = answer(Evaluate(7, "value == 1", Constant("[" * 100_000 + "]" * 100_000)), 1.5)

    assert answered.error is not None


@pytest.mark.parametrize(("size", "quick"), [(QUICK_BYTES, True), (QUICK_BYTES + 1, False)])
def test_only_a_small_value_is_read_on_the_loop(size, quick):
    assert is_quick(Evaluate(7, "value == 1", Constant("1" * size))) is quick
    assert is_quick(Evaluate(7, "value == 1", (datum(size),))) is quick


def test_a_value_too_large_to_be_read_is_refused_unread():
    answered = answer(Evaluate(7, "value == 1", datum(MAX_BYTES + 1)), 1.5)

    assert answered.error is not None
    assert f"at most {MAX_BYTES}" in answered.error
