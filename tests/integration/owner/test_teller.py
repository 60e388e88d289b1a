"""Where the result of a run goes that a controller waits for at its door, and what its bus carries then."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from invoker_ext.containers.job import Failure, Job, Report
from invoker_ext.contract.acks import OVER, RESULT
from invoker_ext.contract.messages import DOOR
from tests.support.messages import a_message
from tests.support.owning import Make, Owning, begins, does, fails, returns, sequence
from tests.support.waiting import until

HERE = "tcp://10.0.0.1:3240"
TEXT = b'{"n": 1}'


@dataclass
class Handed:
    """A message that was handed over."""

    name: str
    headers: dict[str, Any]
    payload: bytes
    told: Callable[[bool], None]

    @property
    def what(self) -> tuple[str | None, bool]:
        """What it is about, and whether the result is in it."""
        return self.headers.get("ack"), "at" in self.headers

    @property
    def record(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.payload)["response"]
        return document


class FakeDoors:
    """Doors in a test's hands.

    Attributes:
        met: Those of which there will be need.
        handed: Messages, in order.
        reached: There is a connection.
    """

    def __init__(self) -> None:
        self.met: list[str] = []
        self.handed: list[Handed] = []
        self.reached = True

    def meet(self, name: str) -> None:
        self.met.append(name)

    def hand(self, name: str, op: str, fields: dict[str, Any], payload: bytes, told: Callable[[bool], None]) -> bool:
        assert op == "result"
        if self.reached:
            self.handed.append(Handed(name, fields["headers"], payload, told))
        return self.reached


@pytest.fixture
def doors() -> FakeDoors:
    return FakeDoors()


@pytest.fixture
async def owning(make: Make, doors: FakeDoors) -> Owning:
    return make(far=True, door="tcp://10.0.0.2:3240", messages=doors)


async def asked(owning: Owning, *, door: object = HERE, **fields: Any) -> tuple[str, Job]:
    """Deliver a message as a controller sends it that waits at a door; return the run and its first job."""
    message = a_message("guest/act", **fields)
    before = len(owning.pool.jobs)
    owning.bus.deliver(message, **({DOOR: door} if door is not None else {}))
    return message.activation_id, (await owning.submitted(before + 1))[before]


def said(owning: Owning, run: str) -> list[tuple[str | None, bool]]:
    """Return what the bus carried of a run: of each message what it is about, and whether the result is in it."""
    return [(headers.get("ack"), "at" in headers) for headers, _ in owning.bus.published if headers["id"] == run]


async def test_what_the_door_has_does_not_go_by_the_bus(owning: Owning, doors: FakeDoors):
    run, job = await asked(owning, blocking=True)
    assert doors.met == [HERE]
    does(job, {"n": 1})
    await until(lambda: doors.handed)
    [handed] = doors.handed
    assert (handed.name, handed.what, handed.record["response"]["result"]) == (HERE, (None, True), {"n": 1})
    assert "instance" in json.loads(handed.payload)
    at, size = handed.headers["at"], handed.headers["n"]
    assert handed.payload[at : at + size] == TEXT
    handed.told(True)
    await owning.stored(run)
    assert said(owning, run) == []


async def test_a_result_that_the_door_did_not_take_goes_by_the_bus_once(owning: Owning, doors: FakeDoors):
    run, job = await asked(owning, blocking=True)
    does(job, {"n": 1})
    await until(lambda: doors.handed)
    doors.handed[0].told(False)
    assert said(owning, run) == [(RESULT, True), (OVER, False)]
    assert owning.bus.published[0][1]["response"]["response"]["result"] == {"n": 1}


async def test_without_a_connection_all_goes_by_the_bus(owning: Owning, doors: FakeDoors):
    doors.reached = False
    run, job = await asked(owning, blocking=True)
    does(job, {"n": 1})
    await until(lambda: len(said(owning, run)) == 2)
    assert said(owning, run) == [(RESULT, True), (OVER, False)]


@pytest.mark.parametrize("door", [None, 7])
async def test_a_stock_controller_names_no_door_and_hears_all_on_the_bus(
    owning: Owning, doors: FakeDoors, door: object
):
    run, job = await asked(owning, door=door, blocking=True)
    does(job, {"n": 1})
    await until(lambda: len(said(owning, run)) == 2)
    assert (said(owning, run), doors.met, doors.handed) == ([(RESULT, True), (OVER, False)], [], [])


async def test_the_result_of_a_sequence_goes_to_the_door_too(owning: Owning, doors: FakeDoors):
    run, first = await asked(owning, blocking=True, graph=owning.deploy(sequence()), content=b"{}")
    does(first, {"n": 1})
    does((await owning.submitted(2))[1], {"n": 2})
    await until(lambda: doors.handed)
    [handed] = doors.handed
    assert handed.record["response"]["result"] == {"n": 2}
    assert len(handed.record["logs"]) == 2
    handed.told(True)
    await owning.stored(run)
    assert said(owning, run) == []


async def test_the_whole_end_of_a_sequence_goes_by_the_bus_if_the_door_did_not_take_it(
    owning: Owning, doors: FakeDoors
):
    run, first = await asked(owning, blocking=True, graph=owning.deploy(sequence()), content=b"{}")
    fails(first, Failure.RUN_DIED)
    await until(lambda: doors.handed)
    doors.handed[0].told(False)
    assert said(owning, run) == [(None, True)]


async def test_a_later_owner_tells_its_epoch_at_the_door(owning: Owning, doors: FakeDoors):
    message = a_message("guest/act", blocking=True, graph=owning.deploy(sequence()), content=b"{}", epoch=2)
    owning.bus.deliver(message, **{DOOR: HERE})
    await until(lambda: doors.handed)
    assert doors.handed[0].headers["e"] == 2


async def test_a_controller_that_was_started_again_is_told_at_the_door_that_it_named_last(
    owning: Owning, doors: FakeDoors
):
    message = a_message("guest/act", blocking=True)
    owning.bus.deliver(message, **{DOOR: "tcp://10.0.0.1:1"})
    [job] = await owning.submitted(1)
    owning.bus.deliver(message, **{DOOR: HERE})
    does(job, {"n": 1})
    await until(lambda: doors.handed)
    assert doors.handed[0].name == HERE


async def test_a_result_is_told_before_its_log_and_its_end_when_the_record_is_safe(owning: Owning, doors: FakeDoors):
    run, job = await asked(owning, blocking=True)
    begins(job)
    job.listener.answered(Report("ok", len(TEXT), {}, TEXT, None), time.monotonic())
    assert doors.handed[0].record["response"]["result"] == {"n": 1}
    doors.handed[0].told(True)
    assert said(owning, run) == []
    found = owning.journalled()
    assert (list(found.runs), [record.result for record in found.records]) == ([run], [TEXT])
    returns(job, {"n": 1})
    await owning.stored(run)
    assert owning.records.written[run].result == TEXT
    assert [handed.what for handed in doors.handed] == [(RESULT, True), (OVER, False)]
    assert said(owning, run) == []
    doors.handed[1].told(False)
    assert said(owning, run) == [(OVER, False)]


@pytest.mark.parametrize("taken", [True, False])
async def test_an_end_waits_for_what_becomes_of_the_result(owning: Owning, doors: FakeDoors, taken: bool):
    run, job = await asked(owning, blocking=True)
    begins(job)
    job.listener.answered(Report("ok", len(TEXT), {}, TEXT, None), time.monotonic())
    returns(job, {"n": 1})
    await owning.stored(run)
    assert (len(doors.handed), said(owning, run)) == (1, [])
    doors.handed[0].told(taken)
    assert doors.handed[1].what == ((OVER, False) if taken else (None, True))
    doors.handed[1].told(False)
    assert said(owning, run) == ([] if taken else [(RESULT, True)]) + [(OVER, False)]


@pytest.mark.parametrize("door", [None, HERE])
async def test_without_a_door_the_bus_has_the_result_before_the_log(owning: Owning, doors: FakeDoors, door: str | None):
    doors.reached = False
    run, job = await asked(owning, door=door, blocking=True)
    begins(job)
    job.listener.answered(Report("ok", len(TEXT), {}, TEXT, None), time.monotonic())
    assert said(owning, run) == [(RESULT, True)]
    returns(job, {"n": 1})
    await until(lambda: len(said(owning, run)) == 2)
    assert said(owning, run)[1] == (OVER, False)


async def test_on_the_local_bus_too_a_result_is_told_before_its_log(make: Make):
    owning = make()
    run, job = await asked(owning, door=None, blocking=True)
    begins(job)
    job.listener.answered(Report("ok", len(TEXT), {}, TEXT, None), time.monotonic())
    assert said(owning, run) == [(RESULT, True)]
    returns(job, {"n": 1})
    await until(lambda: len(said(owning, run)) == 2)
    assert said(owning, run)[1] == (OVER, False)


async def test_nobody_is_told_ahead_who_does_not_wait(owning: Owning, doors: FakeDoors):
    run, job = await asked(owning, door=None, blocking=False)
    begins(job)
    job.listener.answered(Report("ok", len(TEXT), {}, TEXT, None), time.monotonic())
    returns(job, {"n": 1})
    await until(lambda: said(owning, run) != [])
    assert (said(owning, run), doors.handed) == ([(OVER, False)], [])


async def test_what_was_told_stands_if_the_container_ends_before_its_log_is_whole(owning: Owning, doors: FakeDoors):
    run, job = await asked(owning, blocking=True)
    begins(job)
    job.listener.answered(Report("ok", len(TEXT), {}, TEXT, None), time.monotonic())
    doors.handed[0].told(True)
    fails(job, Failure.RUN_DIED)
    await owning.stored(run)
    assert (owning.records.written[run].status, owning.records.written[run].result) == (0, TEXT)
    assert doors.handed[1].what == (OVER, False)
