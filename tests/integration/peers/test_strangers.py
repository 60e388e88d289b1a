"""Who is let in, and what it costs to be knocked at by others."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import struct

import pytest

from action_runtime.wire.codec import Decoder, encode
from action_runtime.wire.frames import Frame, FrameKind
from invoker_ext.door.connection import connected
from invoker_ext.door.credentials import Credentials
from invoker_ext.door.errors import CannotListen
from invoker_ext.door.greeting import Use
from invoker_ext.door.listener import Listener
from invoker_ext.peers.bounds import Bounds
from invoker_ext.peers.errors import PeerGone
from tests.support.peering import MIB, QUICK, SECRET, SHORT, Host, told
from tests.support.waiting import until

OTHER = Credentials(b"another secret of the same length")


class Stranger:
    """A connection made by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._decoder = Decoder()

    @staticmethod
    async def knock(host: Host, first: bytes = b"") -> Stranger:
        address, _, port = host.peers.address.rpartition(":")
        stranger = Stranger(*await asyncio.open_connection(address, int(port)))
        stranger.writer.write(first)
        return stranger

    def say(self, kind: FrameKind, **meta) -> None:
        self.writer.write(encode(kind, meta))

    async def hears(self) -> list[Frame]:
        """Return all frames until the other side closes."""
        frames: list[Frame] = []
        try:
            while some := await self.reader.read(65536):
                frames += self._decoder.feed(some)
        except ConnectionError:
            pass
        self.writer.close()
        return frames

    async def hears_one(self) -> Frame:
        while True:
            frames = self._decoder.feed(await self.reader.read(65536))
            if frames:
                return frames[0]


def hello(**other) -> dict[str, object]:
    return {"protocol": 1, "from": 1, "to": 0, "use": "CONTROL", "nonce": "n" * 32} | other


async def refused(host: Host, first: bytes, *frames: dict[str, object]) -> list[Frame]:
    """Knock, send frames of a greeting; return what is answered before the connection is closed."""
    stranger = await Stranger.knock(host, first)
    kinds = [FrameKind.PEER_HELLO, FrameKind.PEER_PROOF]
    for kind, meta in zip(kinds, frames, strict=False):
        stranger.say(kind, **meta)
    return await asyncio.wait_for(stranger.hears(), 3.0)


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\0" * 100, b"DF"])
async def test_garbage_is_closed_and_logged_and_nobody_else_notices(hosts, caplog, garbage):
    one, two = await hosts(0), await hosts(1)
    two.knows(one).peers.send(0, "before", {})

    assert await refused(one, garbage) == []
    assert "peer not accepted" in caplog.text

    two.peers.send(0, "after", {})
    await until(lambda: len(one.heard) == 2)
    assert one.lost == []


@pytest.mark.parametrize("use", [Use.CONTROL, Use.BULK])
async def test_a_frame_above_the_bound_of_a_greeting_is_refused_from_its_header_alone(hosts, use):
    host = await hosts(0)
    stranger = await Stranger.knock(host, use.value + struct.pack(">IBBHI", 3 * MIB, FrameKind.PEER_HELLO, 0, 0, 10))

    (answer,) = await asyncio.wait_for(stranger.hears(), 3.0)

    assert "above the limit" in answer.meta["error"]


@pytest.mark.parametrize(
    ("opening", "reason"),
    [
        ({"protocol": 3}, "protocol 3"),
        ({"protocol": "1"}, "protocol '1'"),
        ({"to": 5}, "this is 0, not 5"),
        ({"to": None}, "this is 0"),
        ({"from": "controller0"}, "only invokers"),
        ({"from": 0}, "both have that name"),
        ({"from": -1}, "malformed"),
        ({"nonce": "short"}, "malformed"),
        ({"use": "BULK"}, "something else"),
    ],
)
async def test_an_opening_that_cannot_be_is_told_why(hosts, opening, reason):
    (answer,) = await refused(await hosts(0), Use.CONTROL.value, hello(**opening))

    assert reason in answer.meta["error"]


@pytest.mark.parametrize("use", [Use.CONTROL, Use.BULK])
@pytest.mark.parametrize("proof", ["", "0" * 64, None, 7])
async def test_a_wrong_proof_is_refused_and_shows_nothing_of_the_right_one(hosts, caplog, use, proof):
    host = await hosts(0)

    first, answer = await refused(host, use.value, hello(use=use.name), {"proof": proof})

    assert set(first.meta) == {"protocol", "from", "nonce"}
    assert answer.meta == {"protocol": 1, "error": "the secret is not the one of this installation"}
    assert SECRET.decode() not in caplog.text + told(caplog)


async def test_a_neighbouring_version_is_let_in(hosts):
    host = await hosts(0)
    stranger = await Stranger.knock(host, Use.CONTROL.value)
    stranger.say(FrameKind.PEER_HELLO, **hello(protocol=2))
    answer = await stranger.hears_one()
    transcript = [2, 1, 0, "CONTROL", "n" * 32, 1, answer.meta["nonce"]]
    terms = {"life": "a", "knows": None, "taken": 0}

    stranger.say(FrameKind.PEER_PROOF, proof=Credentials(SECRET).proof("dialler", transcript), **terms)

    welcome = await stranger.hears_one()
    assert welcome.kind is FrameKind.PEER_WELCOME
    assert welcome.meta["proof"] == Credentials(SECRET).proof("acceptor", transcript)
    stranger.writer.close()


