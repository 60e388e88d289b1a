"""How clients may use their connections: kept, idle, pipelined, slow, closed, of the old protocol."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import pytest

from tests.support.deploying import KEY, TIMEOUT_S, Deployer
from tests.support.server import serving

AUTH = "Authorization: Basic " + base64.b64encode(":".join(KEY).encode()).decode()
ECHO = "def main(args):\n    return args\n"
IDLE = 300
"""More than the 200 threads of the one worker."""


@pytest.fixture(scope="module")
def live() -> Iterator[Deployer]:
    with serving("--workers", "1") as server, closing(server.client()) as client:
        client.action("echo", ECHO)
        yield client


class Raw:
    """A connection on which a test writes what it wants."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self.socket = socket.create_connection((str(address.hostname), int(address.port or 0)), TIMEOUT_S)
        self.received = b""

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, text: bytes) -> None:
        self.socket.sendall(text)

    def answer(self) -> tuple[str, dict[str, str], bytes]:
        """Return status line, headers and body of the next answer."""
        while b"\r\n\r\n" not in self.received:
            self._more()
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers["content-length"])
        while len(self.received) < size:
            self._more()
        body, self.received = self.received[:size], self.received[size:]
        return status, headers, body

    @property
    def ended(self) -> bool:
        """Wait for what comes next: is it the end?"""
        return self.socket.recv(1) == b""

    def _more(self) -> None:
        content = self.socket.recv(65536)
        assert content, f"closed after {self.received!r}"
        self.received += content


@pytest.fixture
def raw(live: Deployer) -> Iterator[Raw]:
    with Raw(live.url) as connection:
        yield connection


def invocation(n: int, *headers: str, version: str = "1.1") -> bytes:
    body = json.dumps({"n": n})
    path = "/api/v1/namespaces/_/actions/echo?blocking=true&result=true"
    lines = [f"POST {path} HTTP/{version}", "Host: x", AUTH, "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode()


def n_of(answer: tuple[str, dict[str, str], bytes]) -> int:
    status, _, body = answer
    assert status.split()[1] == "200"
    n: int = json.loads(body)["n"]
    return n


def test_hundreds_of_idle_connections_do_not_stop_new_requests(live: Deployer):
    with ExitStack() as stack:
        idle = [stack.enter_context(Raw(live.url)) for _ in range(IDLE)]
        for number, one in enumerate(idle):
            one.send(invocation(number))
            assert n_of(one.answer()) == number
        with ThreadPoolExecutor(8) as pool:
            assert [reply["n"] for reply in pool.map(lambda n: live.run("echo", n=n), range(40))] == list(range(40))
        # They were kept, too.
        for number, one in enumerate(idle[::50]):
            one.send(invocation(number))
            assert n_of(one.answer()) == number


def test_hundreds_of_connections_that_say_nothing_do_not_stop_new_requests(live: Deployer):
    with ExitStack() as stack:
        for _ in range(IDLE):
            stack.enter_context(Raw(live.url))
        assert live.run("echo", n=1) == {"n": 1}


def test_requests_in_quick_succession_share_a_connection(raw: Raw):
    for number in range(50):
        raw.send(invocation(number))
        assert n_of(raw.answer()) == number


def test_requests_sent_ahead_are_answered_in_order(raw: Raw):
    raw.send(b"".join(map(invocation, range(20))))
    assert [n_of(raw.answer()) for _ in range(20)] == list(range(20))


def test_a_request_cut_anywhere_is_put_together(raw: Raw):
    request = invocation(7)
    for cut in (1, 20, request.index(b"\r\n\r\n") + 2, len(request) - 1):
        raw.send(request[:cut])
        for rest in (request[cut : cut + 1], request[cut + 1 :]):
            raw.send(rest)
        assert n_of(raw.answer()) == 7


def test_a_client_that_wants_to_close_is_closed(raw: Raw):
    raw.send(invocation(1, "Connection: close"))
    status, headers, body = raw.answer()
    assert headers["connection"] == "close"
    assert n_of((status, headers, body)) == 1
    assert raw.ended


def test_a_client_of_the_old_protocol_is_closed_unless_it_asks_to_be_kept(live: Deployer, raw: Raw):
    raw.send(invocation(1, version="1.0"))
    assert n_of(raw.answer()) == 1
    assert raw.ended
    with Raw(live.url) as kept:
        for number in range(3):
            kept.send(invocation(number, "Connection: keep-alive", version="1.0"))
            assert n_of(kept.answer()) == number


def test_a_client_that_does_not_close_its_end_stops_nobody(live: Deployer):
    with ExitStack() as stack:
        for number in range(20):
            one = stack.enter_context(Raw(live.url))
            one.send(invocation(number, "Connection: close"))
            assert n_of(one.answer()) == number
            assert one.ended
        began = time.monotonic()
        assert live.run("echo", n=1) == {"n": 1}
        # Each of them is waited for, for two seconds: not by all others.
        assert time.monotonic() - began < 10


def test_a_connection_goes_on_after_a_request_that_was_refused(raw: Raw):
    raw.send(invocation(1).replace(b"actions/echo", b"actions/none"))
    assert raw.answer()[0].split()[1] == "404"
    raw.send(invocation(2))
    assert n_of(raw.answer()) == 2


def test_what_is_no_request_is_refused_and_closed(live: Deployer, raw: Raw):
    raw.send(b"\x16\x03\x01\x02\x00\x01\x00 is no HTTP\r\n\r\n")
    assert raw.answer()[0].split()[1] == "400"
    assert raw.ended
    assert live.run("echo", n=1) == {"n": 1}
