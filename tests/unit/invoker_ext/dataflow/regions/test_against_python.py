"""Programs of Composer for Python come to what their conductor makes of them in a fresh container."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given, settings, strategies as st

from controller_ext.workflow.composition.compile import why_not
from controller_ext.workflow.composition.lowering import lower
from controller_ext.workflow.composition.recovery import MARK, NotLowered, program_of
from invoker_ext.contract.regions import region_from_json, region_to_json
from invoker_ext.dataflow.events import Outcome
from invoker_ext.inline.call import Bounds
from invoker_ext.inline.engine import Engine
from tests.support.composer import in_python, python_oracle as py
from tests.support.composer.oracle import NAMESPACE
from tests.support.composer.programs import ACTIONS, PARAMETERS
from tests.support.composer.trees import action
from tests.support.regions import Play
from tests.unit.invoker_ext.dataflow.regions.test_against_stock import component, counted

ENGINE = Engine(Bounds(time_s=1.0))
NO_VALUE = "no value"


def recovered(program: Any) -> Any:
    """Return a program as it is found in what is deployed."""
    return program_of(in_python.deployed(program))


def played(program: Any, params: Any, seed: int = 0) -> tuple[Any, bool, Counter[str]]:
    stage = Play(recovered(program), ACTIONS, evaluate=ENGINE.evaluate, component=component(ACTIONS), seed=seed)
    outcome, value = stage.run(params)
    ok = outcome is Outcome.SUCCESS
    if isinstance(value, str) and value.startswith("Internal error: the test of root"):
        value = NO_VALUE  # the conductor's own text is that of the runtime, which cannot write its result
    return value if ok else {"error": value}, ok, counted((f"{NAMESPACE}/{name}", args) for name, args in stage.calls)


def expected(program: Any, params: Any) -> tuple[Any, bool, Counter[str]]:
    outcome = py.oracle(program, params, ACTIONS)
    result = outcome.result if outcome.ok else {"error": outcome.result["error"]}
    return result, outcome.ok, counted(outcome.calls)


@settings(max_examples=200)
@given(py.programs(), PARAMETERS, st.integers(0, 1000))
def test_random_programs_come_to_what_their_conductor_makes_of_them(program, params, seed):
    assume(why_not(recovered(program)) is None)
    assert played(program, params, seed) == expected(program, params)


@pytest.mark.parametrize("value", [{}, [], "", 0, None, [0], {"a": 1}, "x", 2])
@pytest.mark.parametrize("make", [py.when, py.when_nosave])
def test_a_test_is_true_if_python_says_so(make, value):
    program = make(py.literal({"value": value}), py.literal({"was": True}), py.literal({"was": False}))
    assert played(program, {}) == ({"was": bool(value)}, True, Counter())
    assert expected(program, {}) == played(program, {})


def test_a_test_without_a_value_ends_the_composition_whatever_is_around_it():
    program = py.do(py.when_nosave(action("nothing"), action("inc")), action("echo"))
    assert played(program, {}) == expected(program, {})
    assert played(program, {})[0] == {"error": NO_VALUE}


@pytest.mark.parametrize("error", ["", 0, None, False])
def test_an_error_that_is_false_is_one(error):
    program = py.seq(py.literal({"error": error}), action("echo"))
    assert played(program, {}) == expected(program, {}) == ({"error": error}, False, Counter())


@pytest.mark.parametrize("helper", py.HELPERS, ids=lambda one: one["function"]["exec"]["functionName"])
@pytest.mark.parametrize(
    "params",
    [{}, {"params": None, "result": 1}, {"params": 1, "result": {"result": None}}, {"result": ["error"]},
     {"result": {"error": 0}}, {"result": None}, {"result": "an error"}],
    ids=json.dumps,
)  # fmt: skip
@pytest.mark.parametrize("cells", [{}, {"count": 2}, {"params": None}, {"value": None}, {"params": {"n": 1}}], ids=str)
def test_a_helper_does_what_its_python_does_wherever_it_stands(helper, params, cells):
    program = py.let(cells, py.seq(action("echo"), helper, helper), action("echo"))
    assert played(program, params) == expected(program, params)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (py.repeat(2, py.repeat(2, action("inc"))), "the variable `count` of root is declared inside a loop"),
        (in_python.function("mine", "def mine(env, args): return {}"), "the function root is Python"),
        ({"type": "parallel", "components": []}, "root is `parallel`, which is no combinator that is known"),
        ({"type": "try", "body": py.seq(), "handler": py.seq()}, "root is `try`, which is no combinator"),
        ({"type": "function", "function": {"exec": {"kind": "python:3+lambda", "code": "4wEA"}}}, "is Python"),
    ],
)
def test_a_program_whose_semantics_differ_is_left_to_its_conductor(program, reason):
    assert reason in (why_not(recovered(program)) or "")


def test_texts_in_a_program_are_read_as_python_writes_them():
    program = py.seq(py.literal({"it's": 'a "\\ text\n', "ä": "\u2028"}))
    found = recovered(program)
    assert found.pop(MARK) is True
    assert found["components"][0]["declarations"]["value"] == {"it's": 'a "\\ text\n', "ä": "\u2028"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("composer v0.15.1", "composer v0.14.0"), r"made by Composer for Python 0\.14\.0"),
        (("composition=json", "composition = json"), "not one line"),
        (('{"type"', '{type"'), "not JSON"),
        (("json.loads('{", "json.loads('\\x{"), "not JSON"),
        (('"type": "sequence"', '"t": "\\\\ud800"'), "half a surrogate pair"),
    ],
)
def test_code_of_composer_for_python_that_cannot_be_read_says_why(change, reason):
    body = in_python.deployed(py.seq())
    body["exec"]["code"] = body["exec"]["code"].replace(*change)
    with pytest.raises(NotLowered, match=reason):
        program_of(body)


def test_the_stored_form_of_a_region_keeps_whose_rules_it_goes_by():
    region = lower(recovered(py.seq(py.literal(1))), component({}))
    assert region.python
    assert region_from_json(region_to_json(region, _no_call), _no_call) == region


def _no_call(call: Any) -> Any:
    raise AssertionError("nothing is called")
