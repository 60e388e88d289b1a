"""Nothing that a container sends hurts more than its own session."""

from __future__ import annotations

import os
import random
import socket

import pytest

from action_runtime.wire.codec import encode
from action_runtime.wire.errors import ProtocolViolation, WireError
from action_runtime.wire.frames import FrameKind
from invoker_ext.relay.session import MAX_RESERVES
from tests.support.waiting import until

EMIT = {"f": 1, "o": "file", "i": 0, "how": "emit", "t": "bytes", "n": 1}
RETURNED = {"f": 1, "status": "ok", "n": 3, "counts": {"file": ["emit", 1]}}


def without(meta, *names):
    return {name: value for name, value in meta.items() if name not in names}


BAD = {
    "EMIT of a firing it was never given": (FrameKind.EMIT, {**EMIT, "f": 2}, b"x"),
    "EMIT of no firing": (FrameKind.EMIT, without(EMIT, "f"), b"x"),
    "EMIT of a list as firing": (FrameKind.EMIT, {**EMIT, "f": [1]}, b"x"),
    "EMIT of true as firing": (FrameKind.EMIT, {**EMIT, "f": True}, b"x"),
    "EMIT without output": (FrameKind.EMIT, without(EMIT, "o"), b"x"),
    "EMIT with a negative index": (FrameKind.EMIT, {**EMIT, "i": -1}, b"x"),
    "EMIT with an unknown how": (FrameKind.EMIT, {**EMIT, "how": "shout"}, b"x"),
    "EMIT with a list as how": (FrameKind.EMIT, {**EMIT, "how": []}, b"x"),
    "EMIT without head": (FrameKind.EMIT, without(EMIT, "t"), b"x"),
    "EMIT of fewer bytes than it says": (FrameKind.EMIT, EMIT, b""),
    "EMIT of more bytes than it says": (FrameKind.EMIT, EMIT, b"xy"),
    "EMIT of a reserve that was not granted": (FrameKind.EMIT, {**EMIT, "r": 9}, b""),
    "EMIT of a list as reserve": (FrameKind.EMIT, {**EMIT, "r": [9]}, b""),
    "RETURNED of another firing": (FrameKind.RETURNED, {**RETURNED, "f": 2}, b""),
    "RETURNED with an unknown status": (FrameKind.RETURNED, {**RETURNED, "status": "fine"}, b""),
    "RETURNED with a list as status": (FrameKind.RETURNED, {**RETURNED, "status": []}, b""),
    "RETURNED with a number as clash": (FrameKind.RETURNED, {**RETURNED, "clash": 1}, b""),
    "RETURNED with a clash of numbers": (FrameKind.RETURNED, {**RETURNED, "clash": [1]}, b""),
    "RETURNED with a list as digest": (FrameKind.RETURNED, {**RETURNED, "digest": []}, b""),
    "RETURNED without counts": (FrameKind.RETURNED, without(RETURNED, "counts"), b""),
    "RETURNED with a broken count": (FrameKind.RETURNED, {**RETURNED, "counts": {"a": ["emit", -1]}}, b""),
    "RETURNED with a count of lists": (FrameKind.RETURNED, {**RETURNED, "counts": {"a": [[], 1]}}, b""),
    "DRAINED before RETURNED": (FrameKind.DRAINED, {"f": 1, "held_bytes": 0}, b""),
    "FREED without bytes": (FrameKind.FREED, {"f": 1}, b""),
    "TAKEN of what was never sent": (FrameKind.TAKEN, {"f": 1, "input": "a", "count": 1}, b""),
    "TAKEN of less than one": (FrameKind.TAKEN, {"f": 1, "input": "a", "count": 0}, b""),
    "INITED without ok": (FrameKind.INITED, {}, b""),
    "RESERVE of nothing": (FrameKind.RESERVE, {"r": 1, "n": 0}, b""),
    "RESERVE of a text": (FrameKind.RESERVE, {"r": 1, "n": "9"}, b""),
    "RESERVE for another firing": (FrameKind.RESERVE, {"r": 1, "n": 1, "f": 2}, b""),
    "a second HELLO": (FrameKind.HELLO, {"protocol": 1}, b""),
    "a frame that only the relay sends": (FrameKind.GRANT, {"r": 1}, b""),
    "a frame of another protocol": (FrameKind.PUBLISH, {}, b""),
}


async def cut_off(line) -> WireError:
    await until(lambda: line.heard.errors, message="the end of the session")
    [error] = line.heard.errors
    await line.container.ended()
    assert isinstance(error, WireError)
    return error


