"""A framed connection on an asyncio loop, for the server side and the bus: no task, one write a loop turn."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from action_runtime.wire.codec import Decoder
from action_runtime.wire.errors import DataflowError, WireError
from action_runtime.wire.frames import Frame
from invoker_ext.door import hello

logger = logging.getLogger(__name__)

READ_BYTES: Final = 32 * 1024
"""Of one read, unless a large frame is under way."""
SEND_BYTES: Final = 1024 * 1024
"""Asked of the socket: 900 KB then cross in 0.2 ms instead of 0.5, because the reader is not waited for so often."""
BACKLOG: Final = 512
"""Callers that may wait to be accepted: every thread of every worker may come back at once."""


class FramedProtocol(asyncio.BufferedProtocol):
    """Bytes in, frames out, for one connection. Subclasses override `on_frame` and `on_lost`.

    Frames sent during one turn of the loop leave in one write. A peer that breaks the protocol is disconnected.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._decoder = Decoder()
        self._scratch = memoryview(bytearray(READ_BYTES))  # asyncio's TLS reads into slices of it
        self._room: memoryview | None = None
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes | memoryview] = []
        self.paused = False
        """The peer reads more slowly than we write; `on_resumed` says when that is over."""

    def on_frame(self, frame: Frame) -> None:
        """Take one frame; a DataflowError raised here ends the connection."""
        raise NotImplementedError

    def on_lost(self) -> None:
        """Hear that the connection is gone; last call."""

    def on_resumed(self) -> None:
        """Hear that the peer has caught up."""

    def on_broken(self, error: DataflowError) -> None:
        """Hear that the peer broke the protocol, just before it is disconnected."""
        logger.warning("connection broken", extra={"error": str(error), "code": error.code})

    @property
    def connected(self) -> bool:
        """True until the connection is gone or closing."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, *parts: bytes | memoryview) -> None:
        """Queue bytes of whole frames, uncopied; dropped if the connection is gone."""
        if not self._out:
            self._loop.call_soon(self.flush)
        self._out.extend(parts)

    def close(self) -> None:
        """Send what is queued, then disconnect."""
        self.flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Disconnect at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's call."""
        self._transport = cast(asyncio.Transport, transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family == socket.AF_UNIX:  # TCP's grows by itself with the distance
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)

    def get_buffer(self, sizehint: int) -> bytearray | memoryview:
        """Asyncio's call: a large frame is read straight to where it stays."""
        self._room = self._decoder.room()
        return self._room if self._room is not None else self._scratch

    def buffer_updated(self, nbytes: int) -> None:
        """Asyncio's call."""
        room, self._room = self._room, None
        try:
            frames = self._decoder.filled(nbytes) if room is not None else self._decoder.feed(self._scratch[:nbytes])
            for frame in frames:
                self.on_frame(frame)
        except DataflowError as error:
            self.on_broken(error)
            self.close()

    def pause_writing(self) -> None:
        """Asyncio's call."""
        self.paused = True

    def resume_writing(self) -> None:
        """Asyncio's call."""
        self.paused = False
        self.on_resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's call."""
        self._transport = None
        self._out.clear()
        self.on_lost()

    def flush(self) -> None:
        """Write what is queued now, not at the end of the loop's turn."""
        out = self._out
        if out and self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(out)
        if out:
            self._out = []


class AdmittedProtocol(FramedProtocol):
    """The server's side: nothing but a right PEER_HELLO gets past the first frame."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token
        self.caller: hello.Caller | None = None

    def on_call(self, frame: Frame) -> None:
        """Take one frame of an admitted caller."""
        raise NotImplementedError

    def on_frame(self, frame: Frame) -> None:
        """Admit the caller by its first frame, pass the others on."""
        if self.caller is None:
            self.caller = hello.admit(frame, self._token)
            self.send(hello.answer_hello())
        else:
            self.on_call(frame)

    def on_broken(self, error: DataflowError) -> None:
        """Tell a caller that was not admitted why."""
        super().on_broken(error)
        if self.caller is None and not (isinstance(error, WireError) and error.code == "frame-too-large"):
            self.send(hello.answer_hello(str(error)))


def bind(path: Path) -> socket.socket:
    """Return a Unix socket, bound, that only this user may connect to.

    Args:
        path: A file left there by a process that died is replaced; its directory must be closed to others (0700).

    Raises:
        OSError: The socket cannot be made there.
    """
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(str(path))
        path.chmod(0o600)
    except OSError:
        bound.close()
        raise
    return bound


async def listen(path: Path, protocol: Callable[[], asyncio.BaseProtocol]) -> asyncio.Server:
    """Listen on a Unix socket as `bind` makes it, with one protocol a connection.

    Raises:
        OSError: The socket cannot be made there.
    """
    return await asyncio.get_running_loop().create_unix_server(protocol, sock=bind(path), backlog=BACKLOG)
