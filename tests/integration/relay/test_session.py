"""What one container may say, and what the relay does with it."""

from __future__ import annotations

import mmap
import os

import pytest

from action_runtime.wire.errors import PeerLost, ProtocolViolation, VersionMismatch
from action_runtime.wire.frames import FrameKind
from action_runtime.wire.values import Head, Media
from invoker_ext.dataflow.commands import Bound
from invoker_ext.relay.dispatch import send_end, send_part, send_run
from invoker_ext.relay.layout import lay_out
from tests.support.reserving import stored
from tests.support.waiting import until

MIB = 1 << 20
EMIT = {"f": 1, "o": "file", "i": 0, "how": "emit"}
RETURNED = {"f": 1, "status": "ok", "n": 3, "counts": {"file": ["emit", 1]}}


def bytes_of(count: int) -> dict[str, object]:
    return {"t": "bytes", "n": count}


class Forbidden(Exception):
    """What an announcement raises."""


def at_once() -> None:
    """Let a firing begin."""


async def hears(line, name: str) -> None:
    await until(lambda: name in line.heard.names, message=lambda: f"{name}; heard {line.heard.calls}")


async def is_closed(line, error: type[Exception]) -> None:
    await until(lambda: line.heard.errors, message="the end of the session")
    assert [type(one) for one in line.heard.errors] == [error]
    await line.container.ended()


# --- opening ---


async def test_a_container_is_welcomed_with_its_bounds(lines, sink):
    line = lines()
    await line.container.send(FrameKind.HELLO, {"protocol": 1, "pid": 7, "python": "3.11.7"})

    welcome = await line.container.next(FrameKind.WELCOME)

    assert welcome.meta == {"protocol": 1, "outbox_bytes": 4 * MIB, "largest_bytes": sink.largest_bytes}
    assert line.heard.calls == [("hello", {"protocol": 1, "pid": 7, "python": "3.11.7"})]


@pytest.mark.parametrize("version", [0, 2])
async def test_a_neighbouring_version_is_welcomed(lines, version):
    line = lines()
    await line.container.send(FrameKind.HELLO, {"protocol": version})

    await line.container.next(FrameKind.WELCOME)


@pytest.mark.parametrize("version", [3, -1, "1", None, True])
async def test_another_version_closes_the_connection(lines, version):
    line = lines()
    await line.container.send(FrameKind.HELLO, {"protocol": version})

    await is_closed(line, VersionMismatch)


async def test_a_container_that_does_not_begin_with_hello_is_cut_off(lines):
    line = lines()
    await line.container.send(FrameKind.INITED, {"ok": True})

    await is_closed(line, ProtocolViolation)


# --- outputs ---


async def test_a_small_value_arrives_with_its_frame(line):
    await line.container.send(FrameKind.EMIT, {**EMIT, "t": "json", "n": 7}, b'"hello"')
    await hears(line, "emitted")

    assert line.heard.calls[-1] == ("emitted", (1, "file", 0, "emit"))
    assert line.heard.data[0].inline == b'"hello"'
    assert line.heard.data[0].head == Head(Media.JSON, 7)


async def test_a_large_value_is_written_once_and_committed(line, sink):
    await line.container.send(FrameKind.RESERVE, {"r": 5, "n": MIB})
    grant = await line.container.next(FrameKind.GRANT)
    assert grant.meta == {"r": 5}
    assert line.session.backlog_bytes == MIB
    os.pwrite(grant.descriptors[0], b"x" * MIB, 0)

    await line.container.send(FrameKind.EMIT, {**EMIT, **bytes_of(MIB), "r": 5})
    await hears(line, "emitted")

    assert line.heard.data[0].read() == b"x" * MIB
    assert line.session.backlog_bytes == 0
    assert (line.session.bandwidth.bytes_per_s(0.0) or 0) > 0
    assert list(sink.usage.by_owner) == ["guest/run"]


async def test_a_value_may_be_shorter_than_what_was_reserved_for_it(line):
    await line.container.send(FrameKind.RESERVE, {"r": 5, "n": 40_000, "f": 1})
    grant = await line.container.next(FrameKind.GRANT)
    os.pwrite(grant.descriptors[0], b"x" * 20_000, 0)

    await line.container.send(FrameKind.EMIT, {**EMIT, **bytes_of(20_000), "r": 5})
    await hears(line, "emitted")

    assert line.heard.data[0].read() == b"x" * 20_000


async def test_a_reserve_that_can_never_be_met_is_refused(line):
    await line.container.send(FrameKind.RESERVE, {"r": 5, "n": 1 << 40})

    refuse = await line.container.next(FrameKind.REFUSE)

    assert refuse.meta["r"] == 5
    assert "can never fit" in refuse.meta["error"]
    assert line.session.backlog_bytes == 0


async def test_a_reserve_waits_for_room_and_is_granted_after_a_release(line, sink):
    datum = await stored(sink, bytes(20 * MIB))
    sink.pin(datum)
    await line.container.send(FrameKind.RESERVE, {"r": 5, "n": 20 * MIB})
    await until(lambda: sink.usage.waiting == 1, message="a waiting reserve")

    sink.unpin(datum)
    datum.release()

    assert (await line.container.next(FrameKind.GRANT)).meta == {"r": 5}


async def test_one_firing_is_told_in_order_to_its_end(line):
    await line.container.send(FrameKind.INITED, {"ok": True})
    await line.container.send(FrameKind.RETURNED, RETURNED, b"{}\n")
    await line.container.send(FrameKind.EMIT, {**EMIT, **bytes_of(1)}, b"x")
    await line.container.send(FrameKind.DRAINED, {"f": 1, "held_bytes": 9})
    await line.container.send(FrameKind.FREED, {"f": 1, "held_bytes": 0})
    await hears(line, "freed")

    assert line.heard.names == ["hello", "inited", "returned", "emitted", "drained", "freed"]


