"""Pulling into a sink that is full, or too small."""

from __future__ import annotations

import asyncio
import os

import pytest

from invoker_ext.sink.errors import SinkFull
from tests.support.peering import MIB
from tests.support.reserving import Asked
from tests.support.waiting import until


async def test_a_pull_waits_for_room_without_asking_its_sender_and_goes_on_when_there_is_some(hosts):
    one, two = await hosts(0), await hosts(1, budget_bytes=32 * MIB, spill_bytes=0)
    two.knows(one)
    taken = Asked(two.sink, 20 * MIB)
    segment = await taken.granted()
    data = os.urandom(16 * MIB)
    pull = asyncio.ensure_future(two.peers.pull(one.offer(data)[1], "guest/other"))
    await until(lambda: two.sink.usage.waiting == 1)
    assert one.peers.lent_bytes == 0

    two.sink.give_back(segment)

    assert (await pull).read() == data
    assert one.peers.lent_bytes == len(data)


async def test_a_pull_that_is_refused_room_says_why_and_leaves_nothing(hosts):
    one, two = await hosts(0), await hosts(1, budget_bytes=32 * MIB, spill_bytes=0)
    _, ref = one.offer(os.urandom(40 * MIB))

    with pytest.raises(SinkFull, match="can never fit"):
        await two.knows(one).peers.pull(ref, "guest/run")

    segment = await Asked(two.sink, 20 * MIB).granted()
    pull = asyncio.ensure_future(two.peers.pull(one.offer(os.urandom(20 * MIB))[1], "guest/run"))
    await until(lambda: two.sink.usage.waiting == 1)
    two.sink.refuse_waiting("guest/run", "the run has ended")
    with pytest.raises(SinkFull, match="the run has ended"):
        await pull
    two.sink.give_back(segment)
    assert two.sink.usage.segments == 0


async def test_what_is_spilled_is_sent_from_its_file(hosts):
    one, two = await hosts(0, budget_bytes=32 * MIB, spill_bytes=256 * MIB), await hosts(1)
    data = [os.urandom(8 * MIB) for _ in range(6)]
    offers = [one.offer(each)[1] for each in data]
    await until(lambda: one.sink.usage.spilled_bytes >= 16 * MIB)

    for each, ref in zip(data, offers, strict=True):
        stored = await two.knows(one).peers.pull(ref, "guest/run")
        assert stored.read() == each
        stored.release()


async def test_a_run_whose_data_expire_while_they_come_harms_nobody(hosts):
    one, two = await hosts(0), await hosts(1)
    data = os.urandom(100 * MIB)
    _, ref = one.offer(data)
    pull = asyncio.ensure_future(two.knows(one).peers.pull(ref, "guest/gone"))
    await until(lambda: two.sink.usage.segments == 1 and one.peers.lent_bytes)

    two.sink.expire("guest/gone")

    await asyncio.gather(pull, return_exceptions=True)
    assert two.sink.usage.segments == 0
    assert (await two.peers.pull(one.offer(b"x" * MIB)[1], "guest/run")).read() == b"x" * MIB


@pytest.mark.parametrize("turns", range(5))
async def test_room_that_comes_while_a_pull_is_given_up_is_given_back(hosts, turns):
    one, two = await hosts(0), await hosts(1, budget_bytes=32 * MIB, spill_bytes=0)
    segment = await Asked(two.sink, two.sink.largest_bytes).granted()
    pull = asyncio.ensure_future(two.knows(one).peers.pull(one.offer(bytes(MIB // 8))[1], "guest/run"))
    await until(lambda: two.sink.usage.waiting == 1)

    pull.cancel()
    for _ in range(turns):
        await asyncio.sleep(0)
    two.sink.give_back(segment)

    await until(lambda: two.sink.usage.segments == 0)


@pytest.mark.parametrize("turns", range(5))
async def test_who_asks_for_what_others_have_just_given_up_gets_it(pair, turns):
    one, two = pair
    data = os.urandom(8 * MIB)
    _, ref = one.offer(data)
    first = asyncio.ensure_future(two.peers.pull(ref, "guest/run"))
    await until(lambda: one.peers.lent_bytes)

    first.cancel()
    for _ in range(turns):
        await asyncio.sleep(0)

    assert (await two.peers.pull(ref, "guest/run")).read() == data
