"""The gunicorn worker class: threads, with a moment of patience for the next request of a connection, and no more.

Stock `gthread` hands a kept-alive connection back to its main thread after every request, which polls it and hands it
to a thread again: two changes of thread a request, each a wait for the interpreter. A client that invokes in a loop
sends its next request within a fraction of a millisecond; here its thread takes that one itself.

Nobody holds a thread by being slow: stock gives one to each new connection, even if nothing comes, and reads without
any bound. Here a connection waits in the poller for its first byte, and then has a bounded time to say what it wants.
"""

from __future__ import annotations

import errno
import select
import selectors
import socket
import struct
import threading
import time
from contextlib import suppress
from functools import partial
from typing import Any, Final

from gunicorn.glogging import Logger
from gunicorn.http.errors import LimitRequestLine
from gunicorn.workers.gthread import TConn, ThreadWorker

from controller_ext.api.headers import LAST_VALUES

LINGER_MS: Final = 5
"""How long a thread waits for the next request; longer than a client in a loop needs, too short to be missed."""
_LINGERING_SHARE: Final = 4
"""At most one thread in so many waits like this, so that new connections always find one."""
HEAD_S: Final = 10.0
"""From a connection to its first byte, and from that to the end of the request's headers."""
STALL_S: Final = 20
"""Without one byte of a body, or with no room for one of the response: the other end is gone, or wishes us ill."""
_TIMEVAL: Final = struct.pack("@ll", STALL_S, 0)
_TOO_LONG_PAGE: Final = (
    b"<html>\r\n<head><title>414 Request-URI Too Large</title></head>\r\n"
    b"<body>\r\n<center><h1>414 Request-URI Too Large</h1></center>\r\n</body>\r\n</html>\r\n"
)
_TOO_LONG: Final = (
    b"HTTP/1.1 414 Request-URI Too Large\r\nConnection: close\r\nContent-Type: text/html\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_TOO_LONG_PAGE), _TOO_LONG_PAGE)
)
_NOT_THERE: Final = (errno.EAGAIN, errno.ECONNABORTED)


class _Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """A connection that may be closed where it was served; closed again by gunicorn's main thread, it stays so."""

    closed = False

    def close(self, graceful: bool = False) -> None:
        """Let go of it; gracefully means: wait a while for the other end to close first."""
        if not self.closed:
            self.closed = True
            super().close(graceful)


class LingeringWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves requests of one connection on one thread while they come in quick succession."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._places = threading.BoundedSemaphore(max(1, self.cfg.threads // _LINGERING_SHARE))
        self._heads: dict[Any, float] = {}  # connection whose request is being read → by when

    def accept(self, listener: socket.socket) -> None:
        """Take a connection, which gets a thread once it has sent something."""
        try:
            sock, address = listener.accept()
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            return
        self.nr_conns += 1
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL)
        conn = _Connection(self.cfg, sock, address, listener.getsockname())
        sock.setblocking(False)
        conn.timeout = time.monotonic() + HEAD_S
        self.pending_conns.append(conn)
        self.poller.register(sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def handle(self, conn: Any) -> Any:
        """Serve a request, and those that follow at once."""
        kept = self._one(conn)
        while kept is True and self.alive and self._more(conn):
            kept = self._one(conn)
        if kept is False:
            # Here: gunicorn would wait for the other end in the thread that accepts.
            conn.close(graceful=True)
        return kept

    def _one(self, conn: Any) -> Any:
        self._heads[conn] = time.monotonic() + HEAD_S
        try:
            return super().handle(conn)
        finally:
            self._heads.pop(conn, None)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Serve a request whose headers are there."""
        self._heads.pop(conn, None)
        last = dict(req.headers)
        if len(last) < len(req.headers):
            # Of a header that stands twice the environment holds all values in one, and what they were cannot be told.
            setattr(req.body, LAST_VALUES, last)
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Gunicorn's call for what is no request; an address that is too long is told of as by stock's front, nginx."""
        if not isinstance(exc, LimitRequestLine):
            super().handle_error(req, client, addr, exc)
            return
        with suppress(OSError):  # it has gone by itself
            client.sendall(_TOO_LONG)

    def murder_pending(self) -> None:
        """Gunicorn's call, at least once a second: let go of those that are slow to say what they want."""
        super().murder_pending()
        now = time.monotonic()
        for conn, due in tuple(self._heads.items()):
            if now > due:
                with suppress(OSError):  # it has gone by itself
                    conn.sock.shutdown(socket.SHUT_RD)  # its thread wakes up and finds the end

    def _more(self, conn: Any) -> bool:
        if conn.parser.unreader.buf.getvalue():
            return True  # sent ahead, together with the one before
        if not self._places.acquire(blocking=False):
            return False
        try:
            poll = select.poll()
            poll.register(conn.sock, select.POLLIN)
            return bool(poll.poll(LINGER_MS))
        finally:
            self._places.release()


class SilentAccess(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's logger without access lines, which cost a tenth of a request even where they go nowhere."""

    def access(self, *args: Any, **kwargs: Any) -> None:
        """Log nothing."""