# --- inputs ---


async def test_a_run_brings_its_segments_in_batches_and_they_map(line, sink):
    data = [await stored(sink, bytes([number % 256]) * 20_000) for number in range(201)]
    layout = lay_out(
        [Bound("all", tuple(data)), Bound("n", sink.put_inline(Head(Media.JSON, 1), b"3"))], sink.put_bytes
    )

    send_run(line.session, 1, {"env": {}, "wants": {}, "plain": False, "timeout_ms": 1000}, layout, at_once)

    batches = [await line.container.next(FrameKind.SEGMENTS) for _ in range(2)]
    run = await line.container.next(FrameKind.RUN)
    assert [len(batch.descriptors) for batch in batches] == [200, 1]
    assert run.meta["inputs"][1] == {"name": "n", "value": {"t": "json", "n": 1, "at": 0}}
    assert run.payload == b"3"
    with mmap.mmap(batches[1].descriptors[0], 20_000, prot=mmap.PROT_READ) as view:
        assert view[:] == bytes([200]) * 20_000


async def test_a_firing_is_announced_before_its_first_frame_leaves(line, sink):
    def forbid() -> None:
        raise Forbidden

    datum = await stored(sink, bytes(20_000))
    with pytest.raises(Forbidden):
        send_run(line.session, 1, {}, lay_out([Bound("a", datum)], sink.put_bytes), forbid)
    line.session.open_firing(2, "run")
    send_run(line.session, 2, {}, lay_out([Bound("a", datum)], sink.put_bytes), at_once)

    assert (await line.container.next(FrameKind.SEGMENTS)).meta == {"f": 2}


async def test_inputs_stay_until_the_container_lets_go_of_them(line, sink):
    datum = await stored(sink, bytes(20_000))
    send_run(line.session, 1, {}, lay_out([Bound("a", datum)], sink.put_bytes), at_once)
    datum.release()
    await line.container.send(FrameKind.RETURNED, RETURNED)
    await line.container.send(FrameKind.DRAINED, {"f": 1, "held_bytes": 20_000})
    await hears(line, "drained")
    assert sink.usage.segments == 1

    await line.container.send(FrameKind.FREED, {"f": 1, "held_bytes": 0})
    await hears(line, "freed")

    assert sink.usage.segments == 0


async def test_packed_inputs_are_freed_with_their_firing(line, sink):
    items = tuple(sink.put_inline(Head(Media.BYTES, 16_000), bytes(16_000)) for _ in range(140))
    layout = lay_out([Bound("all", items)], sink.put_segment)
    send_run(line.session, 1, {}, layout, at_once)
    assert sink.usage.segments == 1

    line.session.close_firing(1)
    line.session.close_firing(1)

    assert sink.usage.segments == 0


async def test_parts_of_a_stream_are_let_go_of_as_they_are_taken(line, sink):
    for size in (20_000, 30_000):
        datum = await stored(sink, bytes(size))
        send_part(line.session, 1, "log", datum)
        datum.release()
    send_part(line.session, 1, "log", sink.put_inline(Head(Media.BYTES, 2), b"ab"))
    send_end(line.session, 1, "log", "broke off")

    first, _, third = [await line.container.next(FrameKind.CHUNK) for _ in range(3)]
    end = await line.container.next(FrameKind.STREAM_END)
    assert first.meta == {"f": 1, "input": "log", "t": "bytes", "n": 20_000, "seg": 0}
    assert (third.meta["at"], third.payload) == (0, b"ab")
    assert end.meta == {"f": 1, "input": "log", "error": "broke off"}
    assert line.session.unread(1, "log") == 3

    await line.container.send(FrameKind.TAKEN, {"f": 1, "input": "log", "count": 2})
    await hears(line, "taken")

    assert line.session.unread(1, "log") == 1
    assert sink.usage.segments == 0


async def test_one_datum_goes_to_many_containers_without_a_copy(lines, sink):
    datum = await stored(sink, b"x" * MIB)
    receivers = []
    for _ in range(10):
        line = lines()
        await line.greet()
        line.session.open_firing(1, "run")
        send_run(line.session, 1, {}, lay_out([Bound("a", datum)], sink.put_bytes), at_once)
        receivers.append((await line.container.next(FrameKind.SEGMENTS)).descriptors[0])

    assert len({os.fstat(one).st_ino for one in receivers}) == 1
    assert sink.usage.segment_bytes == MIB


# --- the end ---


async def test_a_container_that_goes_away_is_told_as_lost(line):
    line.container.close()

    await until(lambda: line.heard.errors)
    assert isinstance(line.heard.errors[0], PeerLost)


async def test_closing_from_this_side_is_told_without_an_error(line):
    line.session.close()
    line.session.close()

    assert line.heard.errors == [None]


async def test_everything_a_session_held_is_free_after_its_end(line, sink):
    await line.container.send(FrameKind.RESERVE, {"r": 1, "n": 20_000})
    await line.container.next(FrameKind.GRANT)
    blocker = await stored(sink, bytes(20 * MIB))
    sink.pin(blocker)
    await line.container.send(FrameKind.RESERVE, {"r": 2, "n": 20 * MIB})
    await until(lambda: sink.usage.waiting == 1, message="a waiting reserve")
    lent = sink.put_bytes(Head(Media.BYTES, 20_000), bytes(20_000))
    send_run(line.session, 1, {}, lay_out([Bound("a", lent)], sink.put_bytes), at_once)
    lent.release()

    line.session.close()

    assert (sink.usage.waiting, sink.usage.segments) == (0, 1)
    sink.unpin(blocker)
    blocker.release()
    assert sink.usage.segment_bytes == 0