@pytest.mark.parametrize(("kind", "meta", "payload"), BAD.values(), ids=BAD.keys())
async def test_a_frame_that_is_not_allowed_here_closes_the_session(line, kind, meta, payload):
    await line.container.send(kind, meta, payload)

    assert isinstance(await cut_off(line), ProtocolViolation)


@pytest.mark.parametrize("times", [(FrameKind.RETURNED, RETURNED), (FrameKind.RESERVE, {"r": 1, "n": 9})])
async def test_what_may_be_said_once_closes_the_session_when_said_twice(line, times):
    await line.container.send(*times)
    await line.container.send(*times)

    assert isinstance(await cut_off(line), ProtocolViolation)


async def test_a_frame_that_its_listener_cannot_take_closes_the_session_and_no_other(line, lines, monkeypatch, caplog):
    def break_down(meta):
        raise KeyError("ok")

    other = lines()
    await other.greet()
    monkeypatch.setattr(line.heard, "inited", break_down)
    await line.container.send(FrameKind.INITED, {"ok": True})

    assert isinstance(await cut_off(line), ProtocolViolation)
    assert "frame not understood" in caplog.text
    await other.container.send(FrameKind.INITED, {"ok": True})
    await until(lambda: "inited" in other.heard.names)


async def test_a_firing_that_drained_may_not_emit(line):
    await line.container.send(FrameKind.RETURNED, RETURNED)
    await line.container.send(FrameKind.DRAINED, {"f": 1, "held_bytes": 0})
    await line.container.send(FrameKind.EMIT, EMIT, b"x")

    assert isinstance(await cut_off(line), ProtocolViolation)


async def test_a_firing_that_was_closed_may_not_emit(line):
    line.session.close_firing(1)
    await line.container.send(FrameKind.EMIT, EMIT, b"x")

    assert isinstance(await cut_off(line), ProtocolViolation)


async def test_a_commit_larger_than_its_segment_closes_the_session(line, sink):
    await line.container.send(FrameKind.RESERVE, {"r": 1, "n": 100})
    await line.container.next(FrameKind.GRANT)
    await line.container.send(FrameKind.EMIT, {**EMIT, "n": 101, "r": 1})

    assert "cannot be in a segment" in str(await cut_off(line))
    assert sink.usage.segments == 0


async def test_more_reserves_than_the_bound_close_the_session(line, sink):
    # The first one takes the budget, so that the others wait and no descriptors pile up in the socket.
    await line.container.send_raw(encode(FrameKind.RESERVE, {"r": 0, "n": 28 << 20}))
    await line.container.next(FrameKind.GRANT)
    for request in range(1, MAX_RESERVES + 1):
        await line.container.send(FrameKind.RESERVE, {"r": request, "n": 1 << 20})

    assert "reserves at once" in str(await cut_off(line))
    assert (sink.usage.waiting, sink.usage.segments) == (0, 0)


async def test_descriptors_that_a_container_sends_are_dropped(line):
    numbers = [os.open(os.devnull, os.O_RDONLY) for _ in range(50)]
    socket.send_fds(line.container.sock, [encode(FrameKind.INITED, {"ok": True})], numbers)
    await until(lambda: "inited" in line.heard.names)
    for number in numbers:
        os.close(number)
    # `no_leaks` counts at the end.


@pytest.mark.parametrize("greeted", [True, False], ids=["after HELLO", "before HELLO"])
@pytest.mark.parametrize("seed", range(10))
async def test_garbage_closes_the_session_or_waits_for_more(lines, sink, seed, greeted):
    line, other = lines(), lines()
    await other.greet()
    if greeted:
        await line.greet()
        line.session.open_firing(1, "run")
    chance = random.Random(seed)
    frame = bytearray(encode(FrameKind.EMIT, EMIT, b"x") + encode(FrameKind.RESERVE, {"r": 1, "n": 20_000}))
    for _ in range(1 + seed % 4):
        frame[chance.randrange(len(frame))] = chance.randrange(256)
    await line.container.send_raw(bytes(frame) if seed % 2 else chance.randbytes(500))
    line.container.sock.shutdown(socket.SHUT_WR)

    await until(lambda: line.heard.errors, message="the end of the session")

    assert isinstance(line.heard.errors[0], WireError)
    assert sink.usage.segments == 0
    await other.container.send(FrameKind.INITED, {"ok": True})
    await until(lambda: "inited" in other.heard.names, message="the other session to go on")
