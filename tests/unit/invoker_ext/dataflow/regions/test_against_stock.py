"""Compositions come to what stock's state machine makes of them, whatever the order in which things happen."""

from __future__ import annotations

import json
import random
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from controller_ext.runs import conductor
from controller_ext.runs.ports import Gap
from invoker_ext.contract import naming
from invoker_ext.contract.graph import Fault
from invoker_ext.contract.regions import Region, RegionKind
from invoker_ext.dataflow.attempts import MISSES
from invoker_ext.dataflow.events import Outcome
from invoker_ext.dataflow.sentences import DIED
from invoker_ext.inline.call import Bounds, Call, Evaluated
from invoker_ext.inline.chain import evaluate_chain
from invoker_ext.inline.engine import Engine
from tests.support.composer import probes, programs, trees
from tests.support.composer.oracle import ID, NAMESPACE, oracle
from tests.support.composer.programs import PARAMETERS, asts
from tests.support.composer.trees import function, let, node
from tests.support.regions import Play, called

ENGINE = Engine(Bounds(time_s=1.0))


def component(actions):
    """Return what knows the actions of the caller's namespace."""

    def find(name: str) -> Region:
        full = conductor.resolve(name, NAMESPACE)
        if full is None:
            return Region(kind=RegionKind.RAISE, error=naming.unreadable(name))
        if str(full).removeprefix(f"{NAMESPACE}/") not in actions:
            return Region(kind=RegionKind.CALL, call=Fault(conductor.missing(Gap.ABSENT, full)))
        return called(str(full))

    return find


def some(seed: int) -> Callable[[Call], Evaluated]:
    """Return what evaluates of functions that follow each other as many as it likes."""
    likes = random.Random(seed)

    def evaluate(call: Call) -> Evaluated:
        more = call.more[: likes.randint(0, len(call.more))]
        return evaluate_chain(replace(call, more=more), ENGINE.evaluate, lambda: 0.0)

    return evaluate


def played(ast: Any, params: Any, actions: Any, seed: int, **more: Any) -> tuple[Any, bool, Counter[str]]:
    """Return result, success and calls of a composition as it is run here; `more` goes to Play."""
    find = component(actions)
    stage = Play(trees.lower(ast), actions, evaluate=some(seed), component=find, seed=seed, session=ID, **more)
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
@given(asts(asynchronous=True), PARAMETERS, st.integers(0, 1000))
def test_random_programs_come_to_what_stock_makes_of_them(ast, params, seed):
    assert played(ast, params, programs.ACTIONS, seed) == expected(ast, params, programs.ACTIONS)


def chance(seed: int, *about: Any) -> int:
    """Return a number that follows from its arguments."""
    return zlib.crc32(json.dumps([seed, *about], sort_keys=True).encode())


@settings(max_examples=100)
@given(asts(), PARAMETERS, st.integers(0, 1000))
def test_an_action_that_is_lost_with_its_host_after_it_began_failed_and_any_other_one_is_sent_again(ast, params, seed):
    def lose(name: str, args: Any, attempt: int) -> bool | None:
        if chance(seed, name, args, attempt) % 4 == 0 and attempt < MISSES:
            return False
        return True if chance(seed, name, args) % 4 == 0 else None

    def failing(name: str) -> Any:
        act = programs.ACTIONS[name]
        return lambda args: {"error": DIED} if chance(seed, name, args) % 4 == 0 else act(args)

    failing_too = {name: failing(name) for name in programs.ACTIONS}
    assert played(ast, params, programs.ACTIONS, seed, lose=lose) == expected(ast, params, failing_too)


@settings(max_examples=100)
@given(asts(), PARAMETERS, st.integers(0, 1000))
def test_where_actions_may_begin_twice_lost_hosts_change_nothing(ast, params, seed):
    def lose(name: str, args: Any, attempt: int) -> bool | None:
        lost = chance(seed, name, args, attempt)
        return None if lost % 2 or attempt >= MISSES else lost % 4 == 0 and attempt == 1

    got = played(ast, params, programs.ACTIONS, seed, lose=lose, once=False)
    assert got == expected(ast, params, programs.ACTIONS)


@settings(max_examples=50)
@given(asts(asynchronous=True), PARAMETERS, st.integers(0, 1000))
def test_what_nobody_waits_for_is_a_run_with_the_variables_as_they_were(body, params, seed):
    ast = let({"x": 1, "y": [2]}, node("async", body), function("() => { x = 2 }"), function("p => ({p, x})"))
    assert played(ast, params, programs.ACTIONS, seed) == expected(ast, params, programs.ACTIONS)


IN_A_ROW = st.lists(st.sampled_from(programs.FUNCTIONS), min_size=2, max_size=6)


@settings(max_examples=100)
@given(IN_A_ROW, IN_A_ROW, PARAMETERS, st.integers(0, 1000))
def test_functions_in_a_row_come_to_what_stock_makes_of_them(first, then, params, seed):
    body = trees.seq(*map(trees.function, first))
    ast = trees.let({"x": 1, "y": []}, trees.node("try", body=body, handler=None), *map(trees.function, then))
    assert played(ast, params, {}, seed) == expected(ast, params, {})


@pytest.mark.parametrize("probe", probes.PROBES, ids=lambda probe: probe.name)
def test_measured_programs_come_to_what_was_measured(probe):
    result, ok, calls = played(probe.ast, dict(probe.params), probes.CALLABLES, 1)
    assert (result, ok, calls.total()) == (probe.result, probe.ok, probe.components)
