"""Compositions come to what stock's state machine makes of them, whatever the order in which things happen."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from controller_ext.runs import conductor
from controller_ext.runs.ports import Gap
from controller_ext.workflow.composition.lowering import lower
from invoker_ext.contract.regions import Region, RegionKind
from invoker_ext.dataflow.events import Outcome
from invoker_ext.dataflow.regions.commands import Applied, Apply
from invoker_ext.inline.call import Bounds, Call, Fault
from invoker_ext.inline.engine import Engine
from invoker_ext.owner import answers
from tests.support.composer import probes, programs, trees
from tests.support.composer.oracle import NAMESPACE, oracle
from tests.support.composer.programs import PARAMETERS, asts
from tests.support.regions import Play, called

LOWERED = tuple(probe for probe in probes.PROBES if not probe.name.startswith("dynamic"))
ENGINE = Engine(Bounds(time_s=1.0))


@dataclass
class Stage(Play):
    """A run whose inline functions are evaluated as they are."""

    def _apply(self, command: Apply) -> None:
        cells = {name: answers.json_of(one) for name, one in command.cells.items()}
        call = Call(
            namespace=NAMESPACE,
            code=command.code,
            params=answers.json_of(command.params),
            cells=cells,
            path=command.path,
        )
        answer = ENGINE.evaluate(call)
        result = None if answer.result is None else json.loads(answer.result)
        self._later(
            Applied(
                command.ticket,
                self._at,
                result=None if answer.result is None else self.thing(result),
                shape=answers.shape_of(result),
                error=answer.error,
                fatal=answer.fault is Fault.INTERNAL,
                cells={name: self.thing(json.loads(text)) for name, text in answer.cells.items()},
            )
        )


def component(actions):
    """Return what knows the actions of the caller's namespace."""

    def find(name: str) -> Region:
        full = conductor.resolve(name, NAMESPACE)
        if full is None:
            return Region(kind=RegionKind.RAISE, error=conductor.unreadable(name))
        if str(full).removeprefix(f"{NAMESPACE}/") not in actions:
            return Region(kind=RegionKind.RAISE, error=conductor.missing(Gap.ABSENT, full))
        return called(str(full))

    return find


def played(ast: Any, params: Any, actions: Any, seed: int) -> tuple[Any, bool, Counter[str]]:
    """Return result, success and calls of a composition as it is run here."""
    stage = Stage(program=lower(trees.lower(ast), component(actions)), actions=actions, seed=seed)
    outcome, value = stage.run(params)
    ok = outcome is Outcome.SUCCESS
    return value if ok else {"error": value}, ok, counted((f"{NAMESPACE}/{name}", args) for name, args in stage.calls)


def counted(calls) -> Counter[str]:
    """Return how often each call was made; which of two branches is first is nobody's business."""
    return Counter(json.dumps(call, sort_keys=True) for call in calls)


def expected(ast: Any, params: Any, actions: Any) -> tuple[Any, bool, Counter[str]]:
    """Return the same as stock has it."""
    outcome = oracle(ast, params, actions, evaluate=ENGINE.evaluate)
    return outcome.result, outcome.ok, counted(outcome.calls)


@settings(max_examples=300)
@given(asts(dynamic=False), PARAMETERS, st.integers(0, 1000))
def test_random_programs_come_to_what_stock_makes_of_them(ast, params, seed):
    assert played(ast, params, programs.ACTIONS, seed) == expected(ast, params, programs.ACTIONS)


@pytest.mark.parametrize("probe", LOWERED, ids=lambda probe: probe.name)
def test_measured_programs_come_to_what_was_measured(probe):
    result, ok, calls = played(probe.ast, dict(probe.params), probes.CALLABLES, 1)
    assert (result, ok, calls.total()) == (probe.result, probe.ok, probe.components)
