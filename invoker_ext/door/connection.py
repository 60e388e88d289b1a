"""A connection between hosts: greeting first, then frames. Works on any asyncio loop, with TLS and without."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Final

from action_runtime.wire.codec import encode
from action_runtime.wire.errors import DataflowError, PeerLost
from action_runtime.wire.frames import MAX_FRAME_BYTES, Frame
from invoker_ext.door.credentials import Credentials
from invoker_ext.door.errors import PeerRefused
from invoker_ext.door.framed import FramedProtocol
from invoker_ext.door.greeting import GREETING_BYTES, Accepting, Dialling, Name, Use, refusal

_log = logging.getLogger(__name__)

IDLE_S: Final = 15
"""A connection on which nothing came for so long: its other side is asked whether it is there."""
ASKS_EVERY_S: Final = 5
ASKS: Final = 3
"""Without an answer to so many the connection has broken."""

Address = tuple[str, int]


class PeerConnection(FramedProtocol):
    """One end. Subclasses override `on_greeted`, `on_message` and `on_gone`."""

    def __init__(self, greeting: Dialling | Accepting, greeting_s: float) -> None:
        """Make one whose greeting begins when it is connected.

        Args:
            greeting: Our side of it.
            greeting_s: Its bound.
        """
        super().__init__()
        self.greeting = greeting
        self.greeted: asyncio.Future[None] = self._loop.create_future()
        self._decoder.bound_bytes = GREETING_BYTES
        self._timer = self._loop.call_later(greeting_s, self._late)
        self._over = False

    @property
    def peer(self) -> Name:
        """The other side, once it is greeted."""
        return self.greeting.peer

    @property
    def number(self) -> int:
        """The other side of a connection that only invokers have, once it is greeted."""
        return int(self.greeting.peer)

    def on_greeted(self) -> None:
        """Hear that the other side is authenticated."""

    def on_message(self, frame: Frame) -> None:
        """Take a frame of an authenticated peer."""
        raise NotImplementedError

    def on_gone(self, error: DataflowError) -> None:
        """Hear the end of a connection that was greeted; last call."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's call."""
        super().connection_made(transport)
        for kind, meta in self.greeting.begin():
            self.send(encode(kind, meta))

    def on_frame(self, frame: Frame) -> None:
        """Greet, then pass on."""
        if self.greeting.is_over():
            self.on_message(frame)
            return
        for kind, meta in self.greeting.take(frame):
            self.send(encode(kind, meta))
        if self.greeting.is_over():
            self._timer.cancel()
            self._decoder.bound_bytes = MAX_FRAME_BYTES
            self.on_greeted()
            if not self.greeted.done():
                self.greeted.set_result(None)

    def on_broken(self, error: DataflowError) -> None:
        """Log; tell a stranger why, but nothing that would help him."""
        self.refuse(error)
        if not self.greeting.is_over() and isinstance(self.greeting, Accepting):
            kind, meta = refusal(str(error))
            self.send(encode(kind, meta))

    def on_lost(self) -> None:
        """Hear the end; nothing happens the second time."""
        if self._over:
            return
        self._over = True
        self._timer.cancel()
        error = PeerLost("the connection broke")
        if self.greeting.is_over():
            self.on_gone(error)
        if not self.greeted.done():
            self.greeted.set_exception(error)
            self.greeted.exception()  # whoever waits gets it; nobody need to

    def _late(self) -> None:
        self.refuse(PeerLost("the greeting took too long"))
        self.abort()

    def refuse(self, error: DataflowError) -> None:
        """Log why there is no greeting; whoever waits for it gets the error."""
        name = self.transport_name()
        _log.warning("peer not accepted", extra={"address": name, "error": str(error), "code": error.code})
        if not self.greeted.done():
            self.greeted.set_exception(error)
            self.greeted.exception()

    def transport_name(self) -> str:
        """Return the other side's address, for logs."""
        found = self._transport.get_extra_info("peername") if self._transport is not None else None
        return f"{found[0]}:{found[1]}" if found else ""


async def dial(
    connection: PeerConnection, address: Address, use: Use, credentials: Credentials, timeout_s: float
) -> None:
    """Connect to a peer and greet it.

    Args:
        connection: Made on the running loop.
        address: Host and port.
        use: What for.
        credentials: With TLS or without.
        timeout_s: For connecting; the greeting has its own bound.

    Raises:
        PeerLost: Nobody answers, or not in time.
        DataflowError: The peer was not accepted, or does not accept us.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            sock = await connected(loop, address)
            try:
                await loop.sock_sendall(sock, use.value)
                await loop.create_connection(
                    lambda: connection,
                    sock=sock,
                    ssl=credentials.client,
                    server_hostname=address[0] if credentials.client else None,
                    ssl_handshake_timeout=timeout_s if credentials.client else None,
                )
            except BaseException:
                sock.close()
                raise
    except OSError as error:  # a TimeoutError and an SSLError are one
        if isinstance(error, ssl.SSLError):
            connection.refuse(PeerRefused(f"{address[0]}:{address[1]}: {error}"))
        connection.on_lost()
        raise PeerLost(f"{address[0]}:{address[1]} cannot be reached: {str(error) or 'no answer in time'}") from error
    except BaseException:
        connection.on_lost()
        raise
    try:
        await connection.greeted
    except BaseException:
        connection.abort()
        raise


async def accept(connection: PeerConnection, sock: socket.socket, credentials: Credentials, timeout_s: float) -> None:
    """Serve a connection that a peer made, from behind its first bytes on; what goes wrong is logged.

    Args:
        connection: Made on the running loop.
        sock: Connected; owned.
        credentials: With TLS or without.
        timeout_s: For the handshake of TLS; the greeting has its own bound.
    """
    try:
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: connection,
            sock,
            ssl=credentials.server,
            ssl_handshake_timeout=timeout_s if credentials.server else None,
        )
    except OSError as error:  # an SSLError is one
        _log.warning("peer not accepted", extra={"error": str(error) or "it broke off the handshake of TLS"})
        sock.close()
        connection.on_lost()
    except BaseException:
        sock.close()
        connection.on_lost()
        raise


def prepare(sock: socket.socket) -> None:
    """Have a socket wait for nothing, neither here nor in the kernel, which asyncio leaves to accepted ones.

    A host that vanishes says no goodbye. Where nothing is sent, the kernel asks whether it is still there: else its
    idle connections would be counted for good, and leave no place for those that it makes when it is back.
    """
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ASKS_EVERY_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, ASKS)


async def connected(loop: asyncio.AbstractEventLoop, address: Address) -> socket.socket:
    """Return a connected socket; raises OSError."""
    family, kind, protocol, _, where = (await loop.getaddrinfo(*address, type=socket.SOCK_STREAM))[0]
    sock = socket.socket(family, kind, protocol)
    prepare(sock)
    try:
        await loop.sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock
