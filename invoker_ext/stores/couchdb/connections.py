"""Connections to one server, kept between requests. Thread-safe."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit


class Pool:
    """Connections that wait, and which one each thread uses.

    Takes the place of the package's own pool, which loses what has failed.

    Args:
        timeout_s: Longest silence of a server.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._waiting: list[http.client.HTTPConnection] = []
        self._used: set[http.client.HTTPConnection] = set()
        self._closed = False
        self._guard = threading.Lock()  # guards _waiting, _used and _closed
        self._lent = threading.local()

    @property
    def was_new(self) -> bool:
        """Whether the last request of this thread had a connection that no other had used before."""
        return bool(self._lent.new)

    def get(self, url: str) -> http.client.HTTPConnection:
        """Lend this thread a connection to the server of a URL; a new one connects with its first request."""
        with self._guard:
            connection = self._waiting.pop() if self._waiting else None
        self._lent.new = connection is None
        if connection is None:
            parts = urlsplit(url)
            kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
            connection = kind(parts.netloc, timeout=self._timeout_s)
        with self._guard:
            self._used.add(connection)
        self._lent.connection = connection
        return connection

    def release(self, url: str, connection: http.client.HTTPConnection) -> None:
        """Take back a connection whose answer was read to its end."""
        if getattr(self._lent, "connection", None) is not connection:
            connection.close()  # it comes back late, from an answer that nobody read to its end
            return
        self._lent.connection = None
        with self._guard:
            self._used.discard(connection)
            if not self._closed:
                self._waiting.append(connection)
                return
        connection.close()

    def settle(self) -> None:
        """Close what this thread's request has not given back."""
        connection = getattr(self._lent, "connection", None)
        self._lent.connection = None
        if connection is not None:
            with self._guard:
                self._used.discard(connection)
            connection.close()

    def abort(self) -> None:
        """End requests of all threads: who waits for an answer gets an error."""
        with self._guard:
            for connection in self._used:
                if connection.sock is not None:
                    with suppress(OSError):
                        connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close all that wait, and those in use when they come back; idempotent."""
        with self._guard:
            self._closed = True
        self.drop()

    def drop(self) -> None:
        """Close all that wait."""
        with self._guard:
            waiting, self._waiting = self._waiting, []
        for connection in waiting:
            connection.close()
