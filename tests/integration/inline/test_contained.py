"""Inline functions in containers of Node.js: what only node has, their bounds, and whose containers they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from invoker_ext.containers.fleet import Fleet
from invoker_ext.containers.job import Failure, Job
from invoker_ext.contract.messages import Identity
from invoker_ext.inline import contained
from invoker_ext.inline.call import LOG_CHARS, Call, Evaluated, Fault
from invoker_ext.inline.contained import Contained
from invoker_ext.inline.home import Home
from tests.conftest import needs
from tests.support.containers import GUEST, a_call as a_function_of, a_fleet, a_job
from tests.support.dialects import NODE
from tests.support.inline_calls import home
from tests.support.waiting import until

OTHER = Identity(subject="other", namespace="other", uuid="o" * 32, api_key="o:k", limits={})
GONE = "The action did not produce a valid response and exited unexpectedly."
ODD = "The action did not produce a valid JSON or JSON Array response: 7"
FORGED = "The container of inline functions gave no answer that can be read."


class Client:
    """Awaits what a run would hear."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.contained = Contained(asyncio.get_running_loop(), fleet)

    async def __call__(self, code: str, params: Any = None, where: Home | None = None, **cells: Any) -> Evaluated:
        heard: asyncio.Future[Evaluated] = asyncio.get_running_loop().create_future()
        where = where or home(self.fleet)
        self.contained.evaluate(a_call(code, params, **cells), where, heard.set_result)
        return await asyncio.wait_for(heard, 20)


def a_call(code: str, params: Any = None, **cells: Any) -> Call:
    variables = {name: orjson.dumps(value) for name, value in cells.items()}
    return Call(namespace="guest", code=code, params=(orjson.dumps(params or {}),), cells=variables, path="[0]")


@pytest.fixture
async def evaluate(tmp_path, no_leaks) -> AsyncIterator[Client]:
    needs("node", NODE is not None, "install nodejs 18 or newer")
    async with a_fleet(tmp_path) as (fleet, _):
        client = Client(fleet)
        yield client
        client.contained.close()


async def test_functions_have_what_node_adds_to_the_language(evaluate):
    code = """async p => {
        const {hostname} = require('os')
        const {sep} = await import('path')
        await new Promise(done => setTimeout(done, 1))
        x = Buffer.from(p.text).toString('base64')
        return [typeof hostname(), sep, new URL('http://a/b').pathname, process.env.__OW_ACTION_NAME, typeof module]
    }"""
    answer = await evaluate(code, {"text": "hi"}, x=0)
    assert orjson.loads(answer.result) == ["string", "/", "/b", "/guest/flow", "object"]
    assert dict(answer.cells) == {}, "what is set after an await stays unheard, as in stock"


@pytest.mark.parametrize(
    ("code", "text", "limits"),
    [
        ("() => { for (;;); }", "The action exceeded its time limits of 300 milliseconds.", {"timeout_ms": 300}),
        ("() => new Promise(() => {})", "The action exceeded its time limits of 300 milliseconds.",
         {"timeout_ms": 300}),
        ("() => { const a = []; for (;;) a.push(new Array(100000).fill(a.length)) }",
         "The action exhausted its memory and was aborted.", {"memory_mb": 128}),
        ("() => process.exit(3)", GONE, {}),
        ("() => { setTimeout(() => { throw new Error('late') }, 1); return new Promise(() => {}) }", GONE, {}),
        ("() => { require('http').ServerResponse.prototype.end = function () { process.exit() } }", GONE, {}),
        ("() => { Object.prototype.toJSON = () => 7 }", ODD, {}),
    ],
    ids=["loop", "pending", "memory", "exit", "uncaught", "no answer", "odd answer"],
)  # fmt: skip
async def test_what_becomes_of_the_container_ends_the_composition_with_stocks_text(evaluate, code, text, limits):
    await evaluate("() => 1", where=home(evaluate.fleet, **{**limits, "timeout_ms": 10_000}))  # it is up by then
    answer = await evaluate(code, where=home(evaluate.fleet, **limits))
    assert (answer.fault, answer.error) == (Fault.CONTAINER, text)
    assert (await evaluate("() => 1")).result == b"1"


ANSWER = {"kind": "done", "said": "", "result": "1", "cells": [], "done": 1}


@pytest.mark.parametrize(
    "answer",
    [
        b"{", b"{}", b"[]", b"3",
        *(orjson.dumps({**ANSWER, **changed}) for changed in (
            {"kind": "other"}, {"result": "{"}, {"result": "NaN"}, {"result": 1}, {"cells": ["1"]}, {"cells": None},
            {"done": 0}, {"done": 2}, {"done": "1"},
        )),
    ],
)  # fmt: skip
def test_an_answer_that_was_forged_is_none(answer):
    found = contained.answer_of(a_call("() => 1"), answer, "", 0.0, 1000)
    assert (found.fault, found.error) == (Fault.CONTAINER, FORGED)
    assert contained.answer_of(a_call("() => 1"), orjson.dumps(ANSWER), "", 0.0, 1000).result == b"1"


