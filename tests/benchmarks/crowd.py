"""Many callers in one thread: each sends its request again as soon as the answer has come.

Threads would measure themselves: 200 of them wait for each other's interpreter lock longer than for the server.
"""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import urlsplit

import uvloop

from controller_ext.cli.options import GUEST_AUTH

GRACE_S: Final = 70.0
"""For answers that are under way when the time is over: above the longest wait of a blocking call."""


@dataclass(slots=True)
class Tally:
    """What a crowd heard.

    Attributes:
        times_ms: Of every answer with status 200.
        refused: How often the server throttled (429).
        failed: Status lines of all other answers, and broken connections.
    """

    times_ms: list[float] = field(default_factory=list)
    refused: int = 0
    failed: list[str] = field(default_factory=list)


class _Caller(asyncio.Protocol):
    def __init__(self, request: bytes, until_s: float, tally: Tally, done: asyncio.Future[None]) -> None:
        self._request = request
        self._until_s = until_s
        self._tally = tally
        self._done = done
        self._buffer = b""
        self._began_s = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by inheritance
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        if not blank or len(body) < _length(head):
            return
        self._buffer = b""
        status = head[9:12]
        if status == b"200":
            self._tally.times_ms.append((time.perf_counter() - self._began_s) * 1000)
        elif status == b"429":
            self._tally.refused += 1
        else:
            self._tally.failed.append(head.partition(b"\r\n")[0].decode(errors="replace"))
        if time.perf_counter() < self._until_s:
            self._send()
        else:
            self._end()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._tally.failed.append(f"connection lost: {error}")
            self._done.set_result(None)

    def _send(self) -> None:
        assert self._transport is not None
        self._began_s = time.perf_counter()
        self._transport.write(self._request)

    def _end(self) -> None:
        assert self._transport is not None
        if not self._done.done():
            self._done.set_result(None)
        self._transport.close()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


def crowd(url: str, action: str, callers: int, seconds: float) -> Tally:
    """Let callers invoke an action of the guest's, blocking, each on a connection of its own.

    Args:
        url: Of the server.
        action: Its name.
        callers: How many.
        seconds: How long they begin anew.
    """
    parts = urlsplit(url)
    key = base64.b64encode(GUEST_AUTH.encode()).decode()
    request = (
        f"POST /api/v1/namespaces/_/actions/{action}?blocking=true&result=true HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Authorization: Basic {key}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    ).encode()
    tally = Tally()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        until_s = time.perf_counter() + seconds
        ends: list[asyncio.Future[None]] = [loop.create_future() for _ in range(callers)]
        for end in ends:

            def caller(end: asyncio.Future[None] = end) -> _Caller:
                return _Caller(request, until_s, tally, end)

            await loop.create_connection(caller, parts.hostname or "127.0.0.1", parts.port or 80)
        await asyncio.wait_for(asyncio.gather(*ends), seconds + GRACE_S)

    uvloop.run(run())
    return tally
