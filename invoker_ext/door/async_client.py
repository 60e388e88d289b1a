"""Calls at a peer door for loops: the owner of a run pulls spooled parameters with it."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from action_runtime.wire.codec import encode
from action_runtime.wire.errors import DataflowError, PeerLost, WireError
from action_runtime.wire.frames import Frame, FrameKind
from invoker_ext.door import hello
from invoker_ext.door.client import check_size, read_part, read_reply
from invoker_ext.door.connection import PeerConnection, dial
from invoker_ext.door.errors import PeerRefused, PeerUnreachable
from invoker_ext.door.far import Caller, must_be
from invoker_ext.door.framed import FramedProtocol
from invoker_ext.door.greeting import Use
from invoker_ext.door.places import FarPlace, Place

CONNECT_S: Final = 5.0
"""For one attempt at a door of another host."""
IDLE: Final = 8
"""Connections that are kept for the next call; others are closed behind theirs."""
_FIRST_WAIT_S: Final = 0.005
_LONGEST_WAIT_S: Final = 0.25


class AsyncDoorClient:
    """One peer's door. Lives on the loop; each call has a connection to itself, and connections are kept."""

    def __init__(self, place: Place, *, role: hello.Role, token: str, caller: Caller | None = None) -> None:
        """Connect nothing yet; as `DoorClient`."""
        self._place = place
        self._open: Callable[[], Awaitable[_Connection]]
        if isinstance(place, FarPlace):
            self._open = partial(_far, place, must_be(caller, place))
        else:
            self._open = partial(_near, place, hello.call_hello(role, token))
        self._numbers = itertools.count(1)
        self._idle: deque[_Connection] = deque(maxlen=IDLE)
        self._closed = False

    async def call(self, op: str, timeout_s: float, **fields: Any) -> dict[str, Any]:
        """Make a call whose answer has no body; return the answer's fields.

        Waits for a door that is not open yet.

        Raises:
            PeerUnreachable: No answer in time; whether the call was carried out is not known.
            CallFailed: The peer refused.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    connection = await self._connect()
                    try:
                        answer = await _answer(connection, next(self._numbers), op, fields)
                    except BaseException as error:
                        connection.abort()
                        if isinstance(error, PeerLost) and connection.inbox.kept:
                            continue  # calls are idempotent, and the peer was perhaps started again
                        raise
                    self._keep(connection)
                    return answer
        except TimeoutError as error:
            raise PeerUnreachable(f"{self._place}: no answer within {timeout_s:g} s") from error
        except (WireError, hello.NotAllowed) as error:
            raise PeerUnreachable(f"{self._place}: {error}") from error

    async def pull(
        self, name: str, size_bytes: int, into: Callable[[bytes | memoryview], None], timeout_s: float
    ) -> None:
        """Hand the bytes that the peer holds under a name to `into`, piece by piece, in order.

        Resumes where it was if the connection breaks and the peer comes back in time.

        Args:
            name: Of the bytes.
            size_bytes: How many there must be.
            into: Called on the loop; must not block for long. The pieces are its own.
            timeout_s: For the whole.

        Raises:
            PeerUnreachable: Not all came in time.
            CallFailed: The peer refused (reason `not-held`), or what it holds has another size.
        """
        at = 0
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    connection = await self._connect()
                    try:
                        async for content in _parts(connection, next(self._numbers), name, at, size_bytes):
                            at += len(content)
                            into(content)
                    except BaseException as error:
                        connection.abort()
                        if not isinstance(error, PeerLost):
                            raise
                        if not connection.inbox.kept:
                            await asyncio.sleep(_LONGEST_WAIT_S)
                    else:
                        self._keep(connection)
                        return
        except TimeoutError as error:
            raise PeerUnreachable(f"{self._place}: {at} of {size_bytes} bytes within {timeout_s:g} s") from error
        except (WireError, hello.NotAllowed) as error:
            raise PeerUnreachable(f"{self._place}: {error}") from error

    def close(self) -> None:
        """Disconnect, and keep no connection from here on; idempotent."""
        self._closed = True
        while self._idle:
            self._idle.pop().abort()

    def _keep(self, connection: _Connection) -> None:
        if self._closed or len(self._idle) == IDLE:
            connection.abort()
        else:
            connection.inbox.kept = True
            self._idle.append(connection)

    async def _connect(self) -> _Connection:
        """Return a connection that waits, or a new one; tries for as long as the caller lets it."""
        while self._idle:
            connection = self._idle.pop()
            if connection.connected:
                return connection
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                return await self._open()
            except (OSError, PeerLost):
                # Nobody is there yet, or not any more: the supervisor is starting it.
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


class _Inbox:
    """The frames that came on a connection, for one who waits for them.

    Attributes:
        kept: The connection has waited between two calls.
    """

    def __init__(self) -> None:
        self.kept = False
        self._frames: deque[Frame] = deque()
        self._woken = asyncio.Event()
        self._error: DataflowError | None = None

    def put(self, frame: Frame) -> None:
        """Take a frame."""
        self._frames.append(frame)
        self._woken.set()

    def end(self, error: DataflowError) -> None:
        """Hear that no more come; the first reason counts."""
        self._error = self._error or error
        self._woken.set()

    async def receive(self) -> Frame:
        """Return the next frame; raises PeerLost or WireError if there is none any more."""
        while not self._frames:
            if self._error is not None:
                raise self._error
            self._woken.clear()
            await self._woken.wait()
        return self._frames.popleft()


class _Near(FramedProtocol):
    """A connection to a Unix socket of this host."""

    def __init__(self) -> None:
        super().__init__()
        self.inbox = _Inbox()

    def on_frame(self, frame: Frame) -> None:
        self.inbox.put(frame)

    def on_broken(self, error: DataflowError) -> None:
        super().on_broken(error)
        self.inbox.end(error)

    def on_lost(self) -> None:
        self.inbox.end(PeerLost("the peer closed the connection"))


class _Far(PeerConnection):
    """A connection to a door of another host."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller.greeting(), CONNECT_S)
        self.inbox = _Inbox()

    def on_message(self, frame: Frame) -> None:
        self.inbox.put(frame)

    def on_broken(self, error: DataflowError) -> None:
        super().on_broken(error)
        self.inbox.end(error)

    def on_gone(self, error: DataflowError) -> None:
        self.inbox.end(error)


