"""Control messages between hosts."""

from __future__ import annotations

import pytest

from invoker_ext.peers.errors import PeerGone, PeerUnknown
from tests.support.peering import SHORT
from tests.support.waiting import until


async def test_messages_arrive_in_order_with_their_payload(pair):
    one, two = pair
    for number in range(300):
        one.peers.send(1, "count", {"n": number}, bytes([number % 256]) * number)

    await until(lambda: len(two.heard) == 300)
    assert two.heard == [(0, "count", {"n": n}, bytes([n % 256]) * n) for n in range(300)]
    assert two.lost == one.lost == []


async def test_both_sides_may_begin_at_once(pair):
    one, two = pair
    for number in range(50):
        one.peers.send(1, "ping", {"n": number})
        two.peers.send(0, "pong", {"n": number})

    await until(lambda: len(two.heard) == len(one.heard) == 50)
    assert [meta["n"] for _, _, meta, _ in one.heard] == [meta["n"] for _, _, meta, _ in two.heard] == list(range(50))
    assert two.lost == one.lost == []


async def test_a_peer_that_was_only_heard_of_by_its_call_is_answered(hosts):
    one, two = await hosts(0), await hosts(1)
    one.knows(two).peers.send(1, "ping", {})
    await until(lambda: two.heard)

    two.peers.send(0, "pong", {})

    await until(lambda: one.heard)


async def test_a_peer_that_was_never_seen_is_unknown(hosts):
    host = await hosts(0)
    with pytest.raises(PeerUnknown):
        host.peers.send(7, "ping", {})


async def test_a_peer_that_cannot_be_reached_is_lost_at_the_bound_and_may_come_back(hosts, free_port):
    one = await hosts(0, bounds=SHORT)
    one.peers.know(1, f"127.0.0.1:{free_port}")
    one.peers.send(1, "ping", {"n": 1})

    await until(lambda: one.lost == [1])
    with pytest.raises(PeerGone):
        one.peers.send(1, "ping", {"n": 2})
    two = await hosts(1, bounds=SHORT, listen=f"127.0.0.1:{free_port}")
    one.knows(two).peers.send(1, "ping", {"n": 3})

    await until(lambda: two.heard)
    assert [meta for _, _, meta, _ in two.heard] == [{"n": 3}]
