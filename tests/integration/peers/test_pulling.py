"""Data between hosts."""

from __future__ import annotations

import asyncio
import os

import pytest

from action_runtime.wire.values import Head, Media
from invoker_ext.door.errors import NotHeld
from invoker_ext.peers.errors import PeerUnknown
from invoker_ext.peers.ref import Ref
from tests.support.peering import MIB
from tests.support.waiting import until


@pytest.mark.parametrize("size_bytes", [0, 1, 16 * 1024 - 1, 16 * 1024, 3 * MIB + 1, 40 * MIB])
async def test_a_datum_arrives_as_it_is(pair, size_bytes):
    one, two = pair
    data = os.urandom(size_bytes)
    _, ref = one.offer(data)

    stored = await two.peers.pull(ref, "guest/run")

    assert stored.head == Head(Media.BYTES, size_bytes)
    assert stored.read() == data
    assert two.peers.pulled_bytes == size_bytes


async def test_a_datum_is_pulled_once_for_fifty_callers_and_once_more_after_all_have_let_go(pair):
    one, two = pair
    data = os.urandom(5 * MIB)
    _, ref = one.offer(data)

    got = await asyncio.gather(*(two.peers.pull(ref, "guest/run") for _ in range(50)))

    assert two.peers.transfers == 1
    assert all(stored is got[0] for stored in got)
    later = await two.peers.pull(ref, "guest/run")
    assert two.peers.transfers == 1
    assert later.read() == data
    for stored in [*got, later]:
        stored.release()
    assert two.sink.usage.segments == 0
    (await two.peers.pull(ref, "guest/run")).release()
    assert two.peers.transfers == 2


async def test_five_hundred_small_ones_arrive(pair):
    one, two = pair
    refs = [one.offer(b"%d" % number)[1] for number in range(500)]

    got = await asyncio.gather(*(two.peers.pull(ref, "guest/run") for ref in refs))

    assert [stored.read() for stored in got] == [b"%d" % number for number in range(500)]


async def test_what_is_not_offered_or_not_any_more_is_not_held(pair):
    one, two = pair
    for size_bytes in (10, MIB):
        stored, ref = one.offer(bytes(size_bytes))
        one.peers.withdraw(ref.name)
        stored.release()
        with pytest.raises(NotHeld):
            await two.peers.pull(ref, "guest/run")
        with pytest.raises(NotHeld):
            await two.peers.pull(Ref(0, "nothing", ref.head), "guest/run")
    with pytest.raises(PeerUnknown):
        await two.peers.pull(Ref(9, "nothing", Head(Media.BYTES, 1)), "guest/run")
    assert two.sink.usage.segments == one.sink.usage.segments == 0


async def test_callers_that_give_up_end_the_transfer_and_free_its_room(pair):
    one, two = pair
    _, ref = one.offer(os.urandom(40 * MIB))
    tasks = [asyncio.ensure_future(two.peers.pull(ref, "guest/run")) for _ in range(3)]
    await until(lambda: two.sink.usage.segments == 1)

    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    await until(lambda: two.sink.usage.segments == 0)
    assert (await two.peers.pull(ref, "guest/run")).size_bytes == 40 * MIB