async def test_what_one_side_proves_does_not_let_anybody_in_who_sends_it_back(hosts):
    """A stranger has two hosts prove themselves to each other through him, and takes the place of one."""
    host = await hosts(0)
    stranger = await Stranger.knock(host, Use.CONTROL.value)
    stranger.say(FrameKind.PEER_HELLO, **hello())
    answer = await stranger.hears_one()
    transcript = [1, 1, 0, "CONTROL", "n" * 32, 1, answer.meta["nonce"]]

    stranger.say(FrameKind.PEER_PROOF, proof=Credentials(SECRET).proof("acceptor", transcript))

    assert "secret" in (await stranger.hears())[0].meta["error"]


async def test_peers_with_another_secret_never_meet(hosts, caplog):
    one, two = await hosts(0, bounds=SHORT), await hosts(1, bounds=SHORT, credentials=OTHER)
    _, ref = one.offer(os.urandom(MIB))
    two.knows(one)
    one.knows(two)

    with pytest.raises(PeerGone):
        await two.peers.pull(ref, "guest/run")
    assert one.heard == two.heard == []
    assert "secret" in told(caplog)
    assert OTHER.secret.decode() not in caplog.text + told(caplog)


async def test_strangers_who_say_nothing_are_few_and_do_not_stay(hosts, caplog):
    bounds = Bounds(strangers=8, greeting_s=0.5, pulse_s=0.1, lost_s=2.0)
    one, two = await hosts(0, bounds=bounds), await hosts(1)
    caplog.set_level(logging.WARNING)

    crowd = [await Stranger.knock(one, first) for first in [b"", Use.CONTROL.value, Use.BULK.value] * 10]
    heard = await asyncio.wait_for(asyncio.gather(*(stranger.hears() for stranger in crowd)), 5.0)

    assert heard.count([]) == 30
    assert caplog.text.count("too many connections") == 22
    two.knows(one).peers.send(0, "hello", {})
    await until(lambda: one.heard)


async def test_a_peer_that_is_let_in_and_then_breaks_the_protocol_loses_its_connection_only(hosts):
    host = await hosts(0)
    for use, frame in [(Use.CONTROL, FrameKind.FETCH), (Use.BULK, FrameKind.MESSAGE), (Use.BULK, FrameKind.CREDIT)]:
        stranger = await Stranger.knock(host, use.value)
        stranger.say(FrameKind.PEER_HELLO, **hello(use=use.name))
        nonce = (await stranger.hears_one()).meta["nonce"]
        proof = Credentials(SECRET).proof("dialler", [1, 1, 0, use.name, "n" * 32, 1, nonce])
        stranger.say(FrameKind.PEER_PROOF, proof=proof, life="a", knows=None, taken=0)
        assert (await stranger.hears_one()).kind is FrameKind.PEER_WELCOME

        stranger.say(frame)

        await asyncio.wait_for(stranger.hears(), 3.0)
    assert host.heard == []


async def test_one_peer_has_a_bounded_number_of_bulk_connections(hosts):
    host = await hosts(0, bounds=Bounds(guests=2))
    guests: list[Stranger] = []
    for _ in range(3):
        stranger = await Stranger.knock(host, Use.BULK.value)
        stranger.say(FrameKind.PEER_HELLO, **hello(use="BULK"))
        nonce = (await stranger.hears_one()).meta["nonce"]
        proof = Credentials(SECRET).proof("dialler", [1, 1, 0, "BULK", "n" * 32, 1, nonce])
        stranger.say(FrameKind.PEER_PROOF, proof=proof)
        guests.append(stranger)

    assert [(await guest.hears_one()).kind for guest in guests[:2]] == [FrameKind.PEER_WELCOME] * 2
    assert "too many bulk connections" in (await guests[2].hears())[0].meta["error"]
    for guest in guests:
        guest.writer.close()


async def test_an_address_that_is_taken_is_told(hosts, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host = Host(1, tmp_path, listen=f"127.0.0.1:{taken.getsockname()[1]}", bounds=QUICK)
        with pytest.raises(CannotListen, match="choose another"):
            await host.start()
        await host.close()


async def test_the_kernel_asks_whether_a_silent_peer_is_there():
    taken: list[socket.socket] = []
    listener = Listener(("127.0.0.1", 0), lambda sock, use: taken.append(sock), 1, 1.0)
    caller = await connected(asyncio.get_running_loop(), listener.start())
    try:
        caller.sendall(Use.BULK.value)
        await until(lambda: taken)
        for sock in (caller, *taken):
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle_s = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
            every_s = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
            assert idle_s + every_s * sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) <= 30
    finally:
        await listener.close()
        for sock in (caller, *taken):
            sock.close()


async def test_a_host_without_descriptors_does_not_ask_for_connections_all_the_time(monkeypatch, caplog):
    asked: list[None] = []

    def accept(sock):
        asked.append(None)
        raise OSError(errno.EMFILE, "Too many open files")

    taken: list[socket.socket] = []
    listener = Listener(("127.0.0.1", 0), lambda sock, use: taken.append(sock), 1, 1.0)
    monkeypatch.setattr("invoker_ext.door.listener.REST_S", 0.3)
    with monkeypatch.context() as exhausted:
        exhausted.setattr(socket.socket, "accept", accept)
        caller = await connected(asyncio.get_running_loop(), listener.start())
        caller.sendall(Use.BULK.value)
        await until(lambda: asked)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(asked) == 1
    try:
        await until(lambda: taken)
        assert "no connection can be accepted" in caplog.messages
    finally:
        await listener.close()
        for sock in (caller, *taken):
            sock.close()
