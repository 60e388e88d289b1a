"""The server of the peer door.

Frames, after PEER_HELLO:

| frame | from | meta |
| --- | --- | --- |
| CALL | caller | `{"call": number, "op", …fields}`; with `"offset"` the answer's body begins there; its payload is
taken for the field `payload` |
| REPLY | door | `{"call", "ok": true, …fields[, "size": bytes of the whole body]}`, or a refusal:
`{"call", "ok": false, "code", "error", "retryable"}` |
| PART | door | `{"call"}` and a piece of the body, in order, up to `size`; or `{"call", "error"}`: it broke off |

Calls of one connection are answered one after the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from action_runtime.wire.codec import encode, encode_head
from action_runtime.wire.errors import DataflowError, ProtocolViolation
from action_runtime.wire.frames import Frame, FrameKind
from invoker_ext.door.body import Body
from invoker_ext.door.errors import UnknownCall
from invoker_ext.door.framed import AdmittedProtocol, FramedProtocol, listen

logger = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any]], Awaitable[tuple[dict[str, Any], Body | None]]]
"""Takes the fields of a call, returns those of the answer and its body; raises DataflowError to refuse."""

PART_BYTES: Final = 1024 * 1024
MAX_QUEUED_CALLS: Final = 64
"""On one connection; more break the protocol."""


class Door:
    """Answers calls of other processes by handlers."""

    def __init__(self, path: Path, token: str, handlers: Mapping[str, Handler]) -> None:
        """Make a door that is still shut.

        Args:
            path: Of the Unix socket, in a directory that is closed to others.
            token: The installation's secret.
            handlers: By name of the call; run on the loop, must not block it.
        """
        self.path = path
        self._token = token
        self.handlers = handlers
        self.open_calls: set[Calls] = set()
        """Those of all connections; who adds some must take them out."""
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; raises OSError if the socket cannot be made."""
        self._server = await listen(self.path, lambda: _Connection(self.handlers, self.open_calls, self._token))

    async def close(self) -> None:
        """Break off all calls and stop listening; idempotent."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        tasks = [calls.end() for calls in list(self.open_calls)]
        await asyncio.gather(*[task for task in tasks if task is not None], return_exceptions=True)
        await server.wait_closed()
        self.path.unlink(missing_ok=True)


class Calls:
    """The calls of one connection, answered one after the other."""

    def __init__(self, connection: FramedProtocol, handlers: Mapping[str, Handler]) -> None:
        self._connection = connection
        self._handlers = handlers
        self._calls: deque[dict[str, Any]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def take(self, frame: Frame) -> None:
        """Take a call; raises ProtocolViolation."""
        if frame.kind is not FrameKind.CALL or type(frame.meta.get("call")) is not int:
            raise ProtocolViolation(f"{frame.kind.name} is malformed, or not for the door")
        if len(self._calls) >= MAX_QUEUED_CALLS:
            raise ProtocolViolation("too many calls on one connection")
        self._calls.append({**frame.meta, "payload": frame.payload} if frame.payload else frame.meta)
        if self._task is None:
            self._start()

    def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._answer_all(), name="door-call")
        self._task.add_done_callback(self._answered)

    def end(self) -> asyncio.Task[None] | None:
        """Break off; return the task to wait for."""
        task = self._task
        self._connection.abort()
        if task is not None:
            task.cancel()
        return task

    def lost(self) -> None:
        """Hear that the connection is gone."""
        self._calls.clear()
        if self._task is not None:
            self._task.cancel()

    def pause(self) -> None:
        """Hear that the caller reads more slowly than we write."""
        self._writable.clear()

    def resume(self) -> None:
        """Hear that it has caught up."""
        self._writable.set()

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("call at the door failed", exc_info=error)
            self._connection.abort()
        elif self._calls and not task.cancelled():
            self._start()  # one came when all were answered and this was not called yet

    async def _answer_all(self) -> None:
        while self._calls:
            call = self._calls.popleft()
            number = call.pop("call")
            op = call.pop("op", None)
            try:
                handler = self._handlers.get(op)
                if handler is None:
                    raise UnknownCall(op)
                fields, body = await handler(call)
            except DataflowError as error:
                refusal = {"ok": False, "code": error.code, "error": str(error), "retryable": error.retryable}
                self._connection.send(encode(FrameKind.REPLY, {"call": number, **refusal}))
                continue
            if body is None:
                self._connection.send(encode(FrameKind.REPLY, {"call": number, "ok": True, **fields}))
                continue
            try:
                meta = {"call": number, "ok": True, "size": body.size_bytes, **fields}
                self._connection.send(encode(FrameKind.REPLY, meta))
                await self._send_body(number, body, call.get("offset", 0))
            finally:
                body.close()

    async def _send_body(self, number: int, body: Body, offset: int) -> None:
        while offset < body.size_bytes:
            count = min(PART_BYTES, body.size_bytes - offset)
            try:
                content = await body.read(offset, count)
            except OSError as error:
                logger.warning("body broke off", extra={"error": str(error)})
                self._connection.send(encode(FrameKind.PART, {"call": number, "error": str(error)}))
                return
            self._connection.send(encode_head(FrameKind.PART, {"call": number}, count), content)
            self._connection.flush()
            offset += count
            await self._writable.wait()


class _Connection(AdmittedProtocol):
    """One caller of this host."""

    def __init__(self, handlers: Mapping[str, Handler], open_calls: set[Calls], token: str) -> None:
        super().__init__(token)
        self._open_calls = open_calls
        self._calls = Calls(self, handlers)
        open_calls.add(self._calls)

    def on_call(self, frame: Frame) -> None:
        self._calls.take(frame)

    def on_lost(self) -> None:
        self._open_calls.discard(self._calls)
        self._calls.lost()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._calls.pause()

    def on_resumed(self) -> None:
        self._calls.resume()
