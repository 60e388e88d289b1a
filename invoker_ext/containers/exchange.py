"""HTTP with one container: connections that stay, one request at a time on each.

A reply is told by a call from where its last byte was read: between a function's end and the next one's begin lie no
changes of task, and a warm request costs one write and one read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, cast

from invoker_ext.containers.replies import Reply, ReplyReader

_RETRY_S: Final = 0.05
"""Between attempts to connect to a server that is not up yet. Source: stock."""
_REUSE_S: Final = 1.0
"""A connection that was idle for longer is not used again: its server may be about to close it. The most impatient of
the usual servers waits two seconds."""
_JOIN_BYTES: Final = 64 * 1024
"""Bodies below are sent in one piece with their head."""

Answered = Callable[[Reply | None], None]
"""Hears the reply; None: the connection could not be made, broke, or brought something else."""


class Request:
    """A request under way."""

    def __init__(self, exchange: Exchange, parts: Sequence[bytes], answered: Answered) -> None:
        self._exchange = exchange
        self._answered: Answered | None = answered
        self.parts = parts
        self.connection: _Connection | None = None
        self.task: asyncio.Task[None] | None = None

    def answer(self, reply: Reply | None) -> None:
        """Tell whoever waits; only the first time."""
        answered, self._answered = self._answered, None
        self._exchange.requests.discard(self)
        if answered is not None:
            answered(reply)

    def cancel(self) -> None:
        """Give it up: nobody hears of it. Idempotent."""
        self._answered = None
        self._exchange.requests.discard(self)
        if self.task is not None:
            self.task.cancel()
        if self.connection is not None:
            self.connection.close()


class Exchange:
    """All requests to one container.

    Args:
        loop: The invoker's.
        address: Path of a Unix socket, or host and port.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: str | tuple[str, int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = loop
        self._address = address
        self.clock = clock
        self._host = "localhost" if isinstance(address, str) else f"{address[0]}:{address[1]}"
        self.idle: list[_Connection] = []
        self.requests: set[Request] = set()

    def post(self, path: str, body: Sequence[bytes], answered: Answered, *, until_up: bool = False) -> Request:
        """Send a request.

        Args:
            path: Of the URL.
            body: JSON, in pieces.
            answered: Called once, never from within this call.
            until_up: Try to connect again and again, until the request is cancelled.
        """
        length = sum(len(one) for one in body)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json\r\nContent-Length: {length}\r\n\r\n"
        ).encode()
        pieces = [head, *body]
        request = Request(self, [b"".join(pieces)] if length < _JOIN_BYTES else pieces, answered)
        self.requests.add(request)
        while self.idle:
            connection = self.idle.pop()
            if self.clock() - connection.idle_since < _REUSE_S:
                connection.send(request)
                return request
            connection.close()
        request.task = self._loop.create_task(self._connect(request, until_up=until_up), name=f"connect {path}")
        return request

    def close(self) -> None:
        """Give up all requests and close all connections. Idempotent."""
        for request in tuple(self.requests):
            request.cancel()
        for connection in tuple(self.idle):
            connection.close()

    async def _connect(self, request: Request, *, until_up: bool) -> None:
        make = partial(_Connection, self)
        connection: asyncio.BaseProtocol
        while True:
            try:
                if isinstance(self._address, str):
                    _, connection = await self._loop.create_unix_connection(make, self._address)
                else:
                    _, connection = await self._loop.create_connection(make, *self._address)
                break
            except OSError:
                if not until_up:
                    request.answer(None)
                    return
                await asyncio.sleep(_RETRY_S)
        request.task = None
        cast("_Connection", connection).send(request)


class _Connection(asyncio.Protocol):
    """One connection; it is in `Exchange.idle` while no request is on it."""

    def __init__(self, exchange: Exchange) -> None:
        self.idle_since = 0.0
        self._exchange = exchange
        self._reader = ReplyReader()
        self._transport: asyncio.Transport | None = None
        self._request: Request | None = None

    def send(self, request: Request) -> None:
        self._request = request
        request.connection = self
        if self._transport is None:
            self._end(None)  # lost since it was made
            return
        for part in request.parts:
            self._transport.write(part)
        request.parts = ()

    def close(self) -> None:
        if self in self._exchange.idle:
            self._exchange.idle.remove(self)
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            reply = self._reader.feed(data) if self._request is not None else None
        except ValueError:
            reply = None
        else:
            if reply is None and self._request is not None:
                return  # more is to come
        if reply is not None and reply.stays:
            self.idle_since = self._exchange.clock()
            self._exchange.idle.append(self)
        else:
            self.close()
        self._end(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.close()
        self._end(None)

    def _end(self, reply: Reply | None) -> None:
        request, self._request = self._request, None
        if request is not None:
            request.connection = None
            request.answer(reply)
