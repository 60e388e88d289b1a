"""Firings on other hosts, seen from both sides. The pipe between them is one in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from action_runtime.wire.errors import DataflowError
from action_runtime.wire.values import Head, Media
from invoker_ext.containers.job import Failure
from invoker_ext.contract.stock import InvokerId, PingMessage
from invoker_ext.contract.told import Told
from invoker_ext.dataflow.commands import STREAMED, Bound, Chunks, Constant
from invoker_ext.lending import lender
from invoker_ext.lending.borrower import PAYLOAD_BYTES
from invoker_ext.lending.forms import job_form
from invoker_ext.lending.lender import UNPREPARED
from invoker_ext.lending.remote import Remote
from invoker_ext.lending.report import LOG_CHARACTERS
from invoker_ext.sink.datum import Stored
from tests.support.containers import a_call, a_job
from tests.support.lending import LARGE, begins, dies, keeping, made_elsewhere, returns, settled
from tests.support.waiting import until

HEAD = Head(Media.BYTES, LARGE)


def quiet(cluster):
    """Return whether no host holds anything of the run any more."""
    return not any(host.holds for host in (cluster.owner, cluster.one, cluster.two))


async def test_a_job_without_room_is_done_elsewhere_and_its_owner_hears_all_of_it(cluster):
    job, heard = a_job(arguments='{"x": 1}', wants={"y": "value"})

    cluster.owner.borrower.submit(job)
    lent = await cluster.one.job()
    begins(lent)
    lent.listener.emitted("y", 0, "emit", cluster.one.put(b"small"))
    returns(lent, {"y": ("emit", 1)})
    await heard.end()

    assert not cluster.owner.pool.jobs
    assert lent.inputs == [Bound("", Constant('{"x": 1}'))]
    assert (lent.env, lent.wants, lent.run, lent.timeout_s) == (job.env, job.wants, job.run, job.timeout_s)
    assert heard.heard == ["began", "emitted", "returned", "logs", "drained"]
    assert heard.outputs == [("y", 0, "emit", b"small")]
    assert heard.report is not None
    assert heard.report.counts == {"y": ("emit", 1)}
    assert heard.text == ["hello"]
    assert heard.container == "1/c1"
    assert job.host == 1


async def test_logs_of_any_length_arrive_as_they_are(cluster):
    job, heard = a_job()
    cluster.owner.borrower.submit(job)
    lent = await cluster.one.job()
    lines = ["short", "x" * (3 * LOG_CHARACTERS + 7), "", "y" * LOG_CHARACTERS, *(["z" * 1000] * 2000)]

    returns(lent, lines=lines)
    await heard.end()

    assert heard.lines == lines
    assert max(len(str(meta)) for *_, kind, meta, _ in cluster.network.said if kind == "logs") < 2 * LOG_CHARACTERS


async def test_a_job_with_more_inputs_than_a_message_takes_is_done_by_its_owner(cluster):
    job, _ = a_job(inputs=[Bound("x", cluster.owner.put(b"0" * LARGE))])
    cluster.network.largest_meta = 10

    cluster.owner.borrower.submit(job)
    await cluster.owner.job()

    assert not cluster.one.pool.jobs
    cluster.network.largest_meta = None
    cluster.owner.borrower.submit(a_job()[0])
    await cluster.one.job()  # that host is as good as before


async def test_code_is_read_from_the_store_by_the_host_that_runs_it(cluster):
    job, _ = a_job(code="def main(args): return {'secret': 1}")

    cluster.owner.borrower.submit(job)
    lent = await cluster.one.job()

    assert lent.code == {"kind": "python:3", "code": "…"}
    assert all("secret" not in str(message) for message in cluster.network.said)


async def test_an_action_that_is_gone_fails_its_job_with_the_reason(cluster):
    job, heard = a_job(call=a_call("guest/other"))

    cluster.owner.borrower.submit(job)
    await until(lambda: heard.failure is not None)

    assert (heard.failure, heard.began_before) == (Failure.NOT_STARTED, False)
    assert "could not be found" in heard.detail


async def test_inputs_come_from_the_host_that_has_them_and_never_through_the_owner(cluster):
    _, datum = await made_elsewhere(cluster.owner, cluster.one, b"1" * LARGE)
    cluster.one.pool.room = 0
    cluster.owner.knows(cluster.one, cluster.two)
    second, _ = a_job(inputs=[Bound("y", datum), Bound("also", datum)])

    cluster.owner.borrower.submit(second)
    read = await cluster.two.job()

    assert datum.elsewhere
    assert read.inputs[0].value is read.inputs[1].value
    assert read.inputs[0].value.read() == b"1" * LARGE
    assert [(by, ref.host) for by, ref in cluster.network.pulls] == [(2, 1)]
    assert second.pulled_bytes == LARGE
    assert max(len(payload) for *_, payload in cluster.network.said) < 1024
    assert not cluster.owner.holds


async def test_a_firing_is_done_where_its_input_is_and_nothing_is_moved(cluster):
    _, datum = await made_elsewhere(cluster.owner, cluster.one, b"1" * 1024 * 1024)
    cluster.owner.pool.room = 1024
    second, _ = a_job(inputs=[Bound("y", datum)])

    cluster.owner.borrower.submit(second)
    read = await cluster.one.job(2)

    assert read.inputs[0].value.size_bytes == 1024 * 1024
    assert not cluster.network.pulls
    assert second.pulled_bytes == 0


async def test_what_the_owner_reads_of_another_host_is_pulled_once_for_all_its_jobs(cluster):
    lent, datum = await made_elsewhere(cluster.owner, cluster.one, b"1" * LARGE)
    cluster.owner.pool.room = 1024
    jobs = [a_job(inputs=[Bound("y", datum)]) for _ in range(5)]

    for job, _ in jobs:
        cluster.owner.borrower.submit(job)
    await cluster.owner.job(5)

    assert len(cluster.network.pulls) == 1
    for job in cluster.owner.pool.jobs:
        assert job.inputs[0].value.read() == b"1" * LARGE
        returns(job)
    cluster.owner.borrower.let_go(datum)
    returns(lent)
    await until(lambda: quiet(cluster))


async def test_data_of_the_owner_are_offered_once_and_let_go_of_everywhere_when_nobody_reads_them(cluster):
    stored = cluster.owner.put(b"0" * LARGE)
    for _ in range(3):
        cluster.owner.borrower.submit(a_job(inputs=[Bound("x", stored), Bound("parts", Chunks((stored, stored)))])[0])
    await cluster.one.job(3)

    assert len(cluster.network.pulls) == 1
    for job in cluster.one.pool.jobs:
        returns(job)
    assert cluster.one.holds
    cluster.owner.borrower.let_go(stored)
    await until(lambda: quiet(cluster))
    assert not cluster.owner.peers.offered


async def test_many_small_inputs_travel_as_one_datum(cluster):
    many = tuple(cluster.owner.put(bytes([number]) * 15_000) for number in range(100))
    job, heard = a_job(inputs=[Bound("all", many)])
    assert sum(one.size_bytes for one in many) > PAYLOAD_BYTES

    cluster.owner.borrower.submit(job)
    lent = await cluster.one.job()

    assert [one.read() for one in lent.inputs[0].value] == [one.read() for one in many]
    assert len(cluster.network.pulls) == 1
    returns(lent)
    await heard.end()
    for one in many:
        cluster.owner.borrower.let_go(one)
    await until(lambda: quiet(cluster))


async def test_parts_of_a_stream_are_pulled_in_order_while_their_producer_still_writes(cluster):
    job, _ = a_job(inputs=[Bound("lines", STREAMED)])
    cluster.owner.borrower.submit(job)

    cluster.owner.borrower.feed(job, "lines", cluster.owner.put(b"1" * LARGE))
    cluster.owner.borrower.feed(job, "lines", cluster.owner.put(b"2"))
    await cluster.one.job()
    await until(lambda: len(cluster.one.pool.fed) == 2)
    cluster.owner.borrower.feed(job, "lines", cluster.owner.put(b"3" * LARGE))
    cluster.owner.borrower.feed_end(job, "lines", None)
    await until(lambda: len(cluster.one.pool.fed) == 4)

    assert cluster.one.pool.fed == [
        ("lines", b"1" * LARGE), ("lines", b"2"), ("lines", b"3" * LARGE), ("lines", None)
    ]  # fmt: skip


async def test_a_reader_on_the_owners_host_gets_parts_that_were_made_elsewhere(cluster):
    first, heard = keeping(a_job()[0])
    cluster.owner.borrower.submit(first)
    lent = await cluster.one.job()
    cluster.owner.pool.room = 1024
    reader, _ = a_job(inputs=[Bound("lines", STREAMED)])
    cluster.owner.borrower.submit(reader)
    heard.each = lambda value: cluster.owner.borrower.feed(reader, "lines", value)

    for number in range(20):
        lent.listener.emitted("lines", number, "chunk", cluster.one.put(bytes([number]) * LARGE))
    await until(lambda: len(cluster.owner.pool.fed) == 8)
    cluster.owner.pool.jobs[0].listener.taken("lines", 8)
    await until(lambda: len(cluster.owner.pool.fed) == 16)

    assert cluster.owner.pool.fed == [("lines", bytes([number]) * LARGE) for number in range(16)]
    assert len(cluster.network.pulls) == 16  # no more are here than are read soon


async def test_a_result_that_goes_into_a_record_comes_before_what_follows_it(cluster):
    job, heard = a_job(wants={"": "value"})
    job = replace(job, plain=True)
    cluster.owner.borrower.submit(job)
    lent = await cluster.one.job()
    begins(lent)

    lent.listener.emitted("", 0, "whole", cluster.one.put(b"7" * LARGE))
    returns(lent, body=None)
    await heard.end()

    assert heard.heard == ["began", "emitted", "returned", "logs", "drained"]
    assert heard.outputs == [("", 0, "whole", b"7" * LARGE)]
    await until(lambda: quiet(cluster))


async def test_killing_a_job_ends_it_where_it_is(cluster):
    job, heard = a_job()
    cluster.owner.borrower.submit(job)
    await cluster.one.job()

    cluster.owner.borrower.kill(job)
    await until(lambda: heard.heard == ["failed", "logs"])

    assert heard.failure is Failure.RUN_DIED
    assert len(cluster.one.pool.killed) == 1


async def test_a_job_that_dies_there_has_died(cluster):
    job, heard = a_job()
    cluster.owner.borrower.submit(job)
    lent = await cluster.one.job()
    begins(lent)

    dies(lent)
    await until(lambda: heard.heard == ["began", "failed", "logs"])

    assert (heard.failure, heard.began_before) == (Failure.RUN_DIED, True)


@pytest.mark.parametrize("began", [True, False])
async def test_a_job_on_a_host_that_is_lost_has_died(cluster, began):
    job, heard = a_job()
    cluster.owner.borrower.submit(job)
    lent = await cluster.one.job()
    if began:
        begins(lent)
        await until(lambda: heard.heard)

    cluster.network.kill(1)

    assert heard.heard[-2:] == ["failed", "logs"]
    assert (heard.failure, heard.began_before) == (Failure.RUN_DIED, began)
    cluster.owner.borrower.submit(a_job()[0])
    await cluster.two.job()  # the next one goes elsewhere


async def test_of_a_function_that_must_not_begin_twice_a_lost_host_may_have_begun_it(cluster):
    job, heard = a_job()
    noted = []
    job = replace(job, repeats=False, before=lambda: noted.append("journalled"))

    cluster.owner.borrower.submit(job)
    assert noted == ["journalled"]
    cluster.network.kill(1)

    assert (heard.failure, heard.began_before) == (Failure.RUN_DIED, True)


async def test_a_function_that_must_not_begin_goes_nowhere(cluster):
    class Full(DataflowError):
        code = "full"

    def full() -> None:
        raise Full("the journal is full")

    job, heard = a_job()

    cluster.owner.borrower.submit(replace(job, before=full))
    await until(lambda: heard.heard == ["failed", "logs"])

    assert (heard.failure, heard.detail) == (Failure.NOT_STARTED, "the journal is full")
    assert not cluster.network.said


async def test_data_of_a_host_that_is_lost_are_told_to_their_owner(cluster):
    lost: list[Stored] = []
    cluster.owner.borrower.data_lost = lost.extend
    _, datum = await made_elsewhere(cluster.owner, cluster.one, b"1" * LARGE)

    cluster.network.kill(1)

    assert lost == [datum]


async def test_a_datum_that_cannot_be_pulled_is_lost_and_its_reader_has_not_begun(cluster):
    lost: list[Stored] = []
    cluster.owner.borrower.data_lost = lost.extend
    _, datum = await made_elsewhere(cluster.owner, cluster.one, b"1" * LARGE)
    cluster.owner.pool.room = 1024
    reader, told = a_job(inputs=[Bound("y", datum)])
    cluster.network.dead.add(1)  # it is gone, and nobody has noticed

    cluster.owner.borrower.submit(reader)
    await until(lambda: told.heard == ["failed", "logs"])

    assert lost == [datum]
    assert (told.failure, told.began_before) == (Failure.RUN_DIED, False)


async def test_what_a_host_cannot_pull_from_another_one_is_lost_before_its_reader_is_done_again(cluster):
    _, datum = await made_elsewhere(cluster.owner, cluster.one, b"1" * LARGE)
    reader, told = a_job(inputs=[Bound("y", datum)])
    said: list[object] = []
    cluster.owner.borrower.data_lost = lambda data: said.append((list(data), list(told.heard)))
    cluster.network.dead.add(1)  # the owner has not noticed
    cluster.owner.hosts.left(1)

    cluster.owner.borrower.submit(reader)
    await until(lambda: told.heard == ["failed", "logs"])

    assert said == [([datum], [])]
    assert (told.failure, told.began_before) == (Failure.RUN_DIED, False)


@pytest.mark.parametrize("reader", [0, 2])
async def test_what_the_sink_of_its_reader_refuses_is_not_lost_and_the_reason_is_told(cluster, reader):
    lost: list[Stored] = []
    cluster.owner.borrower.data_lost = lost.extend
    _, datum = await made_elsewhere(cluster.owner, cluster.one, b"1" * LARGE)
    cluster.owner.pool.room = 1024 if reader == 0 else 0
    cluster.owner.hosts.left(1)
    cluster.network.full.add(reader)
    job, told = a_job(inputs=[Bound("y", datum)])

    cluster.owner.borrower.submit(job)
    await until(lambda: told.heard == ["failed", "logs"])

    assert (told.failure, told.detail) == (Failure.NOT_STARTED, "a value can never fit the data sink")
    assert not lost


@pytest.mark.parametrize("how", ["plain", "brings"])
async def test_a_result_that_the_owner_needs_and_its_sink_refuses_ends_the_job_with_the_reason(cluster, how):
    job, heard = a_job(wants={"": "value"})
    cluster.owner.borrower.submit(replace(job, plain=how == "plain", brings=how == "brings"))
    lent = await cluster.one.job()
    begins(lent)
    cluster.network.full.add(0)

    lent.listener.emitted("", 0, "whole", cluster.one.put(b"7" * LARGE))
    returns(lent, body=None)
    await until(lambda: heard.heard == ["began", "failed", "logs"])

    assert (heard.failure, heard.detail) == (Failure.WRITE_REFUSED, "a value can never fit the data sink")
    await until(lambda: quiet(cluster))


async def test_a_host_that_is_lost_amid_the_pull_of_a_result_leaves_nothing_of_it(cluster):
    job, heard = a_job(wants={"": "value"})
    cluster.owner.borrower.submit(replace(job, brings=True))
    lent = await cluster.one.job()
    begins(lent)
    cluster.network.flows.clear()
    lent.listener.emitted("", 0, "whole", cluster.one.put(b"7" * LARGE))
    await until(lambda: cluster.network.pulls)

    cluster.owner.borrower.lost(1)
    cluster.network.flows.set()
    await settled()

    assert heard.heard == ["began", "failed", "logs"]
    assert not cluster.owner.holds


async def test_a_release_lets_go_of_everything_of_a_run(cluster):
    job, _ = a_job(inputs=[Bound("x", cluster.owner.put(b"0" * LARGE))])
    cluster.owner.borrower.submit(job)
    lent = await cluster.one.job()
    lent.listener.emitted("y", 0, "emit", cluster.one.put(b"1" * LARGE))
    assert cluster.one.lender.holds(job.run)

    cluster.owner.borrower.release(job.run)
    await until(lambda: not cluster.one.holds)

    assert cluster.one.pool.killed == [lent]
    assert not cluster.one.lender.holds(job.run)
    assert not cluster.owner.peers.offered
    assert not cluster.one.peers.offered


async def test_a_greater_epoch_drops_what_is_left_of_a_smaller_one_which_is_refused_from_then_on(cluster):
    old, _ = a_job()
    cluster.owner.borrower.submit(old)
    await cluster.one.job()
    new, told = a_job()
    cluster.two.pool.room = 0
    cluster.two.knows(cluster.one)
    cluster.two.borrower.submit(replace(new, epoch=1))
    await cluster.one.job(2)

    assert cluster.one.pool.killed == [cluster.one.pool.jobs[0]]
    stale, heard = a_job()
    cluster.owner.borrower.submit(stale)
    await until(lambda: heard.heard == ["failed", "logs"])
    assert (heard.failure, heard.detail) == (Failure.NOT_STARTED, "The run was given to another owner.")
    cluster.owner.borrower.release(old.run)
    returns(cluster.one.pool.jobs[1])
    await told.end()


async def test_a_run_that_is_here_keeps_its_epoch_however_many_others_have_left(cluster, monkeypatch):
    monkeypatch.setattr(lender, "REMEMBERED", 2)
    new, told = a_job()
    cluster.two.pool.room = 0
    cluster.two.knows(cluster.one)
    cluster.two.borrower.submit(replace(new, epoch=1))
    lent = await cluster.one.job()
    for number in range(3):
        job, heard = a_job()
        other = replace(job, run=f"{number:032x}")
        cluster.two.borrower.submit(other)
        returns(await cluster.one.job(number + 2))
        await heard.end()
        cluster.two.borrower.release(other.run)
    await until(lambda: cluster.one.lender.runs == 1)

    stale, heard = a_job()
    cluster.owner.borrower.submit(stale)
    await until(lambda: heard.heard == ["failed", "logs"])

    assert lent not in cluster.one.pool.killed
    returns(lent)
    await told.end()


async def test_an_owner_that_is_lost_leaves_nothing_behind(cluster):
    job, _ = a_job(inputs=[Bound("x", cluster.owner.put(b"0" * LARGE))])
    cluster.owner.borrower.submit(job)
    lent = await cluster.one.job()
    lent.listener.emitted("y", 0, "emit", cluster.one.put(b"1" * LARGE))

    cluster.network.kill(0)

    assert cluster.one.pool.killed == [lent]
    assert not cluster.one.holds


async def test_an_owner_that_is_silent_for_too_long_is_given_up(cluster):
    job, _ = a_job(inputs=[Bound("x", cluster.owner.put(b"0" * LARGE))])
    cluster.owner.borrower.submit(job)
    await cluster.one.job()

    cluster.one.lender.expire(60.0)
    assert cluster.one.holds
    cluster.one.lender.expire(-1.0)

    assert not cluster.one.holds


async def test_an_invoker_that_drains_takes_no_lent_jobs_ends_those_it_has_and_keeps_data_that_are_read(cluster):
    job, heard = a_job(inputs=[Bound("lines", STREAMED)])
    cluster.owner.borrower.submit(job)
    lent = await cluster.one.job()
    draining = asyncio.create_task(cluster.one.lender.drain(5.0))
    await until(lambda: cluster.one.lender.draining)
    refused, _ = a_job(inputs=[Bound("lines", STREAMED)])

    cluster.owner.borrower.submit(refused)
    cluster.owner.borrower.feed(refused, "lines", cluster.owner.put(b"1"))
    cluster.owner.borrower.feed_end(refused, "lines", None)
    await cluster.owner.job()
    await until(lambda: cluster.owner.pool.fed == [("lines", b"1"), ("lines", None)])

    returns(lent)
    await heard.end()
    assert not draining.done()
    cluster.owner.borrower.release(job.run)
    await draining


async def test_a_host_without_the_runtime_of_a_job_leaves_it_to_its_owner(cluster):
    job, heard = a_job()
    cluster.owner.borrower.submit(job)
    lent = await cluster.one.job()

    lent.listener.failed(Failure.KIND_MISSING, "no runtime", False, 0.0)
    lent.listener.logs([], False)
    returns(await cluster.owner.job())
    await heard.end()

    assert "failed" not in heard.heard


async def test_a_reader_that_ends_amid_a_pull_leaves_nothing_behind(cluster):
    first, heard = keeping(a_job()[0])
    cluster.owner.borrower.submit(first)
    lent = await cluster.one.job()
    cluster.owner.pool.room = 1024
    reader, _ = a_job(inputs=[Bound("lines", STREAMED)])
    cluster.owner.borrower.submit(reader)
    await cluster.owner.job()

    lent.listener.emitted("lines", 0, "chunk", cluster.one.put(b"1" * LARGE))
    await until(lambda: heard.data)
    (part,) = heard.data
    assert isinstance(part, Remote)
    cluster.network.flows.clear()
    cluster.owner.borrower.feed(reader, "lines", part)
    await until(lambda: cluster.network.pulls)
    dies(cluster.owner.pool.jobs[0])
    cluster.network.flows.set()
    await until(lambda: part.here is not None)
    cluster.owner.borrower.let_go(part)

    await until(lambda: quiet(cluster))


async def test_what_nobody_reads_any_more_is_not_kept_when_its_pull_ends(cluster):
    held = cluster.owner.put(b"1" * LARGE)
    job, heard = a_job(inputs=[Bound("x", held)])

    cluster.network.flows.clear()
    cluster.owner.borrower.submit(job)
    cluster.owner.borrower.kill(job)
    await until(lambda: cluster.network.pulls)
    cluster.owner.borrower.let_go(held)
    await until(lambda: "let-go" in cluster.network.kinds(1))
    cluster.network.pulls.clear()
    cluster.network.flows.set()
    await heard.end()

    await until(lambda: quiet(cluster))


def ping(life, address="127.0.0.1:1", number=0):
    """Return a ping of an invoker."""
    told = Told(address, life, 512)
    return PingMessage(InvokerId(instance=number, memory_bytes=1024, tags=(told.tag(),))).encode()


async def test_an_invoker_that_tells_no_address_is_passed_over(cluster, caplog):
    cluster.one.desk.pinged(ping(1, "host", number=7))
    cluster.one.desk.pinged(ping(1, number=8))

    assert list(cluster.one.desk.hosts) == [8]
    assert "peer tells no address" in caplog.messages


async def test_the_first_ping_of_an_owner_that_was_started_again_ends_what_its_earlier_lives_want_alone(cluster):
    cluster.one.desk.pinged(ping(0))
    job, heard = a_job()
    cluster.owner.borrower.submit(job)  # under life 1, of which no ping has come yet
    await cluster.one.job()

    cluster.one.desk.pinged(ping(1))

    assert not cluster.one.pool.killed
    cluster.one.desk.pinged(ping(2))
    assert cluster.one.pool.killed
    assert not heard.heard


async def test_a_late_ping_of_an_earlier_life_changes_nothing_and_is_told_once(cluster, caplog):
    cluster.one.desk.pinged(ping(2, number=7))
    ours, _ = a_job()
    cluster.owner.borrower.submit(ours)
    await cluster.one.job()

    for _ in range(3):
        cluster.one.desk.pinged(ping(1, "host", number=7))

    assert list(cluster.one.desk.hosts) == [7]
    assert [one for one in caplog.messages if "peer" in one] == [caplog.messages[-1]]
    assert "an earlier life of a peer passed over" in caplog.messages[-1]


async def test_a_host_that_was_lost_and_comes_back_is_asked_under_a_greater_epoch(cluster):
    first, _ = a_job()
    cluster.owner.borrower.submit(first)
    await cluster.one.job()

    cluster.owner.borrower.lost(1)
    cluster.owner.knows(cluster.one)
    again, heard = a_job()
    cluster.owner.borrower.submit(again)
    lent = await cluster.one.job(2)

    assert cluster.one.pool.killed == [cluster.one.pool.jobs[0]]
    returns(lent)
    await heard.end()


async def test_a_life_asks_under_a_greater_epoch_than_one_before_that_had_lost_the_host_often(cluster):
    for _ in range(5):
        cluster.owner.borrower.lost(1)
        cluster.owner.knows(cluster.one)
    cluster.owner.borrower.submit(a_job()[0])
    await cluster.one.job()

    cluster.two.hosts.life = 2  # as if it were the next life of the owner
    cluster.two.pool.room = 0
    cluster.two.knows(cluster.one)
    job, heard = a_job()
    cluster.two.borrower.submit(job)
    lent = await cluster.one.job(2)

    returns(lent)
    await heard.end()


async def test_a_job_whose_host_cannot_prepare_it_ends_and_leaves_nothing_there(cluster, monkeypatch):
    def fetch(name, revision):
        raise KeyError("limits")

    monkeypatch.setattr(cluster.one.code, "fetch", fetch)
    job, heard = a_job(inputs=[Bound("x", cluster.owner.put(b"0" * LARGE))])

    cluster.owner.borrower.submit(job)
    await heard.end()
    cluster.owner.borrower.release(job.run)

    assert (heard.failure, heard.detail) == (Failure.NOT_STARTED, UNPREPARED)
    await until(lambda: not cluster.one.holds)


async def test_a_job_in_a_form_that_its_host_cannot_read_ends(cluster, monkeypatch):
    cluster.owner.borrower.submit(a_job()[0])
    await cluster.one.job()  # which has the code from here on

    def form(job):
        return {name: value for name, value in job_form(job).items() if name != "env"}

    monkeypatch.setattr("invoker_ext.lending.borrower.job_form", form)
    job, heard = a_job()

    cluster.owner.borrower.submit(job)
    await heard.end()

    assert (heard.failure, heard.detail) == (Failure.NOT_STARTED, UNPREPARED)
