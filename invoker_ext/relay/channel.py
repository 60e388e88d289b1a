"""A stream socket that carries frames, on the loop, without blocking and without a task.

Writes go straight to the socket while it takes them; what would block is buffered in order, up to a bound. One reader,
one writer, both on the loop. Works with asyncio's and uvloop's `add_reader`.
"""

from __future__ import annotations

import array
import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from action_runtime.wire.codec import Decoder, encode_head
from action_runtime.wire.errors import DataflowError, PeerLost, ProtocolViolation
from action_runtime.wire.frames import Frame, FrameKind
from invoker_ext.relay.errors import ReaderTooSlow

_log = logging.getLogger(__name__)

_READ_BYTES: Final = 64 * 1024
"""Of one read: four inline values just below the knee, or hundreds of small frames."""
_JOIN_BYTES: Final = 16 * 1024
"""Up to here one joined buffer is cheaper than a vector of buffers (1.1 against 2.4 µs)."""
_VECTOR: Final = 1024
"""Most buffers that one system call takes (IOV_MAX)."""
UNSENT_BYTES: Final = 16 * 1024 * 1024

Buffers = Sequence[bytes | memoryview]


class Channel:
    """One connection.

    `taken` is called with each frame; an error it raises closes the channel: what is no `DataflowError` is logged and
    counts as a violation of the protocol, for a frame must have brought it about. `closed` is called once, with the
    error or None if this side closed it.
    """

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        taken: Callable[[Frame], None],
        closed: Callable[[DataflowError | None], None],
        unsent_bytes: int = UNSENT_BYTES,
    ) -> None:
        """Take over a connected stream socket and start to read.

        Args:
            sock: Owned from here on.
            loop: Everything is called on it.
            taken: Takes a frame.
            closed: Hears the end.
            unsent_bytes: Bound of what is buffered because the other end does not read.
        """
        sock.setblocking(False)
        self._sock = sock
        self._number = sock.fileno()
        self._loop = loop
        self._taken = taken
        self._closed = closed
        self._decoder = Decoder()
        self._bound_bytes = unsent_bytes
        self._unsent: deque[tuple[list[memoryview], tuple[int, ...]]] = deque()
        self.unsent_bytes = 0
        self.open = True
        loop.add_reader(self._number, self._readable)

    def send(
        self, kind: FrameKind, meta: dict[str, Any], payload: bytes = b"", descriptors: Sequence[int] = ()
    ) -> None:
        """Send a frame; never blocks. Nothing happens on a closed channel.

        Args:
            kind: What it is.
            meta: A JSON object.
            payload: Goes out uncopied if it is large.
            descriptors: Stay owned by the caller, who may close them when this returns.

        Raises:
            FrameTooLarge: It is above MAX_FRAME_BYTES; nothing was sent.
        """
        self.send_head(
            encode_head(kind, meta, len(payload), len(descriptors)), (payload,) if payload else (), descriptors
        )

    def send_head(self, head: bytes, parts: Buffers = (), descriptors: Sequence[int] = ()) -> None:
        """Send a frame whose head is encoded already; its payload is the parts, which are neither joined nor copied.

        Args:
            head: From `encode_head`, for the bytes and descriptors that follow.
            parts: Must not change any more.
            descriptors: Stay owned by the caller, who may close them when this returns.
        """
        if not self.open:
            return
        size = sum(map(len, parts))
        if size <= _JOIN_BYTES:
            buffers: Buffers = (b"".join((head, *parts)),)
        else:
            buffers = (head, *parts)
        size += len(head)
        try:
            sent = 0 if self._unsent else self._write(buffers, descriptors)
        except OSError as error:
            # Not from inside a call of the owner: it hears of the end on the loop's next turn.
            self._loop.call_soon(self.close, _lost(error))
            return
        if sent < size:
            self._buffer(buffers, sent, () if sent else descriptors)

    def close(self, error: DataflowError | None = None) -> None:
        """Close the socket and drop what is unsent. Idempotent."""
        if not self.open:
            return
        self.open = False
        self._loop.remove_reader(self._number)
        if self._unsent:
            self._loop.remove_writer(self._number)
        for _, copies in self._unsent:
            _close_all(copies)
        self._unsent.clear()
        self.unsent_bytes = 0
        _close_all(self._decoder.take_descriptors())
        self._sock.close()
        self._closed(error)

    def _readable(self) -> None:
        try:
            received = self._sock.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.close(_lost(error))
            return
        if not received:
            self.close(PeerLost("the other end closed the connection"))
            return
        try:
            for frame in self._decoder.feed(received):
                self._taken(frame)
                if not self.open:
                    return
        except DataflowError as error:
            self.close(error)
        except Exception as error:  # noqa: BLE001 - a supervisor: what a container sends must end its session alone
            _log.exception("frame not understood", extra={"error": repr(error)})
            self.close(ProtocolViolation(f"a frame could not be taken: {type(error).__name__}"))

    def _write(self, buffers: Buffers, descriptors: Sequence[int]) -> int:
        """Return how many bytes the socket took; descriptors go with the first one."""
        try:
            if descriptors:
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
                return self._sock.sendmsg(buffers[:_VECTOR], (rights,))
            if len(buffers) == 1:
                return self._sock.send(buffers[0])
            return self._sock.sendmsg(buffers[:_VECTOR])
        except (BlockingIOError, InterruptedError):
            return 0

    def _buffer(self, buffers: Buffers, sent: int, descriptors: Sequence[int]) -> None:
        rest = _skip([memoryview(one) for one in buffers], sent)
        self.unsent_bytes += sum(map(len, rest))
        if self.unsent_bytes > self._bound_bytes:
            self._loop.call_soon(self.close, ReaderTooSlow(self.unsent_bytes, self._bound_bytes))
            return
        if not self._unsent:
            self._loop.add_writer(self._number, self._writable)
        self._unsent.append((rest, tuple(os.dup(one) for one in descriptors)))

    def _writable(self) -> None:
        while self._unsent:
            buffers, copies = self._unsent[0]
            try:
                sent = self._write(buffers, copies)
            except OSError as error:
                self.close(_lost(error))
                return
            if not sent:
                return
            _close_all(copies)
            self.unsent_bytes -= sent
            rest = _skip(buffers, sent)
            if rest:
                self._unsent[0] = (rest, ())
            else:
                self._unsent.popleft()
        self._loop.remove_writer(self._number)


def _skip(buffers: list[memoryview], count: int) -> list[memoryview]:
    """Return what is left of the buffers after `count` bytes."""
    for position, one in enumerate(buffers):
        if count < len(one):
            return [one[count:], *buffers[position + 1 :]]
        count -= len(one)
    return []


def _close_all(descriptors: Sequence[int]) -> None:
    for one in descriptors:
        os.close(one)


def _lost(error: OSError) -> PeerLost:
    return PeerLost(f"the connection broke: {error.strerror}")
