"""A framed connection for threads that wait, and a pool of them: the client side of door and balancer."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final

from action_runtime.wire.codec import Decoder
from action_runtime.wire.errors import PeerLost
from action_runtime.wire.frames import Frame
from invoker_ext.door import hello
from invoker_ext.door.framed import SEND_BYTES

_READ_BYTES: Final = 256 * 1024
_FIRST_WAIT_S: Final = 0.005
_LONGEST_WAIT_S: Final = 0.25


class FramedSocket:
    """One connection, used by one thread at a time. Deadlines are instants of `time.monotonic`.

    After an error other than TimeoutError it is of no more use and must be closed.
    """

    _socket: socket.socket

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._frames: deque[Frame] = deque()

    def send(self, content: bytes, deadline: float) -> None:
        """Send bytes of whole frames.

        Raises:
            PeerLost: The connection broke, or the peer did not read until the deadline.
        """
        try:
            self._socket.settimeout(_left_s(deadline))
            self._socket.sendall(content)
        except OSError as error:
            raise PeerLost(f"the connection broke: {error}") from error

    def receive(self, deadline: float) -> Frame:
        """Return the next frame.

        Raises:
            TimeoutError: It did not come until the deadline; the connection stays of use.
            PeerLost: The connection broke.
            WireError: The bytes break the protocol.
        """
        frames = self._frames
        while not frames:
            try:
                self._socket.settimeout(_left_s(deadline))
                found = self._read()
            except TimeoutError:
                raise
            except OSError as error:
                raise PeerLost(f"the connection broke: {error}") from error
            if found is None:
                raise PeerLost("the peer closed the connection")
            frames.extend(found)
        return frames.popleft()

    def close(self) -> None:
        """Disconnect; idempotent."""
        if hasattr(self, "_socket"):
            self._socket.close()

    def _read(self) -> list[Frame] | None:
        """Read once; a large frame straight to where it stays. None: the end."""
        room = self._decoder.room()
        if room is not None:
            size = self._socket.recv_into(room)
            return self._decoder.filled(size) if size else None
        content = self._socket.recv(_READ_BYTES)
        return self._decoder.feed(content) if content else None


class NearSocket(FramedSocket):
    """A connection to a Unix socket of this host."""

    def __init__(self, path: Path, opening: bytes, deadline: float) -> None:
        """Connect; the hello is sent, its answer awaited.

        Args:
            path: Of the Unix socket.
            opening: `hello.call_hello(…)`.
            deadline: Of connecting and answer.

        Raises:
            PeerLost: Nobody listens there, or the answer did not come.
            NotAllowed: The peer refused.
            WireError: The peer speaks something else.
        """
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        try:
            self._socket.settimeout(_left_s(deadline))
            self._socket.connect(str(path))
            self._socket.sendall(opening)
            hello.accepted(self.receive(deadline))
        except OSError as error:  # a TimeoutError is one
            self.close()
            raise PeerLost(f"nobody answers at {path}: {error}") from error
        except BaseException:
            self.close()
            raise


class Lease:
    """A connection out of the pool for the length of a `with`; goes back only if `keep` was called."""

    def __init__(self, pool: ConnectionPool, connection: FramedSocket) -> None:
        self._pool = pool
        self._kept = False
        self.connection = connection

    def keep(self) -> None:
        """Say that the exchange is complete: nothing more will come on the connection."""
        self._kept = True

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kept:
            self._pool.give_back(self.connection)
        else:
            self.connection.close()


def near_pool(path: Path, *, role: hello.Role, token: str) -> ConnectionPool:
    """Return connections to a Unix socket of this host."""
    opening = hello.call_hello(role, token)
    return ConnectionPool(str(path), lambda deadline: NearSocket(path, opening, deadline))


class ConnectionPool:
    """Connections to one peer: at most as many as there are calls at a time. Thread-safe; make it after a fork."""

    def __init__(self, name: str, opened: Callable[[float], FramedSocket]) -> None:
        """Connect nothing yet.

        Args:
            name: Of the peer, for errors.
            opened: Connects until a deadline, or raises as `NearSocket`.
        """
        self.name = name
        self._opened = opened
        # Appending to and popping from a deque is atomic: no lock. Last in, first out keeps the busy ones warm.
        self._idle: deque[FramedSocket] = deque()
        self._closed = False

    def borrow(self, deadline: float) -> Lease:
        """Return a connection, an idle one or a new one; tries to connect until the deadline.

        Raises:
            PeerLost: Nobody listens there.
            NotAllowed: The peer refused.
        """
        try:
            return Lease(self, self._idle.pop())
        except IndexError:
            return self.connect(deadline)

    def connect(self, deadline: float) -> Lease:
        """Return a new connection; tries until the deadline, in growing steps, since peers restart.

        Raises:
            PeerLost: Nobody listens there.
            NotAllowed: The peer refused.
        """
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                return Lease(self, self._opened(deadline))
            except PeerLost:
                if time.monotonic() + wait_s >= deadline:
                    raise
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def give_back(self, connection: FramedSocket) -> None:
        """Take a connection back for the next caller."""
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)

    def drop_idle(self) -> None:
        """Close all idle connections: the peer they led to is gone."""
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:
                return

    def close(self) -> None:
        """Close all; idempotent. Connections in use are closed when they come back."""
        self._closed = True
        self.drop_idle()


def _left_s(deadline: float) -> float:
    """Return the seconds left, a little more than none, for `settimeout` takes 0 as non-blocking."""
    return max(deadline - time.monotonic(), 0.0001)
