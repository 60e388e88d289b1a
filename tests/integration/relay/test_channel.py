"""A channel when the other end reads slowly, or in pieces."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest
import uvloop

from action_runtime.wire.codec import encode_head
from action_runtime.wire.errors import PeerLost
from action_runtime.wire.frames import FrameKind
from invoker_ext.relay.channel import Channel
from invoker_ext.relay.errors import ReaderTooSlow
from tests.support.far_end import FarEnd
from tests.support.waiting import until


class Ends:
    def __init__(self, unsent_bytes: int = 1 << 24) -> None:
        ours, theirs = socket.socketpair()
        self.errors: list[object] = []
        self.frames: list[object] = []
        self.far = FarEnd(theirs)
        loop = asyncio.get_running_loop()
        self.channel = Channel(ours, loop, self.frames.append, self.errors.append, unsent_bytes)


@pytest.fixture
async def ends(no_leaks):
    made: list[Ends] = []

    def make(**changes) -> Ends:
        made.append(Ends(**changes))
        return made[-1]

    yield make
    for one in made:
        one.channel.close()
        one.far.close()


async def exchange(ends: Ends) -> None:
    payload = os.urandom(300_000)
    parts = [payload[at : at + 100] for at in range(0, len(payload), 100)]
    number = os.open(os.devnull, os.O_RDONLY)
    for index in range(10):
        head = encode_head(FrameKind.RUN, {"i": index}, len(payload), 1)
        ends.channel.send_head(head, parts, (number,))
        ends.channel.send(FrameKind.CHUNK, {"i": index}, payload)
    os.close(number)
    assert ends.channel.unsent_bytes > 0

    for index in range(10):
        run, chunk = await ends.far.next(FrameKind.RUN), await ends.far.next(FrameKind.CHUNK)
        assert (run.meta, chunk.meta) == ({"i": index}, {"i": index})
        assert run.payload == chunk.payload == payload
        assert os.fstat(run.descriptors[0]).st_rdev == os.stat(os.devnull).st_rdev  # noqa: PTH116
    assert ends.channel.unsent_bytes == 0


async def test_frames_that_would_block_arrive_whole_in_order_with_their_descriptors(ends):
    await exchange(ends())


@pytest.fixture
def warm_uvloop() -> None:
    """Its first loop opens a pipe that stays for the life of the process."""

    async def nothing() -> None:
        return

    uvloop.run(nothing())


def test_the_same_holds_on_uvloop(warm_uvloop, no_leaks):
    async def main() -> None:
        ends = Ends()
        await exchange(ends)
        ends.channel.close()
        ends.far.close()

    uvloop.run(main())


async def test_a_reader_that_never_reads_is_cut_off_at_the_bound(ends):
    pair = ends(unsent_bytes=1_000_000)
    number = os.open(os.devnull, os.O_RDONLY)
    for _ in range(20):
        pair.channel.send(FrameKind.SEGMENTS, {}, bytes(100_000), (number,))
    os.close(number)

    await until(lambda: pair.errors)

    assert isinstance(pair.errors[0], ReaderTooSlow)


async def test_sending_to_who_is_gone_tells_it_once_and_raises_nothing(ends):
    pair = ends()
    pair.far.close()
    pair.channel.send(FrameKind.CHUNK, {})
    pair.channel.send(FrameKind.CHUNK, {})
    assert pair.errors == []

    await until(lambda: pair.errors)
    pair.channel.send(FrameKind.CHUNK, {})

    assert [type(one) for one in pair.errors] == [PeerLost]
