"""The server under test and its callers: bounded loads on 127.0.0.1 over kept-alive connections."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from controller_ext.cli.client import Client
from controller_ext.cli.options import GUEST_AUTH, Endpoint
from controller_ext.cli.server import EmbeddedServer
from tests.benchmarks.samples import Series

CALL_S: Final = 70.0
PYTHON: Final = "python:3"


class BenchmarkFailed(Exception):
    """A call did not do what the benchmark measures."""


class Caller:
    """One connection, for one thread.

    Attributes:
        activation_id: Of the last call.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=CALL_S)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(GUEST_AUTH.encode()).decode()
        self.activation_id = ""
        self._headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}

    def __enter__(self) -> Caller:
        """Nothing more to open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def call(self, name: str, body: bytes = b"{}") -> bytes:
        """Invoke an action, wait for its end and return its result's JSON; raises BenchmarkFailed."""
        return self._call(name, body)[1]

    def answer(self, name: str) -> bytes:
        """Invoke an action and return the bytes of the whole answer, status line and headers included."""
        headers, text = self._call(name, b"{}")
        lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
        return f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + text

    def _call(self, name: str, body: bytes) -> tuple[http.client.HTTPMessage, bytes]:
        path = f"/api/v1/namespaces/_/actions/{name}?blocking=true&result=true"
        self._connection.request("POST", path, body, self._headers)
        reply = self._connection.getresponse()
        text = reply.read()
        self.activation_id = reply.headers.get("x-openwhisk-activation-id", "")
        if reply.status != 200:
            raise BenchmarkFailed(f"{name}: HTTP {reply.status}: {text[:300].decode(errors='replace')}")
        return reply.headers, text

    def result(self, name: str, **parameters: Any) -> dict[str, Any]:
        """Invoke an action and return its result."""
        document: dict[str, Any] = json.loads(self.call(name, json.dumps(parameters).encode()))
        return document

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Bench:
    """A running server with what scenarios need of it.

    Attributes:
        url: Where it listens.
        short: Take fewer measurements.
        start_s: From its start until it was ready.
    """

    def __init__(
        self, url: str, client: Client, short: bool, start_s: float, server: EmbeddedServer | None = None
    ) -> None:
        self.url = url
        self._server = server
        self.short = short
        self.start_s = start_s
        self._client = client

    @property
    def server(self) -> EmbeddedServer:
        """The embedded server; raises BenchmarkFailed where a deployment is measured."""
        if self._server is None:
            raise BenchmarkFailed("this scenario looks into an embedded server")
        return self._server

    def times(self, full: int, short: int) -> int:
        """Return how often to measure."""
        return short if self.short else full

    def action(self, name: str, code: str, memory_mb: int = 256) -> None:
        """Deploy a Python action."""
        self._client.put_action(name, {"exec": {"kind": PYTHON, "code": code}, "limits": {"memory": memory_mb}})

    def put(self, name: str, document: Mapping[str, Any]) -> None:
        """Deploy or change an action by a whole document."""
        self._client.put_action(name, dict(document))

    def workflow(self, name: str, text: str) -> None:
        """Deploy a native workflow."""
        self._client.put_action(name, {"exec": {"kind": "dataflow:1", "code": text}})

    def sequence(self, name: str, components: Sequence[str]) -> tuple[str, str]:
        """Deploy a sequence twice and return both names: as data flow, and by stock control flow."""
        document = {"exec": {"kind": "sequence", "components": [f"/_/{one}" for one in components]}}
        baseline = f"{name}-baseline"
        self._client.put_action(name, document)
        self._client.put_action(baseline, document | {"annotations": [{"key": "dataflow", "value": False}]})
        return name, baseline

    def invoker_ms(self, activation_id: str) -> float:
        """Return how long the invoker had a plain action that has ended: from its acceptance to the return."""
        trace = self._client.trace(activation_id)
        if trace is None:
            raise BenchmarkFailed(f"no record of {activation_id}")
        line = trace["firings"][0]["dataflow"]
        spent_ms: float = line["returned"] - line["matched"]
        return spent_ms

    def peer_bytes(self, activation_id: str) -> int:
        """Return how many bytes the firings of a run have got from other hosts."""
        trace = self._client.trace(activation_id)
        if trace is None:
            raise BenchmarkFailed(f"no record of {activation_id}")
        return sum(firing["dataflow"]["in"].get("peer", 0) for firing in trace["firings"])

    @contextmanager
    def caller(self) -> Iterator[Caller]:
        """Open a connection."""
        caller = Caller(self.url)
        try:
            yield caller
        finally:
            caller.close()


@contextmanager
def running(short: bool, environ: Mapping[str, str] | None = None, *options: str) -> Iterator[Bench]:
    """Start a server, and stop it when left.

    Args:
        short: Take fewer measurements.
        environ: Settings of the server that differ from the defaults.
        *options: Of `dataflower standalone`.
    """
    begin_s = time.monotonic()
    with EmbeddedServer(*options, environ=environ) as server:
        start_s = time.monotonic() - begin_s
        with Client(Endpoint(server.url, GUEST_AUTH)) as client:
            yield Bench(server.url, client, short, start_s, server)


def in_turn(times: int, *measures: Callable[[], Sequence[float]], warm_up: int = 3) -> list[Series]:
    """Take measurements of several things in turn, so that the machine's moods meet all of them alike.

    Args:
        times: How often each is measured.
        *measures: Each does one round and returns its measurements.
        warm_up: Rounds before that do not count.
    """
    values: list[list[float]] = [[] for _ in measures]
    for turn in range(warm_up + times):
        for measure, found in zip(measures, values, strict=True):
            measured = measure()
            if turn >= warm_up:
                found.extend(measured)
    return [Series.of(found) for found in values]


def milliseconds(work: Callable[[], object]) -> list[float]:
    """Return how long one call took."""
    begin_ns = time.perf_counter_ns()
    work()
    return [(time.perf_counter_ns() - begin_ns) / 1e6]


def load(bench: Bench, name: str, callers: int, duration_s: float, body: bytes = b"{}") -> tuple[float, list[float]]:
    """Let several callers invoke an action again and again, with the same parameters.

    Returns:
        Calls a second, and the time of each call in milliseconds.

    Raises:
        BenchmarkFailed: A call failed, or a caller did not end.
    """
    latencies: list[float] = []
    failures: list[BaseException] = []
    # All callers connect first and begin together; the clock starts there.
    barrier = threading.Barrier(callers + 1)

    def work() -> None:
        mine: list[float] = []
        try:
            with bench.caller() as caller:
                barrier.wait(CALL_S)
                end_s = time.monotonic() + duration_s
                while time.monotonic() < end_s:
                    mine += milliseconds(lambda: caller.call(name, body))
        except (BenchmarkFailed, OSError, http.client.HTTPException) as error:
            failures.append(error)
            barrier.abort()
        except threading.BrokenBarrierError:
            return
        latencies.extend(mine)

    threads = [threading.Thread(target=work, name=f"caller {number}") for number in range(callers)]
    for thread in threads:
        thread.start()
    try:
        barrier.wait(CALL_S)
    except threading.BrokenBarrierError:
        failures.append(BenchmarkFailed("a caller could not connect"))
    begin_s = time.monotonic()
    for thread in threads:
        thread.join(duration_s + CALL_S)
    if failures:
        raise BenchmarkFailed(f"{name} with {callers} callers: {failures[0]}") from failures[0]
    return len(latencies) / (time.monotonic() - begin_s), latencies
