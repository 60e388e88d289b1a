"""Inline functions mean the same in the engine beside the invoker and in containers of Node.js."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest
import pytest_asyncio

from invoker_ext.inline.call import Bounds, Call, Evaluated
from invoker_ext.inline.contained import Contained
from invoker_ext.inline.evaluators import Evaluators
from invoker_ext.inline.functions import Functions
from tests.conftest import needs
from tests.support.containers import a_fleet
from tests.support.dialects import NODE
from tests.support.inline_calls import home
from tests.support.inline_cases import FAILURES, RESULTS, THREW, VARIABLES

pytestmark = pytest.mark.asyncio(loop_scope="module")

Evaluate = Callable[..., Awaitable[Evaluated]]


@pytest_asyncio.fixture(params=["quickjs", "nodejs"], loop_scope="module", scope="module")
async def evaluate(request, tmp_path_factory) -> AsyncIterator[Evaluate]:
    """Evaluate one function of the root's first part."""
    if request.param == "nodejs":
        needs("node", NODE is not None, "install nodejs 18 or newer")
    async with a_fleet(tmp_path_factory.mktemp("fleet")) as (fleet, _):
        loop = asyncio.get_running_loop()
        bounds = Bounds(answer_mb=4)
        beside = Functions(loop, bounds)
        evaluators = Evaluators(beside, Contained(loop, fleet, bounds))
        where = home(fleet) if request.param == "nodejs" else None

        async def run(code: str, params: Any = None, more: Any = (), **cells: Any) -> Evaluated:
            heard: asyncio.Future[Evaluated] = loop.create_future()
            call = Call(
                namespace="guest",
                program="guest/flow",
                code=code,
                params=(orjson.dumps(params or {}),),
                cells={name: orjson.dumps(value) for name, value in cells.items()},
                path="[0]",
                home=where,
                more=more,
            )
            evaluators.evaluate(call, heard.set_result)
            return await asyncio.wait_for(heard, 20)

        yield run
        await evaluators.close()


def told(answer: Evaluated) -> tuple[Any, dict[str, Any]]:
    """Return result or text of an answer, and variables."""
    result = orjson.loads(answer.result) if answer.result is not None else None
    return answer.error or result, {name: orjson.loads(value) for name, value in answer.cells.items()}


@pytest.mark.parametrize(("code", "result"), [case[1:] for case in RESULTS], ids=[case[0] for case in RESULTS])
async def test_the_result_is(evaluate, code, result):
    assert told(await evaluate(code, {"k": 7})) == (result, {})


@pytest.mark.parametrize(("code", "text"), [case[1:] for case in FAILURES], ids=[case[0] for case in FAILURES])
async def test_stocks_text_stands_for_a_function(evaluate, code, text):
    assert told(await evaluate(code)) == (text, {})


@pytest.mark.parametrize(
    ("code", "before", "result", "after"), [case[1:] for case in VARIABLES], ids=[case[0] for case in VARIABLES]
)
async def test_variables(evaluate, code, before, result, after):
    assert told(await evaluate(code, **before)) == (result, after)


async def test_a_result_that_contains_itself_is_an_error(evaluate):
    answer = await evaluate("() => { const o = {}; o.o = o; return o }")
    assert answer.error.startswith("Internal error: Converting circular structure to JSON")


async def test_a_function_without_a_result_leaves_the_parameters_alone(evaluate):
    answer = await evaluate("() => {}", {"a": 1})
    assert (answer.result, answer.fault) == (None, None)


async def test_parameters_that_it_changed_go_on_changed(evaluate):
    assert told(await evaluate("p => { p.b = 2 }", {"a": 1})) == ({"a": 1, "b": 2}, {})


async def test_names_that_a_function_forgot_to_declare_are_not_there_for_the_next(evaluate):
    await evaluate("() => { leaked = 1 }")
    assert told(await evaluate("() => [typeof leaked, typeof Math]")) == (["undefined", "object"], {})


async def test_what_it_changes_of_json_harms_no_answer(evaluate):
    code = "() => { JSON.stringify = () => '}'; JSON.parse = () => 1; return {a: 1} }"
    assert told(await evaluate(code)) == ({"a": 1}, {})


FOLLOWING = [
    ("that hand on objects", ["p => { x = 1; return {n: p.n + 1} }", "p => { x += p.n; return {n: p.n + 1} }"],
     {"n": 3}, {"x": 3}, 2),
    ("that hand on what is no object", ["() => 4", "p => { p.more = 1 }"], {"value": 4, "more": 1}, {}, 2),
    ("the last of which returns nothing", ["() => 4", "() => {}"], {"value": 4}, {}, 2),
    ("the second of which throws", ["() => { x = 2 }", "() => { throw 1 }", "() => 1"],
     THREW.replace("[0]", "[1]"), {"x": 2}, 2),
    ("the first of which has an error", ["() => ({error: 1})", "() => 1"], {"error": 1}, {}, 1),
    ("the first of which throws", ["() => { throw 1 }", "() => 1"], THREW, {}, 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("codes", "result", "cells", "done"), [case[1:] for case in FOLLOWING], ids=[case[0] for case in FOLLOWING]
)
async def test_functions_one_after_the_other(evaluate, codes, result, cells, done):
    first, *others = codes
    more = [(code, f"[{at}]") for at, code in enumerate(others, start=1)]
    answer = await evaluate(first, {"n": 1}, more, x=0)
    assert (*told(answer), answer.done) == (result, cells, done)


async def test_the_console_and_what_was_thrown_are_logged(evaluate):
    answer = await evaluate("() => { console.log('got', 1); console.error('wrong'); throw new TypeError('bad') }")
    assert answer.error == THREW
    assert {"got 1", "wrong"} <= set(answer.log.splitlines())
    assert "TypeError: bad" in answer.log


async def test_large_values_come_back(evaluate):
    answer = await evaluate("p => { x = p.a.length; return p }", {"a": "x" * 3_000_000}, x=0)
    assert (len(answer.result), dict(answer.cells)) == (3_000_008, {"x": b"3000000"})


async def test_an_answer_above_the_bound_is_refused(evaluate):
    answer = await evaluate("() => 'x'.repeat(5e6)")
    assert answer.error == "Function combinator at AST node root[0] returned more than 4 MB"