class NoContainers:
    """A pool whose containers go before anything in them begins."""

    def __init__(self) -> None:
        self.jobs = 0

    def submit(self, job: Job) -> None:
        self.jobs += 1
        asyncio.get_running_loop().call_soon(self.kill, job)

    def kill(self, job: Job) -> None:
        job.listener.failed(Failure.RUN_DIED, None, False, 0.0)
        job.listener.logs([], False)


async def test_a_container_that_goes_before_a_function_begins_costs_one_more():
    pool, heard = NoContainers(), asyncio.get_running_loop().create_future()
    where = Home(a_function_of("guest/flow", kind="nodejs:20"), GUEST, "r" * 32, {})
    Contained(asyncio.get_running_loop(), pool).evaluate(a_call("() => 1"), where, heard.set_result)
    assert ((await heard).error, pool.jobs) == (GONE, 2)


async def test_functions_of_a_composition_meet_in_a_container_and_no_others_do(evaluate):
    look = "() => { Array.prototype.times = ([].times ?? 0) + 1; return [process.pid, [].times] }"
    places = [
        home(evaluate.fleet),
        home(evaluate.fleet),
        home(evaluate.fleet, "guest/other"),
        home(evaluate.fleet, user=OTHER),
    ]
    found = [orjson.loads((await evaluate(look, where=where)).result) for where in places]
    assert [times for _, times in found] == [1, 2, 1, 1]
    assert len({pid for pid, _ in found}) == 3


async def test_the_conductor_itself_has_containers_of_its_own(evaluate):
    await evaluate("() => 1")
    call = home(evaluate.fleet).action
    job, heard = a_job("const main = () => ({conductor: true})", call=replace(call, revision="1-1"))
    evaluate.fleet.submit(job)
    report = (await heard.end()).report
    assert report is not None
    assert report.body == b'{"conductor":true}'


async def test_many_functions_at_once_are_answered_by_a_few_containers(evaluate):
    codes = [f"() => [{number}, process.pid]" for number in range(40)]
    answers = [orjson.loads(one.result) for one in await asyncio.gather(*map(evaluate, codes))]
    assert [number for number, _ in answers] == list(range(40))
    assert len({pid for _, pid in answers}) < 10


async def test_the_time_until_there_was_a_container_is_told(evaluate):
    cold, warm = await evaluate("() => 1"), await evaluate("() => 1")
    assert cold.waited_s > warm.waited_s >= 0


async def test_the_log_is_bounded(evaluate):
    answer = await evaluate("() => { for (let i = 0; i < 100; i++) console.log('x'.repeat(1000)); return 1 }")
    assert (len(answer.log), answer.result) == (LOG_CHARS, b"1")


async def test_a_call_that_gets_too_much_and_one_too_many_say_so(evaluate, monkeypatch):
    monkeypatch.setattr(contained, "MAX_BYTES", 1000)
    answer = await evaluate("() => 1", "x" * 1001)
    assert (answer.fault, answer.waited_s) == (Fault.GIVEN, 0.0)
    monkeypatch.setattr(contained, "MAX_CALLS", 2)
    answers = await asyncio.gather(*(evaluate("() => 1") for _ in range(3)))
    assert [one.fault for one in answers] == [None, None, Fault.BUSY]


async def test_where_node_is_not_the_text_names_the_kinds_there_are(evaluate):
    answer = await evaluate("() => 1", where=home(evaluate.fleet, kind="nodejs:99"))
    assert (answer.fault, "nodejs:99" in answer.error) == (Fault.CONTAINER, True)


async def test_a_composition_larger_than_the_host_says_so(evaluate):
    answer = await evaluate("() => 1", where=home(evaluate.fleet, memory_mb=4096))
    assert (answer.fault, answer.error[:29]) == (Fault.UNPLACED, "The action needs 4096 MB, all")


async def test_a_function_that_nobody_waits_for_is_ended_with_its_container(evaluate):
    heard: list[Evaluated] = []
    ticket = evaluate.contained.evaluate(a_call("() => { for (;;); }"), home(evaluate.fleet), heard.append)
    await until(lambda: evaluate.fleet.snapshot()["busy"] == 1, message="it runs")
    evaluate.contained.cancel(ticket)
    assert (await evaluate("() => 1")).result == b"1"
    await until(lambda: evaluate.fleet.snapshot()["busy"] == 0, message="its container is gone")
    assert heard == []
