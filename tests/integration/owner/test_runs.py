"""Runs under an owner: how they end before their time, and the records that they leave."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from invoker_ext.containers.job import Failure, Report
from invoker_ext.contract.graph import Graph, GraphKind, WorkflowCall
from invoker_ext.dataflow.entries import Entry, Group
from invoker_ext.dataflow.machine import RunMachine
from invoker_ext.owner.attempt import Attempt
from invoker_ext.owner.owner import CANCELLED
from invoker_ext.owner.run import Run
from tests.support.graphs import CALL, each, gather, graph, step, value
from tests.support.messages import a_message
from tests.support.owning import Make, begins, chain, does, fails, returns, sequence
from tests.support.waiting import until


async def test_of_an_action_that_was_updated_before_its_turn_the_newest_runs(make: Make):
    owning = make()

    message, job = await owning.run(revision="1-of-before")
    does(job, {"n": 1})

    await owning.stored(message.activation_id)
    assert owning.records.written[message.activation_id].status == 0


@pytest.mark.parametrize("kind", [GraphKind.SEQUENCE, GraphKind.DATAFLOW])
async def test_a_step_that_is_refused_ends_its_run_and_has_a_record_as_in_stock(make: Make, kind: GraphKind):
    owning = make()
    refused = replace(CALL, memory_mb=512, refusal="memory size 512 MB exceeds allowed threshold of 256 MB")
    steps = step("a", inputs={"": value("$run")}), step("b", inputs={"": value("a")}, call=refused)
    message, job = await owning.run(graph=owning.deploy(graph(*steps, result=value("b"), kind=kind)))
    does(job, {"n": 1})

    await owning.stored(message.activation_id)

    record = owning.records.written[message.activation_id]
    assert (record.status, record.result) == (1, json.dumps({"error": refused.refusal}, separators=(",", ":")).encode())
    assert record.annotation("limits")["memory"] == 256
    assert record.logs[0] == job.activation_id
    step_record = owning.records.written[record.logs[1]]
    assert (step_record.status, step_record.result, step_record.cause) == (1, record.result, message.activation_id)
    assert [step_record.annotation(key) for key in ("path", "kind", "causedBy")] == ["guest/act", "unknown", "sequence"]
    line = step_record.annotation("dataflow") if kind is GraphKind.DATAFLOW else step_record.dataflow
    assert line is not None
    assert line["step"] == "b"
    assert owning.pool.jobs == [job]


# -- cancel and time-out -----------------------------------------------------------------------


async def test_a_cancelled_run_ends_its_containers_and_says_so(make: Make):
    owning = make()
    digest = owning.deploy(chain())
    message, job = await owning.run(graph=digest, content=b'{"x":7}')
    begins(job)

    assert owning.owner.cancel(message.activation_id, "guest") == "cancelled"

    assert owning.pool.killed == [job]
    await owning.stored(message.activation_id, job.activation_id)
    assert owning.records.written[message.activation_id].result == f'{{"error":"{CANCELLED}"}}'.encode()
    assert owning.owner.active == 0


async def test_nobody_cancels_the_runs_of_another_namespace(make: Make):
    owning = make()
    message, _ = await owning.run()

    assert owning.owner.cancel(message.activation_id, "somebody") == "unknown"
    assert owning.owner.cancel("0" * 32, "guest") == "unknown"
    assert owning.owner.active == 1


async def test_a_run_above_its_time_ends_with_an_error_and_drops_what_comes_later(make: Make):
    owning = make()
    digest = owning.deploy(graph(step("a"), result=value("a"), timeout_s=0.05))
    message, job = await owning.run(graph=digest)
    begins(job)

    await owning.stored(message.activation_id)

    record = owning.records.written[message.activation_id]
    assert record.status != 0
    assert b"time limit of 50 milliseconds" in (record.result or b"")
    returns(job, {"n": 1})
    assert owning.sink.usage.inline_bytes == 0


# -- records -----------------------------------------------------------------------------------


async def test_the_record_of_a_run_names_its_firings_in_order_and_each_names_the_run(make: Make):
    owning = make()
    digest = owning.deploy(sequence())
    message, job = await owning.run(graph=digest, content=b'{"x":7}')
    does(job, {"n": 1})
    second = (await owning.submitted(2))[1]
    does(second, {"n": 2})
    await owning.stored(message.activation_id, job.activation_id, second.activation_id)

    record = owning.records.written[message.activation_id]
    assert record.logs == (job.activation_id, second.activation_id)
    assert record.result == b'{"n": 2}'
    assert {owning.records.written[one].cause for one in record.logs} == {message.activation_id}
    assert owning.records.written[job.activation_id].annotation("causedBy") == "sequence"


async def test_each_attempt_of_a_firing_has_a_record(make: Make):
    owning = make()
    digest = owning.deploy(graph(step("a", attempts=2), result=value("a")))
    message, job = await owning.run(graph=digest)
    does(job, {"error": "not yet"})
    again = (await owning.submitted(2))[1]
    does(again, {"n": 1})
    await owning.stored(message.activation_id, job.activation_id, again.activation_id)

    records = owning.records.written
    assert records[message.activation_id].logs == (job.activation_id, again.activation_id)
    assert [records[one.activation_id].status for one in (job, again)] == [1, 0]
    assert [records[one.activation_id].annotation("dataflow")["attempt"] for one in (job, again)] == [1, 2]


async def test_a_firing_whose_container_died_is_run_again_and_only_once_more(make: Make):
    owning = make()
    digest = owning.deploy(graph(step("a"), result=value("a")))
    message, job = await owning.run(graph=digest)
    begins(job)
    fails(job, Failure.RUN_DIED)
    again = (await owning.submitted(2))[1]
    begins(again)
    fails(again, Failure.RUN_DIED)
    await owning.stored(message.activation_id, job.activation_id, again.activation_id)

    assert len(owning.pool.jobs) == 2
    assert owning.records.written[message.activation_id].status == 2


@pytest.mark.parametrize("began", [True, False])
async def test_a_plain_action_whose_container_died_is_run_again_only_if_it_had_not_begun(make: Make, began: bool):
    owning = make()
    message, job = await owning.run()
    if began:
        begins(job)
    fails(job, Failure.RUN_DIED, began=began)

    if began:
        await owning.stored(message.activation_id)
        assert owning.records.written[message.activation_id].status == 2
    else:
        does((await owning.submitted(2))[1], {"n": 1})
        await until(lambda: owning.bus.told(message.activation_id))
    assert len(owning.pool.jobs) == (1 if began else 2)


async def test_a_workflow_inside_a_workflow_has_a_record_between_run_and_firing(make: Make):
    owning = make()
    inner = graph(step("in", inputs={"x": value("$run.x")}), result=value("in"))
    call = WorkflowCall("guest/inner", "0.0.1", inner)
    digest = owning.deploy(graph(step("out", inputs={"x": value("$run.x")}, call=call), result=value("out")))
    message, job = await owning.run(graph=digest, content=b'{"x":7}')
    does(job, {"n": 1})
    await owning.stored(message.activation_id, job.activation_id)

    records = owning.records.written
    (child,) = records[message.activation_id].logs
    assert records[child].cause == message.activation_id
    assert records[child].logs == (job.activation_id,)
    assert records[job.activation_id].cause == child
    assert [payload["activationId"] for payload in owning.bus.told(message.activation_id)] == [message.activation_id]
    assert len(owning.bus.published) == 1


async def test_nothing_is_left_in_the_sink_when_runs_have_ended(make: Make):
    owning = make()
    digest = owning.deploy(chain())
    message, job = await owning.run(graph=digest, content=b'{"x":7}')
    begins(job)
    returns(job, {"y": "x" * 50_000})
    last = (await owning.submitted(2))[1]
    assert list(owning.sink.usage.by_owner) == [f"guest/{message.activation_id}"]
    begins(last)
    returns(last, {"z": 1})
    await owning.stored(message.activation_id)

    usage = owning.sink.usage
    assert (usage.inline_bytes, usage.segment_bytes, usage.by_owner) == (0, 0, {})


async def test_a_stop_waits_for_the_runs_at_hand(make: Make):
    owning = make()
    message, job = await owning.run()
    begins(job)
    late = a_message("guest/act")

    async def end() -> None:
        owning.bus.deliver(late)
        returns(job, {"n": 1})

    owning.owner.spawn(end(), "end")
    await owning.owner.drain(5.0)

    assert owning.bus.told(message.activation_id)
    assert late.activation_id not in owning.journalled().runs
    assert len(owning.bus.committed) == 1


# -- memory ------------------------------------------------------------------------------------


@pytest.fixture
def no_search_for_cycles() -> Iterator[None]:
    """What is freed is freed with the last reference to it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


