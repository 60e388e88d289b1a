"""What holds when connections break, peers fall silent, die and come back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest

from invoker_ext.peers.errors import PeerGone, TransferFailed
from tests.support.peering import MIB, Host
from tests.support.waiting import until
from tests.support.way import Way


@pytest.fixture
async def ways() -> AsyncIterator[Callable[[Host], Awaitable[Way]]]:
    """A factory of ways to a host."""
    made: list[Way] = []

    async def make(host: Host) -> Way:
        made.append(await Way(host.peers.address).start())
        return made[-1]

    yield make
    for way in made:
        await way.close()


@pytest.fixture
async def apart(hosts, ways) -> tuple[Host, Host, Way]:
    """Two hosts, and the only way between them: the second reaches the first by it."""
    one, two = await hosts(0), await hosts(1)
    way = await ways(one)
    two.peers.know(0, way.address)
    return one, two, way


async def test_a_transfer_that_was_cut_goes_on_at_the_byte_it_had(apart):
    one, two, way = apart
    data = os.urandom(40 * MIB)
    _, ref = one.offer(data)
    way.most_back_bytes = 20 * MIB

    stored = await two.peers.pull(ref, "guest/run")

    assert stored.read() == data
    assert way.most_back_bytes is None
    # What was under way when it was cut is sent again, and nothing else.
    assert way.back_bytes < len(data) + 17 * MIB
    assert way.connections >= 3


async def test_a_way_on_which_nothing_passes_is_noticed_and_the_transfer_goes_on_when_it_is_over(apart):
    one, two, way = apart
    data = os.urandom(40 * MIB)
    _, ref = one.offer(data)
    pull = asyncio.ensure_future(two.peers.pull(ref, "guest/run"))
    await until(lambda: way.back_bytes > 5 * MIB)

    way.freeze()
    connections = way.connections
    await until(lambda: way.connections > connections)  # the silence was noticed: it tries anew
    way.thaw()

    assert (await pull).read() == data
    assert two.lost == []


async def test_messages_arrive_once_and_in_order_through_cuts(apart):
    one, two, way = apart

    def arrived(count):
        return len(one.heard) > count

    for number in range(200):
        two.peers.send(0, "there", {"n": number}, bytes(number))
        if number % 20 == 10:
            await until(partial(arrived, number - 10))
            one.peers.send(1, "back", {"n": number})
            way.cut()

    await until(lambda: len(one.heard) == 200 and len(two.heard) == 10)
    assert [meta["n"] for _, _, meta, _ in one.heard] == list(range(200))
    assert [meta["n"] for _, _, meta, _ in two.heard] == list(range(10, 200, 20))
    assert one.lost == two.lost == []


async def test_both_sides_lose_a_peer_that_stays_away_and_what_waits_for_it_fails(apart):
    one, two, way = apart
    _, ref = one.offer(os.urandom(100 * MIB))
    _, small = one.offer(b"small")
    (await two.peers.pull(small, "guest/run")).release()
    pull = asyncio.ensure_future(two.peers.pull(ref, "guest/run"))
    await until(lambda: way.back_bytes > MIB)

    way.freeze()

    with pytest.raises(PeerGone):
        await pull
    await until(lambda: two.lost == [0] and one.lost == [1])
    assert two.sink.usage.segments == 0
    with pytest.raises(PeerGone):
        two.peers.send(0, "anything", {})
    with pytest.raises(PeerGone):
        await two.peers.pull(small, "guest/run")


async def test_a_peer_that_was_lost_and_is_seen_again_begins_anew(apart):
    one, two, way = apart
    two.peers.send(0, "before", {})
    await until(lambda: one.heard)
    way.freeze()
    two.peers.send(0, "never", {})
    await until(lambda: two.lost == [0] and one.lost == [1])

    way.cut()
    way.thaw()
    two.peers.know(0, way.address)
    two.peers.send(0, "after", {})

    await until(lambda: len(one.heard) == 2)
    assert [kind for _, kind, _, _ in one.heard] == ["before", "after"]
    one.peers.send(1, "answer", {})
    await until(lambda: two.heard)


async def test_a_peer_that_was_started_again_is_lost_at_once_and_its_offers_are_gone(hosts, free_port):
    where = f"127.0.0.1:{free_port}"
    one, two = await hosts(0, listen=where), await hosts(1)
    two.knows(one).peers.send(0, "first", {})
    await until(lambda: one.heard)
    await one.close()
    again = await hosts(0, listen=where)

    await until(lambda: two.lost == [0], message="a loss")
    two.peers.send(0, "second", {})

    await until(lambda: again.heard)
    assert [kind for _, kind, _, _ in again.heard] == ["second"]
    assert again.lost == []


async def test_a_transfer_that_brings_no_byte_fails_after_some_tries(apart):
    one, two, _ = apart
    _, ref = one.offer(os.urandom(40 * MIB))
    (await two.peers.pull(one.offer(b"small")[1], "guest/run")).release()
    two.peers.know(0, "127.0.0.1:1")  # messages have a way still; bulk connections are made to where nobody is

    with pytest.raises(TransferFailed):
        await two.peers.pull(ref, "guest/run")
    assert two.sink.usage.segments == 0


async def test_a_peer_that_takes_no_messages_is_lost_at_the_bound(apart):
    one, two, way = apart
    two.peers.send(0, "first", {})
    await until(lambda: one.heard)
    way.freeze()

    def flood():
        for _ in range(100):
            two.peers.send(0, "more", {}, bytes(MIB))

    with pytest.raises(PeerGone, match="takes none"):
        flood()
    assert two.lost == [0]
