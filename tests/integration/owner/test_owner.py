"""The owner's promises: what is written down when, who is told what, what restarts and outages change."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace

import pytest

from invoker_ext.containers.job import Failure
from invoker_ext.journal import JournalFull
from invoker_ext.owner.owner import RESTARTED, STORE_AWAY
from invoker_ext.store import StoreUnavailable
from tests.support.graphs import graph, step, value
from tests.support.messages import a_message
from tests.support.owning import LARGE_BYTES, FakeRecords, Make, begins, chain, does, fails, sequence
from tests.support.waiting import until

# -- order of safety ---------------------------------------------------------------------------


async def test_a_run_is_in_the_journal_before_its_message_is_committed(make: Make):
    owning, seen = make(), []
    owning.bus.on_commit = lambda: seen.append(set(owning.journalled().runs))
    message = a_message("guest/act")

    offset = owning.bus.deliver(message)

    assert seen == [{message.activation_id}]
    assert owning.bus.committed == [offset]


async def test_a_function_that_must_not_begin_twice_is_written_down_before_it_begins(make: Make):
    owning = make()
    message, job = await owning.run()
    assert not owning.journalled().runs[message.activation_id].began

    begins(job)

    assert owning.journalled().runs[message.activation_id].began


async def test_the_record_is_in_the_journal_before_the_controller_is_told(make: Make):
    owning = make(records=FakeRecords())
    owning.records.away = True
    message, job = await owning.run()

    does(job, {"n": 1})
    assert owning.bus.told(message.activation_id) == []
    await until(lambda: owning.bus.published)

    found = owning.journalled()
    assert [record.activation_id for record in found.records] == [message.activation_id]
    assert list(found.ended) == [message.activation_id]


# -- the store ---------------------------------------------------------------------------------


async def test_an_outage_of_the_store_delays_records_and_no_answer(make: Make):
    owning = make()
    owning.records.away = True
    message, job = await owning.run()
    does(job, {"n": 1})
    await until(lambda: owning.records.refused >= 2, message="a second try")
    assert owning.bus.told(message.activation_id)[0]["response"]["result"] == {"n": 1}
    assert len(owning.journalled().records) == 1

    owning.records.away = False

    await owning.stored(message.activation_id)
    assert owning.records.written[message.activation_id].result == b'{"n": 1}'


async def test_records_that_the_store_never_took_are_there_after_a_restart(make: Make):
    first = make()
    first.records.away = True
    message, job = await first.run()
    does(job, {"n": 1})
    await until(lambda: first.bus.published)

    second = make()

    await second.stored(message.activation_id)


async def test_a_run_whose_action_the_store_does_not_give_ends_with_stocks_sentence(
    make: Make, monkeypatch: pytest.MonkeyPatch
):
    owning = make()

    def away(name: str) -> None:
        raise StoreUnavailable("/data/entities.db cannot be used: disk I/O error")

    monkeypatch.setattr(owning.entities, "get", away)
    message = a_message("guest/act")
    owning.bus.deliver(message)

    await until(lambda: owning.bus.told(message.activation_id))
    response = owning.bus.told(message.activation_id)[0]["response"]
    assert response["result"] == {"error": "Action could not be fetched."}
    assert response["statusCode"] == 3


async def test_a_run_that_the_controller_refused_ends_as_an_application_error_and_asks_for_no_container(make: Make):
    owning = make()
    message = a_message("guest/act", refusal="requirement failed: memory size")
    owning.bus.deliver(message)

    await until(lambda: owning.bus.told(message.activation_id))
    (told,) = owning.bus.told(message.activation_id)
    assert told["response"]["result"] == {"error": "requirement failed: memory size"}
    assert told["response"]["statusCode"] == 1
    assert {"key": "kind", "value": "unknown"} in told["annotations"]
    await owning.stored(message.activation_id)


async def test_no_runs_are_taken_while_the_store_is_away_for_too_long(make: Make):
    owning = make(pending_bytes=100)
    owning.records.away = True
    _, job = await owning.run()
    does(job, {"n": 1})
    await until(lambda: owning.bus.published)

    late = a_message("guest/act")
    owning.bus.deliver(late)

    await until(lambda: owning.bus.told(late.activation_id))
    assert owning.bus.told(late.activation_id)[0]["response"]["result"] == {"error": STORE_AWAY}
    assert len(owning.pool.jobs) == 1
    owning.records.away = False


LARGE = {"text": "x" * 2 * LARGE_BYTES}


async def test_a_large_result_that_the_store_keeps_is_written_nowhere_else(make: Make):
    owning = make()
    owning.records.places = {}
    message, job = await owning.run()
    does(job, LARGE)
    await until(lambda: owning.bus.told(message.activation_id))

    [(place, result)] = owning.records.places.items()
    assert json.loads(result) == LARGE
    [record] = owning.journalled().records
    [told] = owning.bus.told(message.activation_id)
    await owning.stored(message.activation_id)
    stored = owning.records.written[message.activation_id]
    assert (record.place, told["place"], stored.place) == (place, place, place)
    assert (record.result, told["response"].get("result"), stored.result) == (None, None, None)


async def test_a_sequence_and_its_last_step_share_a_large_result(make: Make):
    owning = make()
    owning.records.places = {}
    message, first = await owning.run(graph=owning.deploy(sequence()))
    does(first, {})
    does((await owning.submitted(2))[1], LARGE)
    await until(lambda: owning.bus.told(message.activation_id))

    assert [json.loads(result) for result in owning.records.places.values()] == [LARGE]
    places = [record.place for record in owning.journalled().records]
    assert places == [None, *owning.records.places, *owning.records.places]
    assert owning.sink.usage.segment_bytes == 0


async def test_a_large_result_that_cannot_be_kept_goes_the_way_of_others(make: Make):
    owning = make()
    owning.records.places = {}
    owning.records.away = True
    message, job = await owning.run()
    does(job, LARGE)
    await until(lambda: owning.bus.told(message.activation_id))

    assert owning.bus.told(message.activation_id)[0]["response"]["result"] == LARGE
    [record] = owning.journalled().records
    assert json.loads(record.result or b"") == LARGE


async def test_the_place_of_a_large_result_outlives_a_restart(make: Make):
    first = make()
    first.records.places = {}
    message, job = await first.run()
    does(job, LARGE)
    await until(lambda: first.bus.told(message.activation_id))

    second = make()

    await second.stored(message.activation_id)
    assert second.records.written[message.activation_id].place in first.records.places
    assert second.bus.told(message.activation_id)[0]["place"] in first.records.places


@pytest.mark.parametrize(
    ("door", "length", "pulled"),
    [("tcp://h:1", 70_000, True), ("tcp://h:1", 60_000, False), ("/door", 70_000, False)],
)
async def test_where_controllers_reach_the_door_a_run_names_what_would_weigh_on_the_bus(
    make: Make, door: str, length: int, pulled: bool
):
    owning = make(door=door)
    run, job = await owning.run(graph=owning.deploy(graph(step("a"), result=value("a"))))
    plain, other = await owning.run()
    for one in (job, other):
        does(one, {"text": "x" * length})
    await until(lambda: owning.bus.told(run.activation_id) and owning.bus.told(plain.activation_id))
    large = {headers["id"]: headers.get("large") for headers, _ in owning.bus.published}

    named = large[run.activation_id]
    assert (named is not None) is pulled
    assert large[plain.activation_id] is None
    if named is not None:
        assert json.loads(await owning.owner.result(named[1]) or b"") == {"text": "x" * length}


async def test_a_large_result_is_held_until_the_store_has_it(make: Make):
    owning = make()
    owning.records.away = True
    message, job = await owning.run()
    begins(job)
    digest = owning.deploy(graph(step("a"), result=value("a")))
    run, job = await owning.run(graph=digest)
    does(job, {"text": "x" * 1_200_000})
    await until(lambda: owning.bus.told(run.activation_id))
    headers = next(headers for headers, _ in owning.bus.published if headers["id"] == run.activation_id)
    door, name, size = headers["large"]

    held = await owning.owner.result(name)

    assert (door, size) == ("/door", len(held or b""))
    owning.records.away = False
    await owning.stored(run.activation_id)
    assert await owning.owner.result(name) == held
    assert await owning.owner.result("guest/" + message.activation_id) is None


# -- a full disk -------------------------------------------------------------------------------


def no_room(*args: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_a_run_is_refused_when_it_cannot_be_written_down(make: Make, monkeypatch: pytest.MonkeyPatch):
    owning = make()
    message = a_message("guest/act")
    with monkeypatch.context() as full:
        full.setattr(os, "writev", no_room)
        offset = owning.bus.deliver(message)
        await until(lambda: owning.bus.told(message.activation_id))

    response = owning.bus.told(message.activation_id)[0]["response"]
    assert (response["statusCode"], response["result"]) == (3, {"error": str(JournalFull())})
    assert owning.bus.committed == [offset]
    assert owning.pool.jobs == []
    await owning.stored(message.activation_id)


async def test_a_function_does_not_begin_when_that_cannot_be_written_down(make: Make, monkeypatch: pytest.MonkeyPatch):
    owning = make()
    _, job = await owning.run()
    monkeypatch.setattr(os, "writev", no_room)

    with pytest.raises(JournalFull, match="must free space"):
        begins(job)


async def test_the_next_run_goes_well_once_there_is_room(make: Make, monkeypatch: pytest.MonkeyPatch):
    owning = make()
    with monkeypatch.context() as full:
        full.setattr(os, "writev", no_room)
        owning.bus.deliver(a_message("guest/act"))
        await until(lambda: owning.bus.published)

    message, job = await owning.run()
    does(job, {"n": 2})

    await owning.stored(message.activation_id)
    assert owning.bus.told(message.activation_id)[0]["response"]["statusCode"] == 0


# -- repeated messages -------------------------------------------------------------------------


async def test_a_repeated_message_of_a_run_at_hand_starts_nothing(make: Make):
    owning = make()
    message, _ = await owning.run()

    offset = owning.bus.deliver(message)

    assert owning.bus.committed[-1] == offset
    assert len(owning.pool.jobs) == 1


async def test_a_repeated_message_of_a_run_that_ended_is_answered_again(make: Make):
    owning = make()
    message, job = await owning.run()
    does(job, {"n": 1})
    await until(lambda: owning.bus.published)

    owning.bus.deliver(message)

    first, again = owning.bus.told(message.activation_id)
    assert first == again
    assert len(owning.pool.jobs) == 1


@pytest.mark.parametrize("length", [2 * LARGE_BYTES, 3_000_000])
async def test_a_repeated_message_of_a_run_with_a_large_result_is_told_where_it_lies(make: Make, length: int):
    owning = make()
    owning.records.places = {}
    message, job = await owning.run()
    does(job, {"text": "x" * length})
    await until(lambda: owning.bus.published)

    owning.bus.deliver(message)

    first, again = owning.bus.told(message.activation_id)
    assert first == again
    assert len(owning.pool.jobs) == 1


# -- restarts ----------------------------------------------------------------------------------


async def test_a_plain_action_that_had_begun_is_not_begun_again(make: Make):
    message, job = await make().run()
    begins(job)

    second = make()

    await until(lambda: second.bus.told(message.activation_id))
    assert second.bus.told(message.activation_id)[0]["response"]["result"] == {"error": RESTARTED}
    assert second.pool.jobs == []
    await second.stored(message.activation_id)


async def test_a_run_that_had_not_begun_is_run(make: Make):
    message, _ = await make().run()

    second = make()
    (job,) = await second.submitted(1)
    does(job, {"n": 1})

    await second.stored(message.activation_id)


async def test_a_native_run_starts_over_from_its_parameters(make: Make):
    first = make()
    digest = first.deploy(chain())
    message, job = await first.run(graph=digest, content=b'{"x":7}')
    does(job, {"y": 8})
    await first.submitted(2)

    second = make()
    (again,) = await second.submitted(1)

    assert b"".join(one.value.read() for one in again.inputs) == b"7"  # type: ignore[union-attr]
    does(again, {"y": 8})
    does((await second.submitted(2))[1], {"z": 9})
    await second.stored(message.activation_id)
    assert second.records.written[message.activation_id].result == b'{"z": 9}'


@pytest.mark.parametrize("at_most_once", [True, False])
async def test_a_native_run_with_a_step_that_begins_at_most_once_does_not_start_over(make: Make, at_most_once: bool):
    first = make()
    digest = first.deploy(chain(at_most_once=at_most_once))
    message, job = await first.run(graph=digest, content=b'{"x":7}')
    begins(job)

    second = make()

    if at_most_once:
        await until(lambda: second.bus.told(message.activation_id))
        assert second.bus.told(message.activation_id)[0]["response"]["result"] == {"error": RESTARTED}
    else:
        await second.submitted(1)


async def test_an_end_that_nobody_may_have_heard_of_is_told_again(make: Make):
    first = make()
    message, job = await first.run()
    does(job, {"n": 1})
    await until(lambda: first.bus.published)

    second, third = make(), make()

    for one in (second, third):
        await until(lambda one=one: one.bus.told(message.activation_id))  # type: ignore[misc]
        assert one.bus.told(message.activation_id) == first.bus.told(message.activation_id)
        assert one.pool.jobs == []
    await third.stored(message.activation_id)


async def test_what_a_stop_does_to_containers_is_no_end_of_their_runs(make: Make):
    first = make()
    plain, begun = await first.run()
    begins(begun)
    digest = first.deploy(chain())
    native, job = await first.run(graph=digest, content=b'{"x":7}')
    begins(job)

    await first.owner.drain(0.05)
    first.owner.halt()
    fails(begun, Failure.RUN_DIED)
    fails(job, Failure.RUN_DIED)
    await first.owner.close()

    assert first.bus.published == []
    assert first.records.written == {}
    second = make()
    await until(lambda: second.bus.told(plain.activation_id))
    assert [one.run for one in await second.submitted(1)] == [native.activation_id]


async def test_a_workflow_of_an_owner_that_was_lost_starts_over_under_its_next_one(make):
    owning = make()
    digest = owning.deploy(chain())

    message, job = await owning.run(graph=digest, epoch=1, content=b'{"x": 1}')
    does(job, {"y": 2})
    does((await owning.submitted(2))[1], {"z": 3})
    await until(lambda: owning.bus.published)

    ((headers, _),) = owning.bus.published
    assert (headers["id"], headers["e"], headers["status"]) == (message.activation_id, 1, 0)
    assert job.epoch == 1


@pytest.mark.parametrize("make_graph", [sequence, lambda: chain(at_most_once=True)])
async def test_what_must_not_begin_twice_ends_with_owner_lost_under_its_next_owner(make, make_graph):
    owning = make()
    message = a_message("guest/act", graph=owning.deploy(make_graph()), epoch=1, content=b'{"x": 1}')

    owning.bus.deliver(message)
    await until(lambda: owning.bus.told(message.activation_id))

    (response,) = owning.bus.told(message.activation_id)
    assert "owner lost" in response["response"]["result"]["error"]
    assert response["response"]["statusCode"] == 3
    assert not owning.pool.jobs


async def test_an_owner_that_comes_back_lets_go_of_a_run_that_another_one_has(make):
    owning = make()
    message, job = await owning.run(graph=owning.deploy(chain()), content=b'{"x": 1}')
    given = replace(message, epoch=1)

    owning.bus.deliver(given, drop=True)
    await until(lambda: not owning.owner.active)

    assert owning.pool.killed == [job]
    assert not owning.bus.published
    assert message.activation_id not in owning.journalled().runs
    assert not owning.records.written


async def test_a_run_that_comes_back_to_an_owner_that_had_lost_it_is_not_forgotten_with_its_earlier_self(make):
    owning = make()
    message, job = await owning.run(graph=owning.deploy(chain()), content=b'{"x": 1}')
    owning.pool.kill = lambda job: None  # its container takes its time
    owning.bus.deliver(replace(message, epoch=1), drop=True)
    owning.bus.deliver(replace(message, epoch=2))
    _, again = await owning.submitted(2)

    fails(job, Failure.RUN_DIED)

    assert owning.owner.trace(message.activation_id, message.user.namespace) is not None
    does(again, {"y": 1})


async def test_a_run_that_is_owned_under_the_same_epoch_is_kept(make):
    owning = make()
    message, job = await owning.run(graph=owning.deploy(chain()), content=b'{"x": 1}', epoch=1)

    owning.bus.deliver(message, drop=True)

    assert owning.owner.active == 1
    assert owning.pool.killed == []
    does(job, {"y": 1})
