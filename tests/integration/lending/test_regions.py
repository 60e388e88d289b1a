"""Loops and compositions over several hosts, some of which are lost. The pipe between them is one in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller_ext.workflow.composition.lowering import lower
from invoker_ext.contract.graph import Graph, GraphKind, WorkflowCall
from invoker_ext.contract.regions import Region, RegionKind
from invoker_ext.dataflow.sentences import DIED
from tests.support.composer import trees
from tests.support.graphs import each, first_of, gather, graph, step, value
from tests.support.lending import settled
from tests.support.owning import an_owner
from tests.support.spread import Spread, call

PAD = "x" * 40_000
"""Makes a value a datum of its own."""
ACTIONS = {
    "split": lambda args: {"items": [{"n": n, "pad": PAD} for n in range(args["count"])]},
    "grow": lambda args: {"n": args["n"] + 1, "pad": PAD},
    "list": lambda args: [1, 2, PAD],
    "join": lambda args: {"ns": [one["n"] for one in args["of"]], "pad": PAD},
    "echo": lambda args: args,
    "refuse": lambda args: {"error": "no"},
}
MOST = 4


@pytest.fixture
async def spread(tmp_path: Path) -> AsyncIterator[Spread]:
    """An owner without room, and two others."""
    owning = an_owner(tmp_path)
    made = Spread(owning, ACTIONS)
    yield made
    await owning.close()
    await made.close()


def repeated(what: str | Graph = "grow", condition: str = f"value.n < {MOST}", most: int = 100) -> Region:
    """Return the region that repeats an action or a workflow."""
    called = call(what) if isinstance(what, str) else WorkflowCall("guest/inner", "0.0.1", what)
    once = Region(kind=RegionKind.CALL, call=called)
    return Region(kind=RegionKind.REPEAT, parts=(once,), condition=condition, most=most)


def loop(**more: Any) -> Graph:
    """One step that repeats; its result is the run's."""
    return graph(step("loop", inputs={"": value("$run")}, call=repeated(), **more), result=value("loop.n"))


def reading(what: str) -> Graph:
    """Two steps, or one; what the first made must come to the owner."""
    first = step("first", inputs={"": value("$run")}, call=call("grow"))
    inner = graph(step("in", inputs={"": value("$run")}, call=call("echo")), result=value("in.n"))
    second = {
        "loop": step("second", inputs={"": value("first")}, call=repeated()),
        "run": step("second", inputs={"": value("first")}, call=WorkflowCall("guest/inner", "0.0.1", inner)),
        "condition": step("second", inputs={"n": value("first", when="value.n > 0")}, call=call("echo")),
    }
    if what == "result":
        return graph(first, result=value("first"))
    return graph(first, second[what], result=value("second"))


def composed(ast: Any) -> Graph:
    """Return the graph of a composition."""
    region = lower(trees.lower(ast), lambda name: Region(kind=RegionKind.CALL, call=call(name.rpartition("/")[2])))
    made = step("root", inputs={"": value("$run")}, call=region, at_most_once=True)
    return graph(made, result=value("root"), kind=GraphKind.COMPOSITION)


async def test_an_iteration_is_executed_where_the_one_before_was_and_its_value_has_a_copy_with_the_owner(spread):
    run = spread.run(loop(), {"n": 0})

    assert await spread.end(run) == (0, 4)
    assert [by for by, _ in spread.network.pulls] == [0] * 4
    await spread.empty()


async def test_what_a_loop_holds_outlives_the_host_that_made_it(spread):
    run = spread.run(loop(), {"n": 0})
    spread.do(*(await spread.jobs(1))[0])
    [(number, job)] = await spread.jobs(1)
    spread.do(number, job)
    await spread.jobs(1)

    spread.kill(number)

    assert await spread.end(run) == (0, 4)
    assert spread.done["grow"] == 4
    await spread.empty()


async def test_an_iteration_that_dies_with_its_host_is_executed_again_and_none_before_it(spread):
    run = spread.run(loop(), {"n": 0})
    spread.do(*(await spread.jobs(1))[0])
    [(number, job)] = await spread.jobs(1)
    spread.begin(job)
    await settled()

    spread.kill(number)

    assert await spread.end(run) == (0, 4)
    assert spread.done["grow"] == 4


async def test_an_iteration_that_must_not_begin_twice_is_not_executed_again(spread):
    run = spread.run(loop(at_most_once=True), {"n": 0})
    [(number, job)] = await spread.jobs(1)
    spread.begin(job)

    spread.kill(number)

    status, result = await spread.end(run)
    assert (status, result["error"]) == (2, DIED)
    assert not spread.done
    await spread.empty()


async def test_the_last_two_hosts_are_lost_and_the_owner_goes_on_alone(spread):
    run = spread.run(loop(), {"n": 0})
    spread.do(*(await spread.jobs(1))[0])
    await spread.jobs(1)

    spread.kill(1)
    await spread.jobs(1)
    spread.kill(2)

    assert await spread.end(run) == (0, 4)
    await spread.empty()


async def test_what_a_loop_begins_with_is_made_again_if_it_is_lost_before_the_owner_has_it(spread):
    run = spread.run(reading("loop"), {"n": 0})
    [(number, job)] = await spread.jobs(1)
    spread.network.flows.clear()
    spread.do(number, job)
    await spread.pulling(1)
    spread.kill(number)
    spread.network.flows.set()

    assert await spread.end(run) == (0, {"n": 4, "pad": PAD})
    assert spread.done["grow"] == 5  # the first one twice
    await spread.empty()


