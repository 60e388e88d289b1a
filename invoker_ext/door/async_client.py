"""Calls at a peer door for loops: the owner of a run pulls spooled parameters with it."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from action_runtime.wire.codec import Decoder, encode
from action_runtime.wire.errors import PeerLost, WireError
from action_runtime.wire.frames import Frame, FrameKind
from invoker_ext.door import hello
from invoker_ext.door.client import check_size, read_part, read_reply
from invoker_ext.door.connection import connected
from invoker_ext.door.errors import PeerRefused, PeerUnreachable
from invoker_ext.door.far import Caller, must_be
from invoker_ext.door.greeting import Use
from invoker_ext.door.places import FarPlace, Place

_READ_BYTES: Final = 1024 * 1024
_FIRST_WAIT_S: Final = 0.005
_LONGEST_WAIT_S: Final = 0.25


class AsyncDoorClient:
    """One peer's door; a connection a call, since calls from a loop are rare (spools, start-up)."""

    def __init__(self, place: Place, *, role: hello.Role, token: str, caller: Caller | None = None) -> None:
        """Connect nothing yet; as `DoorClient`."""
        self._place = place
        self._open: Callable[[], Awaitable[_Connection]]
        if isinstance(place, FarPlace):
            self._open = partial(_Connection.far, place, must_be(caller, place))
        else:
            self._open = partial(_Connection.open, place, hello.call_hello(role, token))
        self._numbers = itertools.count(1)

    async def call(self, op: str, timeout_s: float, **fields: Any) -> dict[str, Any]:
        """Make a call whose answer has no body; return the answer's fields.

        Waits for a door that is not open yet.

        Raises:
            PeerUnreachable: No answer in time; whether the call was carried out is not known.
            CallFailed: The peer refused.
        """
        try:
            async with asyncio.timeout(timeout_s):
                connection = await self._connect()
                try:
                    number = next(self._numbers)
                    connection.send(encode(FrameKind.CALL, {**fields, "call": number, "op": op}))
                    return read_reply(await connection.receive(), number)
                finally:
                    connection.close()
        except TimeoutError as error:
            raise PeerUnreachable(f"{self._place}: no answer within {timeout_s:g} s") from error
        except (WireError, hello.NotAllowed) as error:
            raise PeerUnreachable(f"{self._place}: {error}") from error

    async def pull(self, name: str, size_bytes: int, into: Callable[[bytes], None], timeout_s: float) -> None:
        """Hand the bytes that the peer holds under a name to `into`, piece by piece, in order.

        Resumes where it was if the connection breaks and the peer comes back in time.

        Args:
            name: Of the bytes.
            size_bytes: How many there must be.
            into: Called on the loop; must not block for long.
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
                        async for content in connection.parts(next(self._numbers), name, at, size_bytes):
                            at += len(content)
                            into(content)
                        return
                    except PeerLost:
                        await asyncio.sleep(_LONGEST_WAIT_S)
                    finally:
                        connection.close()
        except TimeoutError as error:
            raise PeerUnreachable(f"{self._place}: {at} of {size_bytes} bytes within {timeout_s:g} s") from error
        except (WireError, hello.NotAllowed) as error:
            raise PeerUnreachable(f"{self._place}: {error}") from error

    async def _connect(self) -> _Connection:
        """Connect; tries for as long as the caller lets it."""
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                return await self._open()
            except (OSError, PeerLost):
                # Nobody is there yet, or not any more: the supervisor is starting it.
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


class _Connection:
    """One connection and the frames that came on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = Decoder()
        self._frames: deque[Frame] = deque()

    @staticmethod
    async def open(path: Path, opening: bytes) -> _Connection:
        """Connect and exchange hellos; raises OSError, PeerLost, NotAllowed."""
        connection = _Connection(*await asyncio.open_unix_connection(str(path), limit=_READ_BYTES))
        try:
            connection.send(opening)
            hello.accepted(await connection.receive())
        except BaseException:
            connection.close()
            raise
        return connection

    @staticmethod
    async def far(place: FarPlace, caller: Caller) -> _Connection:
        """Connect to another host and greet it; raises OSError, PeerLost, NotAllowed."""
        tls = caller.credentials.client
        sock = await connected(asyncio.get_running_loop(), (place.host, place.port))
        try:
            await asyncio.get_running_loop().sock_sendall(sock, Use.DOOR.value)
            streams = await asyncio.open_connection(
                sock=sock, limit=_READ_BYTES, ssl=tls, server_hostname=place.host if tls else None
            )
        except BaseException:
            sock.close()
            raise
        connection = _Connection(*streams)
        greeting = caller.greeting()
        try:
            answers = greeting.begin()
            while not greeting.is_over():
                for kind, meta in answers:
                    connection.send(encode(kind, meta))
                answers = greeting.take(await connection.receive())
        except PeerRefused as error:
            connection.close()
            raise hello.NotAllowed(str(error)) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def send(self, content: bytes) -> None:
        """Queue bytes of whole, small frames."""
        self._writer.write(content)

    async def receive(self) -> Frame:
        """Return the next frame; raises PeerLost."""
        while not self._frames:
            try:
                content = await self._reader.read(_READ_BYTES)
            except OSError as error:
                raise PeerLost(str(error)) from error
            if not content:
                raise PeerLost("the peer closed the connection")
            self._frames.extend(self._decoder.feed(content))
        return self._frames.popleft()

    async def parts(self, number: int, name: str, offset: int, size_bytes: int) -> AsyncIterator[bytes]:
        """Yield the pieces of a body from `offset` on."""
        meta = {"call": number, "op": "pull", "name": name, "offset": offset}
        self.send(encode(FrameKind.CALL, meta))
        check_size(read_reply(await self.receive(), number), size_bytes)
        while offset < size_bytes:
            content = read_part(await self.receive(), number)
            offset += len(content)
            yield content

    def close(self) -> None:
        """Disconnect at once."""
        self._writer.transport.abort()
