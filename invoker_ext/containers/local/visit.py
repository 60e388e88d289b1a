"""One connection to the local door: requests one after the other, each about a function that runs."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from typing import Final, cast
from urllib.parse import unquote

import h11

from action_runtime.wire.frames import KNEE_BYTES
from action_runtime.wire.values import Head, Media
from invoker_ext.containers.local.account import Account
from invoker_ext.containers.local.items import (
    BYTES_TYPE,
    JSON_TYPE,
    LINES_TYPE,
    Refused,
    media_of,
    output_name,
    read_json,
)
from invoker_ext.dataflow.commands import Chunks, Constant, Streamed, Value
from invoker_ext.relay.json_form import as_json, value_json
from invoker_ext.sink.datum import Stored

UNTOLD_BYTES: Final = 1024 * 1024
"""Bound of a body without `Content-Length`: it is kept here until its end is known."""
JSON_BYTES: Final = 64 * 1024 * 1024
"""Bound of a JSON text: to check it takes up to thirty times as much memory of the invoker."""
_IDLE_S: Final = 75.0
"""How long a connection may be silent, between requests and within one."""
_HEAD_BYTES: Final = 16 * 1024
_CHUNK_BYTES: Final = 256 * 1024
"""Read and written at a time."""
_REST_S: Final = 5.0
"""How long the rest of a refused body is still read, so that its sender comes to read the answer."""
_THREAD_BYTES: Final = 256 * 1024
"""JSON texts from here on are checked on a thread."""
_PATHS: Final = "the paths here are outputs/NAME and inputs/NAME below __OW_DATAFLOW_URL"


class Visit:
    """A connection.

    Args:
        reader: Of it.
        writer: Of it; closed by the caller.
        find: From a token to the function that it stands for.
        checking: Held while a JSON text is checked on a thread: one at a time in this host.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        find: Callable[[str], Account | None],
        checking: asyncio.Lock,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._find = find
        self._checking = checking
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)

    async def serve(self) -> None:
        """Answer requests until the other side has none.

        Raises:
            OSError: The connection broke, or was silent for too long.
            h11.RemoteProtocolError: What came is no HTTP.
        """
        while isinstance(request := await self._event(), h11.Request):
            try:
                await self._answer(request)
            except Refused as refused:
                if self._http.our_state is not h11.SEND_RESPONSE:
                    return  # amid an answer: the end of the connection is all that can be said
                await self._reply(refused.status, {"error": str(refused)})
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                await self._read_rest()
                return
            self._http.start_next_cycle()

    async def _answer(self, request: h11.Request) -> None:
        path = request.target.decode("ascii").partition("?")[0].split("/")
        if len(path) != 4 or path[2] not in ("outputs", "inputs"):
            raise Refused(404, _PATHS)
        _, token, what, name = path
        account = self._find(token)
        if account is None:
            raise Refused(404, "no function runs under this URL: read __OW_DATAFLOW_URL anew in each activation")
        if what == "outputs" and request.method == b"POST":
            await self._take(account, output_name(unquote(name)), dict(request.headers))
        elif what == "inputs" and request.method == b"GET":
            await self._give(account, unquote(name))
        else:
            raise Refused(405, "an output takes POST, an input GET")

    # -- an output ----------------------------------------------------------------------------------

    async def _take(self, account: Account, name: str, headers: dict[bytes, bytes]) -> None:
        media = media_of(headers.get(b"content-type", b"").decode("latin-1"))
        told = headers.get(b"content-length")  # h11 has seen to it that it is a number
        if media is Media.JSON and told is not None and int(told) > JSON_BYTES:
            account.check()
            text = f"a JSON text has at most {JSON_BYTES} bytes here: hand it over as bytes, or in several items"
            raise account.refuse(name, 413, text)
        async with account.turn:
            if told is not None and int(told) >= KNEE_BYTES:
                await self._write(account, name, media, int(told), self._body())
            else:
                data = await self._short_body(account)
                if len(data) >= KNEE_BYTES:
                    await self._write(account, name, media, len(data), _alone(data))
                else:
                    other = read_json(data) if media is Media.JSON else None
                    account.put(name, *(other or (Head(media, len(data)), data)))
        await self._reply(204, None)

    async def _write(
        self, account: Account, name: str, media: Media, size_bytes: int, parts: AsyncIterator[bytes]
    ) -> None:
        """Write a body to a segment, as soon as there is room for it, and hand it over."""
        segment = await account.room(name, size_bytes)
        try:
            writing = os.dup(segment.descriptor)  # the sink may close its own, should the run be given up
            try:
                at = 0
                async for part in parts:
                    account.check()  # else a body that trickles in would keep its room as long as it likes
                    at = _write_all(writing, part, at)
                other = await self._checked(writing, size_bytes) if media is Media.JSON else None
            finally:
                os.close(writing)
        except BaseException:
            account.sink.give_back(segment)
            raise
        if other is None:
            account.commit(name, segment, Head(media, size_bytes))
        else:
            account.sink.give_back(segment)
            account.put(name, *other)

    async def _checked(self, descriptor: int, size_bytes: int) -> tuple[Head, bytes] | None:
        """See `read_json`, of what was written."""

        def check() -> tuple[Head, bytes] | None:
            return read_json(os.pread(descriptor, size_bytes, 0))

        if size_bytes < _THREAD_BYTES:
            return check()
        async with self._checking:
            return await asyncio.get_running_loop().run_in_executor(None, check)

    async def _short_body(self, account: Account) -> bytes:
        data = bytearray()
        async for part in self._body():
            account.check()
            data += part
            if len(data) > UNTOLD_BYTES:
                raise Refused(411, f"a body of more than {UNTOLD_BYTES} bytes needs a Content-Length")
        return bytes(data)

    # -- an input -----------------------------------------------------------------------------------

    async def _give(self, account: Account, name: str) -> None:
        value = account.input(name)
        async for _ in self._body():
            raise Refused(400, "a GET has no body here")
        if isinstance(value, Streamed):
            await self._give_parts(account, name)
        elif isinstance(value, Constant | Chunks | tuple) or cast("Stored", value).head.media is Media.ARRAY:
            await self._give_text(value)
        else:
            await self._give_stored(account, cast("Stored", value))

    async def _give_text(self, value: Value) -> None:
        text = value_json(value)
        self._begin(200, JSON_TYPE, len(text))
        await self._send(text)
        await self._finish()

    async def _give_stored(self, account: Account, stored: Stored) -> None:
        self._begin(200, _type_of(stored.head), stored.size_bytes)
        if stored.inline is not None:
            await self._send(stored.inline)
        else:
            account.sink.pin(stored)
            try:
                for at in range(0, stored.size_bytes, _CHUNK_BYTES):
                    size_bytes = min(_CHUNK_BYTES, stored.size_bytes - at)
                    await self._send(os.pread(stored.descriptor(), size_bytes, at))
            finally:
                account.sink.unpin(stored)
        await self._finish()

    async def _give_parts(self, account: Account, name: str) -> None:
        """Send parts as they come: bytes one after the other, values a line each."""
        lines = False
        async for part in account.parts(name):
            if self._http.our_state is h11.SEND_RESPONSE:
                lines = part.head.media is not Media.BYTES
                self._begin(200, LINES_TYPE if lines else BYTES_TYPE, None)
            data = part.read()
            await self._send(as_json(part.head, data) + b"\n" if lines else data)
        if self._http.our_state is h11.SEND_RESPONSE:
            self._begin(200, BYTES_TYPE, None)
        await self._finish()

    # -- HTTP ---------------------------------------------------------------------------------------

    async def _event(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._http.they_are_waiting_for_100_continue:
                self._put(h11.InformationalResponse(status_code=100, headers=[]))
            async with asyncio.timeout(_IDLE_S):
                data = await self._reader.read(_CHUNK_BYTES)
            self._http.receive_data(data)

    async def _body(self) -> AsyncIterator[bytes]:
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise ConnectionError("a request broke off")
            yield event.data

    async def _read_rest(self) -> None:
        async with asyncio.timeout(_REST_S):
            while await self._reader.read(_CHUNK_BYTES):
                pass

    async def _reply(self, status: int, document: dict[str, str] | None) -> None:
        text = b"" if document is None else json.dumps(document).encode()
        self._begin(status, JSON_TYPE, None if document is None else len(text))
        await self._send(text)
        await self._finish()

    def _begin(self, status: int, content_type: str, size_bytes: int | None) -> None:
        headers = [("Content-Type", content_type)]
        if size_bytes is not None:
            headers.append(("Content-Length", str(size_bytes)))
        if self._http.their_state is not h11.DONE:
            headers.append(("Connection", "close"))  # of a body that nobody reads
        self._put(h11.Response(status_code=status, headers=headers))

    async def _send(self, data: bytes) -> None:
        if data:
            self._put(h11.Data(data=data))
            await self._writer.drain()

    async def _finish(self) -> None:
        self._put(h11.EndOfMessage())
        await self._writer.drain()

    def _put(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")


def _type_of(head: Head) -> str:
    return JSON_TYPE if head.media is Media.JSON else BYTES_TYPE


async def _alone(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _write_all(descriptor: int, data: bytes, at: int) -> int:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, at)
        at, view = at + written, view[written:]
    return at
