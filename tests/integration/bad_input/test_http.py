"""Clients that speak no proper HTTP, or too slowly, or only hold connections: the others are served meanwhile."""

from __future__ import annotations

import base64
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from urllib.parse import urlsplit

import pytest

from controller_ext.worker import HEAD_S, STALL_S
from tests.support.deploying import KEY, Deployer
from tests.support.server import Server

AUTH: Final = b"Authorization: Basic " + base64.b64encode(":".join(KEY).encode()) + b"\r\n"
LINE: Final = b"POST /api/v1/namespaces/_/actions/hello?blocking=true&result=true HTTP/1.1\r\n"
HEAD: Final = LINE + b"Host: x\r\nContent-Type: application/json\r\n" + AUTH
CHUNKED: Final = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BODY: Final = b'{"name":"x"}'
MIB: Final = 1024 * 1024
MANY: Final = 230
"""More than a worker has threads."""


@contextmanager
def connected(server: Server, timeout_s: float = 10.0) -> Iterator[socket.socket]:
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout_s) as connection:
        yield connection


def answer(connection: socket.socket) -> tuple[int, bytes]:
    """Return status and body of the next response; (0, b"") if the connection is closed without one."""
    got = b""
    while b"\r\n\r\n" not in got:
        part = connection.recv(65536)
        if not part:
            return 0, b""
        got += part
    head, _, body = got.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    while len(body) < int(fields.get(b"content-length", 0)):
        body += connection.recv(65536)
    return int(head.split(b" ", 2)[1]), body


def status(server: Server, sent: bytes) -> int:
    with connected(server) as connection:
        try:
            connection.sendall(sent)
        except (BrokenPipeError, ConnectionResetError):
            return 0  # it has heard enough
        try:
            return answer(connection)[0]
        except ConnectionResetError:
            return 0


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"Content-Length: 12\r\n\r\n" + BODY,
        HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Content-Length: 12\r\n\r\n" + BODY,
        CHUNKED + b"5\r\n" + BODY[:5] + b"\r\n7\r\n" + BODY[5:] + b"\r\n0\r\n\r\n",
        HEAD + b"\r\n",
        HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n",
    ],
    ids=["length", "1.0", "chunks", "no length", "1.0, no length"],
)
def test_every_way_to_send_a_body_is_served(server: Server, sent: bytes):
    with connected(server) as connection:
        connection.sendall(sent)
        code, body = answer(connection)
    assert code == 200
    assert body == (b'{"hello": "x"}' if BODY[-5:] in sent else b'{"hello": "world"}')


@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        (CHUNKED + b"zz\r\n" + BODY + b"\r\n0\r\n\r\n", {400}),
        (CHUNKED + b"-5\r\n" + BODY + b"\r\n0\r\n\r\n", {400}),
        (CHUNKED + (b"100000\r\n" + b"x" * MIB + b"\r\n") * 2 + b"0\r\n\r\n", {413}),
        (HEAD + b"Content-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
        (HEAD + b"Content-Length: abc\r\n\r\n", {400}),
        (HEAD + b"Content-Length: -1\r\n\r\n", {400}),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 12\r\n\r\n" + BODY, {400}),
        (HEAD + b"Content-Length: 9999999999999\r\n\r\n", {413}),
        (HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(2000)) + b"\r\n", {431, 0}),
        (HEAD + b"X: " + b"y" * MIB + b"\r\n\r\n", {431, 0}),
        (HEAD + b"no colon\r\n\r\n", {400}),
        (HEAD + b" folded: yes\r\n\r\n", {400}),
        (HEAD + b"X\x00Y: z\r\n\r\n", {400}),
        (LINE[:-2] + b"\r\nHost: x\r\nAuthorization: Basic \xff\xfe\r\n\r\n", {401}),
        (LINE + b"Host: x\r\nAuthorization: Basic YWJj\r\n\r\n", {401}),
        (LINE + b"Host: x\r\n\r\n", {401}),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {414}),
        (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", {405}),
        (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", {405}),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", {400}),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500) + b"\r\n\r\n", {400}),
        (os.urandom(600) + b"\r\n\r\n", {400}),
    ],
    ids=range(23),
)
def test_what_is_no_request_is_refused_and_is_no_fault_of_the_server(server: Server, sent: bytes, codes: set[int]):
    assert status(server, sent) in codes


def test_an_address_that_is_too_long_is_told_of_as_by_the_front_of_stock(server: Server):
    with connected(server) as connection:
        connection.sendall(b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        code, body = answer(connection)

    assert code == 414
    assert b"<h1>414 Request-URI Too Large</h1>" in body


def test_five_hundred_idle_connections_keep_nobody_waiting(server: Server, live: Deployer):
    live.run("hello")
    with ExitStack() as held:
        silent = [held.enter_context(connected(server)) for _ in range(250)]
        served = [held.enter_context(connected(server)) for _ in range(250)]
        for connection in served:
            connection.sendall(b"GET /api/v1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert {answer(connection)[0] for connection in served} == {200}
        began = time.monotonic()
        assert server.client().run("hello") == {"hello": "world"}
        assert time.monotonic() - began < HEAD_S / 2
        served[7].sendall(b"GET /api/v1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer(served[7])[0] == 200
        assert len(silent) == 250


def test_slow_headers_hold_the_threads_for_a_bounded_time(server: Server, live: Deployer):
    with ExitStack() as held:
        slow = [held.enter_context(connected(server)) for _ in range(MANY)]
        for connection in slow:
            connection.sendall(LINE)
        began = time.monotonic()
        assert live.run("hello") == {"hello": "world"}
        assert time.monotonic() - began < HEAD_S + 5
        for connection in slow:
            connection.settimeout(HEAD_S + 5)
        assert answer(slow[0]) == (0, b"")


@pytest.mark.timeout(60)
def test_a_body_that_breaks_off_is_told_so(server: Server):
    with connected(server, STALL_S + 10) as connection:
        connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        code, body = answer(connection)
    assert code == 408
    assert b"The request did not arrive in time." in body


def test_a_client_that_goes_away_while_it_waits_harms_nobody(server: Server):
    code = "import time\ndef main(args):\n    time.sleep(1)\n    return {}\n"
    client = server.client()
    client.action("nap", code)
    for _ in range(20):
        with connected(server) as connection:
            connection.sendall(HEAD.replace(b"/hello?", b"/nap?") + b"\r\n")
    assert client.run("hello") == {"hello": "world"}
    client.close()