@pytest.mark.parametrize("reads", ["loop", "loop.value"])
async def test_a_large_array_of_another_host_leaves_a_loop_as_a_whole_and_as_an_output(spread, reads):
    made = graph(
        step("loop", inputs={"": value("$run")}, call=repeated("list", "false")),
        step("echo", inputs={"got": value(reads)}, call=call("echo")),
        result=value("echo.got"),
    )
    run = spread.run(made, {})

    array = [1, 2, PAD * 10]
    spread.actions["list"] = lambda args: array
    assert await spread.end(run) == (0, {"value": array} if reads == "loop" else array)
    await spread.empty()


async def test_a_result_is_here_before_the_run_ends_so_that_a_host_that_is_lost_then_takes_nothing(spread):
    run = spread.run(graph(step("one", inputs={"": value("$run")}, call=call("grow")), result=value("one")), {"n": 1})
    [(number, job)] = await spread.jobs(1)
    spread.network.flows.clear()
    spread.do(number, job)
    await spread.pulling(1)

    spread.kill(number)
    spread.network.flows.set()

    assert await spread.end(run) == (0, {"n": 2, "pad": PAD})
    assert spread.done["grow"] == 2
    await spread.empty()


async def test_a_result_above_the_bound_of_the_run_is_refused_without_being_moved(spread):
    made = graph(step("one", inputs={"": value("$run")}, call=call("grow")), result=value("one"))
    run = spread.run(made, {"n": 1}, result_bytes=1000)

    status, result = await spread.end(run)

    assert status == 1
    assert "exceeded the allowed length" in result["error"]
    assert not spread.network.pulls
    await spread.empty()


FULL = "a value can never fit the data sink"


@pytest.mark.parametrize("what", ["result", "loop", "run", "condition"])
async def test_what_the_owner_needs_and_its_sink_refuses_fails_the_run_with_the_reason(spread, what):
    run = spread.run(reading(what), {"n": 1})
    spread.network.full.add(0)

    status, result = await spread.end(run)

    assert status != 0
    assert FULL in result["error"]
    assert spread.done["grow"] == 1
    await spread.empty()


@pytest.mark.parametrize("done", [1, 2])
async def test_a_run_that_is_cancelled_while_its_loop_waits_for_data_leaves_nothing(spread, done):
    run = spread.run(reading("loop"), {"n": 0})
    for _ in range(done - 1):
        spread.do(*(await spread.jobs(1))[0])
    job = (await spread.jobs(1))[0]
    spread.network.flows.clear()
    pulls = len(spread.network.pulls)
    spread.do(*job)
    await spread.pulling(pulls + 1)

    spread.owning.owner.cancel(run, "guest")
    spread.network.flows.set()

    await spread.end(run)
    assert not spread.ready()
    await spread.empty()


COMPOSITION = composed(
    trees.node(
        "let",
        trees.action("split"),
        trees.node("map", trees.action("grow"), trees.action("grow")),
        declarations={"x": 1},
    )
)


async def test_in_a_composition_each_element_is_right_or_tells_of_the_action_that_was_lost(spread):
    spread.actions["split"] = lambda args: {"value": [{"n": n, "pad": PAD} for n in range(6)]}
    run = spread.run(COMPOSITION, {})
    spread.do(*(await spread.jobs(1))[0])
    jobs = await spread.jobs(6)
    number = jobs[0][0]
    lost = [job for at, job in jobs if at == number]
    for job in lost:
        spread.begin(job)

    spread.kill(number)

    status, result = await spread.end(run)
    right = [{"n": n + 2, "pad": PAD} for n in range(6)]
    assert status == 0
    assert sum(one == {"error": DIED} for one in result["value"]) == len(lost)
    assert all(one in ({"error": DIED}, expected) for one, expected in zip(result["value"], right, strict=True))
    await spread.empty()


LOOPS = graph(
    step("split", inputs={"": value("$run")}, call=call("split")),
    step("loop", scope=("split",), inputs={"": each("split.items")}, call=repeated()),
    step("after", scope=("split",), inputs={"n": value("loop.n"), "pad": value("loop.pad")}, call=call("grow")),
    step("join", inputs={"of": gather("after")}, call=call("join")),
    step("last", inputs={"": value("join")}, call=repeated("echo", "false")),
    result={"all": value("last"), "ns": value("join.ns")},
)


INNER = graph(
    step("a", inputs={"": value("$run")}, call=call("grow")),
    step("b", inputs={"n": value("a.n"), "pad": value("a.pad")}, call=call("echo")),
    result=value("b"),
)
RUNS = graph(
    step("split", inputs={"": value("$run")}, call=call("split")),
    step("loop", scope=("split",), inputs={"": each("split.items")}, call=repeated()),
    step("run", scope=("split",), inputs={"": value("loop")}, call=WorkflowCall("guest/inner", "0.0.1", INNER)),
    step("odd", scope=("split",), inputs={"": value("run", when="value.n == 5")}, call=call("grow")),
    step("one", scope=("split",), inputs={"": first_of(value("odd"), value("run"))}, call=call("echo")),
    step("loops", scope=("split",), inputs={"": value("one")}, call=repeated(INNER, "value.n < 9")),
    result={"ns": gather("loops.n"), "pads": gather("one.pad")},
)
NS = [5, 5, 5, 5, 6, 7]
CASES: dict[str, tuple[Graph, Any]] = {
    "loops": (LOOPS, {"all": {"ns": NS, "pad": PAD}, "ns": NS}),
    "runs": (RUNS, {"ns": [9] * 6, "pads": [PAD] * 6}),
}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("case", CASES)
async def test_loops_come_to_the_same_whatever_hosts_are_lost(spread, case, seed):
    made, expected = CASES[case]
    run = spread.run(made, {"count": 6})

    status, result = await spread.end_by_chance(run, seed, losses=1)

    assert (status, result) == (0, expected), str(result)[:1000]
    await spread.empty()