NESTED = graph(
    step("a", inputs={"": value("$run")}),
    step("b", scope=("a",), inputs={"x": each("a.items")}),
    step("c", scope=("a", "b"), inputs={"x": each("b.items")}),
    step("d", scope=("a",), inputs={"all": gather("c.n")}),
    result={"r": gather("d.n")},
)
SPREAD = graph(
    step("a", inputs={"": value("$run")}),
    step("b", scope=("a",), inputs={"x": each("a.items")}),
    step("c", inputs={"all": gather("b")}),
    result=value("c"),
)


@pytest.mark.usefixtures("no_search_for_cycles")
@pytest.mark.parametrize(
    ("what", "jobs"),
    [(None, 1), (sequence(), 2), (chain(), 2), (SPREAD, 4), (NESTED, 9)],
    ids=["action", "sequence", "chain", "spread", "nested"],
)
async def test_the_memory_of_a_run_is_free_as_soon_as_it_is_over(make: Make, what: Graph | None, jobs: int):
    owning = make()
    message, _ = await owning.run(graph=what and owning.deploy(what), content=b'{"x": 7}')
    for number in range(jobs):
        does((await owning.submitted(number + 1))[number], {"n": 1, "y": 2, "items": [1, 2]})
    await until(lambda: owning.bus.told(message.activation_id))
    del _
    owning.pool.jobs.clear()

    assert [one for one in gc.get_objects() if isinstance(one, Run | RunMachine | Attempt | Entry | Group)] == []


@pytest.mark.parametrize("ending", ["drained", "died"])
async def test_an_attempt_that_outlives_the_run_that_did_not_wait_for_it_ends_in_peace(make: Make, ending: str):
    owning = make()
    retried = graph(step("a", inputs={"": value("$run")}, attempts=2), result=value("a"))
    message, first = await owning.run(graph=owning.deploy(retried))
    begins(first)
    body = b'{"error":"once"}'
    first.listener.returned(Report("error", len(body), {}, body, None), 1.0)
    first.listener.logs([], False)
    second = (await owning.submitted(2))[1]
    does(second, {"n": 1})
    await until(lambda: owning.bus.told(message.activation_id))

    if ending == "drained":
        first.listener.drained(2.0)
    else:
        first.listener.failed(Failure.RUN_DIED, None, True, 2.0)
    await until(lambda: not owning.owner.holds(message.activation_id))
