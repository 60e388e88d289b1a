"""The socket of a session: frames in, bytes out, and who may wait for it.

Two threads share it without ever waking each other for nothing. Reading is a role: the main thread takes it while no
function runs and then reads straight from the socket; while one runs the data unit's thread has it. The role is handed
over by changing what the data unit's epoll set listens to, one system call, so a short function costs no thread switch.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections import deque
from itertools import islice

from action_runtime.wire.codec import Decoder
from action_runtime.wire.errors import PeerLost, ProtocolViolation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from action_runtime.wire.frames import Frame

_READ_BYTES: Final = 256 * 1024
_DESCRIPTORS: Final = 253
"""The kernel passes no more in one message."""
_PIECES: Final = 64
"""Queued pieces given to one system call; far below IOV_MAX."""


class Connection:
    """One end of the session's stream socket.

    `write`, `cork` and `flush` are for whoever holds the outbox's lock; `receive` for whoever holds `reading`; `wait`
    for the data unit's thread.
    """

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected stream socket."""
        sock.setblocking(True)
        os.set_inheritable(sock.fileno(), False)
        self.reading = threading.Lock()
        """Guards the decoder and the reading side of the socket."""
        self._socket = sock
        self._decoder = Decoder()
        self._buffer = bytearray(_READ_BYTES)
        self._ancillary = socket.CMSG_SPACE(_DESCRIPTORS * 4)
        self._backlog: deque[bytes | memoryview] = deque()
        self.backlog_bytes = 0
        self.forgotten = False
        """This process is a forked child of user code: the session is its parent's."""
        self._corked = False
        self._listening = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # A second descriptor of the same socket: each thread changes the interest of its own entry, without a lock.
        self._writer = sock.dup()
        self._epoll = select.epoll()
        self._epoll.register(self._wake, select.EPOLLIN)
        self._epoll.register(sock.fileno(), 0)
        self._epoll.register(self._writer.fileno(), 0)
        os.register_at_fork(after_in_child=self._forget)

    def write(self, data: bytes) -> None:
        """Send now what the socket takes, keep the rest, in order. Never blocks.

        Raises:
            PeerLost: The relay is gone.
        """
        if self._backlog or self._corked:
            self._backlog.append(data)
            self.backlog_bytes += len(data)
            return
        try:
            sent = self._socket.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise PeerLost(f"the relay's socket is gone: {error}") from error
        if sent < len(data):
            self._backlog.append(memoryview(data)[sent:])
            self.backlog_bytes += len(data) - sent
            self._await_room()

    def cork(self) -> None:
        """Keep what is written until `flush`: several frames leave in one system call."""
        self._corked = True

    def flush(self) -> None:
        """Send what is kept, as far as the socket takes it. Never blocks.

        Raises:
            PeerLost: The relay is gone.
        """
        self._corked = False
        backlog = self._backlog
        while backlog:
            try:
                sent = self._socket.sendmsg(
                    list(islice(backlog, _PIECES)), [], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
                )
            except BlockingIOError:
                self._await_room()
                return
            except OSError as error:
                raise PeerLost(f"the relay's socket is gone: {error}") from error
            self.backlog_bytes -= sent
            while sent:
                first = backlog[0]
                if sent < len(first):
                    backlog[0] = memoryview(first)[sent:]
                    break
                sent -= len(first)
                backlog.popleft()
        self._epoll.modify(self._writer.fileno(), 0)

    def receive(self, block: bool) -> list[Frame]:
        """Return the frames of one read; none if nothing is there and `block` is false. Copies.

        Raises:
            PeerLost: The relay closed the connection.
            WireError: It sent something that is no frame.
        """
        flags = socket.MSG_CMSG_CLOEXEC if block else socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
        try:
            size, ancillary, state, _ = self._socket.recvmsg_into([self._buffer], self._ancillary, flags)
        except BlockingIOError:
            return []
        except OSError as error:
            raise PeerLost(f"the relay's socket is gone: {error}") from error
        if not size:
            raise PeerLost("the relay closed the session")
        if state & socket.MSG_CTRUNC:
            raise ProtocolViolation("descriptors were lost: more came than this process may hold open")
        descriptors: list[int] = []
        for _, _, data in ancillary:
            descriptors.extend(memoryview(data[: len(data) // 4 * 4]).cast("i"))
        return self._decoder.feed(memoryview(self._buffer)[:size], descriptors)

    def listen(self, on: bool) -> None:
        """Give the reading role to the data unit's thread, or take it back."""
        if on == self._listening:
            return
        self._listening = on
        self._epoll.modify(self._socket.fileno(), select.EPOLLIN if on else 0)

    def wait(self) -> tuple[bool, bool]:
        """Wait until there is something to do; return whether to read and whether to write.

        Raises:
            PeerLost: The relay closed the connection, whoever has the reading role.
        """
        readable = writable = False
        for descriptor, events in self._epoll.poll():
            if events & (select.EPOLLHUP | select.EPOLLERR):
                raise PeerLost("the relay closed the session")
            if descriptor == self._wake:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._wake)
            elif descriptor == self._writer.fileno():
                writable = True
            else:
                readable = True
        return readable, writable

    def wake(self) -> None:
        """Make `wait` return. Safe from any thread and from a finalizer."""
        os.eventfd_write(self._wake, 1)

    def _forget(self) -> None:
        """Let a forked child of user code have no part in the session, nor keep it open."""
        self.forgotten = True
        for end in (self._socket, self._writer, self._epoll):
            end.close()
        os.close(self._wake)

    def _await_room(self) -> None:
        self._epoll.modify(self._writer.fileno(), select.EPOLLOUT)
