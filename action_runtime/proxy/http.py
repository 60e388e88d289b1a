"""As much of an HTTP/1.1 server as the action interface needs: one request a connection, one at a time.

User code runs on this thread, so requests wait in the listening queue for each other. The stock invoker opens a
connection for each request; `http.server` would cost 30 ms of each cold start.
"""

from __future__ import annotations

import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    Handler = Callable[[str, bytes], tuple[int, bytes]]

_MAX_HEAD_BYTES: Final = 64 * 1024
MAX_BODY_BYTES: Final = 128 * 1024 * 1024
"""Above stock's bounds for code (48 MB, base64) and parameters (1 MB, or what an operator set)."""
_IDLE_S: Final = 30.0
"""A client that sends nothing for so long is given up."""
_LINGER_S: Final = 0.5
_LINGER_BYTES: Final = 4 * 1024 * 1024
_BACKLOG: Final = 128
_REASONS: Final = {
    200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 411: "Length Required",
    413: "Content Too Large", 431: "Request Header Fields Too Large", 500: "Internal Server Error", 502: "Bad Gateway",
}  # fmt: skip


class _Refused(Exception):
    def __init__(self, status: int, error: str) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error


class Server:
    """Listens, and answers each request with what a handler returns."""

    def __init__(self, port: int) -> None:
        """Listen on all addresses.

        Raises:
            OSError: The port is taken.
        """
        self._socket = socket.create_server(("", port), backlog=_BACKLOG)
        self.port: int = self._socket.getsockname()[1]

    def serve(self, handler: Handler) -> None:
        """Serve for ever.

        Args:
            handler: (path, body) → (status, JSON body).
        """
        while True:
            connection, _ = self._socket.accept()
            with connection:
                connection.settimeout(_IDLE_S)
                try:
                    _exchange(connection, handler)
                except OSError:
                    continue  # the client is gone; there is nobody to tell


def _exchange(connection: socket.socket, handler: Handler) -> None:
    try:
        head, rest = _read_head(connection)
        if not head:
            return
        path, length = _parse(head)
        body = _read_body(connection, head, rest, length)
    except _Refused as refused:
        _answer(connection, refused.status, b'{"error":"' + refused.error.encode() + b'"}\n')
        _let_finish(connection)
        return
    status, reply = handler(path, body)
    _answer(connection, status, reply)


def _read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    received = bytearray()
    while (end := received.find(b"\r\n\r\n")) < 0 and len(received) <= _MAX_HEAD_BYTES:
        part = connection.recv(_MAX_HEAD_BYTES)
        if not part:
            return b"", b""
        received += part
    if not 0 <= end <= _MAX_HEAD_BYTES:
        raise _Refused(431, "the header is too large")
    return bytes(received[:end]), bytes(received[end + 4 :])


def _parse(head: bytes) -> tuple[str, int]:
    """Return path and length of the body."""
    request, *lines = head.decode("latin-1").split("\r\n")
    words = request.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _Refused(400, "this is no HTTP request")
    length = 0
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        if name == "transfer-encoding":
            raise _Refused(411, "Content-Length is needed")
        if name == "content-length":
            if not (value.isascii() and value.isdecimal()):
                raise _Refused(400, "Content-Length is no number")
            length = int(value)
    if length > MAX_BODY_BYTES:
        raise _Refused(413, f"a body may have {MAX_BODY_BYTES} bytes")
    return words[1].partition("?")[0], length


def _read_body(connection: socket.socket, head: bytes, rest: bytes, length: int) -> bytes:
    if len(rest) < length and b"100-continue" in head.lower():
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = bytearray(length)
    view = memoryview(body)
    at = min(len(rest), length)
    view[:at] = rest[:at]
    while at < length:
        size = connection.recv_into(view[at:])
        if not size:
            raise _Refused(400, "the body is shorter than Content-Length")
        at += size
    return bytes(body)


def _let_finish(connection: socket.socket) -> None:
    """Read some of what still comes: closing on unread bytes would take the answer away from the client."""
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(_LINGER_S)
    left = _LINGER_BYTES
    while left > 0 and (part := connection.recv(_MAX_HEAD_BYTES)):
        left -= len(part)


def _answer(connection: socket.socket, status: int, body: bytes) -> None:
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
