"""The oracle comes to what the real Composer was measured to come to."""

from __future__ import annotations

import pytest
from hypothesis import given

from invoker_ext.inline.call import Bounds
from invoker_ext.inline.engine import Engine
from tests.support.composer import programs
from tests.support.composer.oracle import oracle
from tests.support.composer.probes import CALLABLES, PROBES
from tests.support.composer.programs import PARAMETERS, asts
from tests.support.composer.states import compiled_states
from tests.support.composer.trees import lower, node

ENGINE = Engine(Bounds())


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_the_oracle_agrees_with_composer(probe):
    outcome = oracle(probe.ast, dict(probe.params), CALLABLES, evaluate=ENGINE.evaluate)

    assert (outcome.result, outcome.ok, len(outcome.calls)) == (dict(probe.result), probe.ok, probe.components)


@pytest.mark.parametrize(
    ("kind", "size"), [("if", 23), ("while", 21), ("retain", 10), ("retry", 45)]
)  # fmt: skip
def test_programs_compile_to_as_many_instructions_as_composers(kind, size):
    ast = {
        "if": node("if", test="a", consequent="b", alternate="c"),
        "while": node("while", test="a", body="b"),
        "retain": node("retain", "a"),
        "retry": node("retry", "a", count=1),
    }[kind]
    assert len(compiled_states(lower(ast))) == size


@given(asts(asynchronous=True), PARAMETERS)
def test_random_programs_end_in_an_object(ast, params):
    outcome = oracle(ast, params, programs.ACTIONS, evaluate=ENGINE.evaluate)

    assert isinstance(outcome.result, dict)
    assert outcome.ok == (not outcome.result.get("error"))
    assert {name.removeprefix("guest/") for name, _ in outcome.calls} <= programs.ACTIONS.keys()