_Connection = _Near | _Far


async def _near(path: Path, opening: bytes) -> _Near:
    """Connect and exchange hellos; raises OSError, PeerLost, NotAllowed."""
    _, connection = await asyncio.get_running_loop().create_unix_connection(_Near, str(path))
    try:
        connection.send(opening)
        hello.accepted(await connection.inbox.receive())
    except BaseException:
        connection.abort()
        raise
    return connection


async def _far(place: FarPlace, caller: Caller) -> _Far:
    """Connect to another host and greet it; raises PeerLost, NotAllowed."""
    connection = _Far(caller)
    try:
        await dial(connection, (place.host, place.port), Use.DOOR, caller.credentials, CONNECT_S)
    except PeerRefused as error:
        raise hello.NotAllowed(str(error)) from error
    return connection


async def _answer(connection: _Connection, number: int, op: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Make a call on a connection and return the answer's fields."""
    connection.send(encode(FrameKind.CALL, {**fields, "call": number, "op": op}))
    return read_reply(await connection.inbox.receive(), number)


async def _parts(
    connection: _Connection, number: int, name: str, offset: int, size_bytes: int
) -> AsyncIterator[bytes | memoryview]:
    """Yield the pieces of a body from `offset` on."""
    connection.send(encode(FrameKind.CALL, {"call": number, "op": "pull", "name": name, "offset": offset}))
    check_size(read_reply(await connection.inbox.receive(), number), size_bytes)
    while offset < size_bytes:
        content = read_part(await connection.inbox.receive(), number)
        offset += len(content)
        yield content
