"""Where peers knock: looks at the first four bytes of a connection and hands it to whoever they are for."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Final

from invoker_ext.door.connection import Address, prepare
from invoker_ext.door.greeting import Use

_log = logging.getLogger(__name__)

_BACKLOG: Final = 128
_USE_BYTES: Final = 4
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
REST_S: Final = 1.0
"""After no descriptor, or no memory, was left for a connection."""

Taken = Callable[[socket.socket, Use], None]


class Listener:
    """A socket of its own on the invoker's loop, where a stranger costs a descriptor, a task and some bytes."""

    def __init__(self, address: Address, taken: Taken, strangers: int, greeting_s: float) -> None:
        """Make one that does not listen yet.

        Args:
            address: Host and port; port 0: any.
            taken: Takes a connection, and owns it; `left` must follow when it is authenticated or gone.
            strangers: Connections at a time for which `left` was not called yet.
            greeting_s: How long the first bytes may take.
        """
        self._address = address
        self._taken = taken
        self._most = strangers
        self._greeting_s = greeting_s
        self._strangers = 0
        self._sock: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._resting: asyncio.TimerHandle | None = None

    def start(self) -> Address:
        """Listen; return host and port; raises OSError."""
        host, port = self._address
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._sock = sock = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        sock.setblocking(False)
        asyncio.get_running_loop().add_reader(sock.fileno(), self._knock)
        return host, int(sock.getsockname()[1])

    async def close(self) -> None:
        """Stop listening; idempotent. Connections that were taken stay."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        if self._resting is not None:
            self._resting.cancel()
        asyncio.get_running_loop().remove_reader(sock.fileno())
        sock.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def left(self) -> None:
        """Hear that a connection is authenticated, or gone before it was."""
        self._strangers -= 1

    def _knock(self) -> None:
        assert self._sock is not None
        try:
            sock, where = self._sock.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                _log.warning("no connection can be accepted", extra={"error": str(error)})
                self._rest()
            return  # else nobody is there any more
        if self._strangers >= self._most:
            _log.warning("too many connections that are not authenticated", extra={"address": str(where[0])})
            sock.close()
            return
        prepare(sock)
        self._strangers += 1
        task = asyncio.get_running_loop().create_task(self._look(sock, f"{where[0]}:{where[1]}"), name="peer-knock")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _rest(self) -> None:
        """Ask no more for a while: who knocks still waits, and the loop would do nothing but ask."""
        assert self._sock is not None
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sock.fileno())
        self._resting = loop.call_later(REST_S, loop.add_reader, self._sock.fileno(), self._knock)

    async def _look(self, sock: socket.socket, where: str) -> None:
        loop = asyncio.get_running_loop()
        first = b""
        try:
            async with asyncio.timeout(self._greeting_s):
                while len(first) < _USE_BYTES:
                    some = await loop.sock_recv(sock, _USE_BYTES - len(first))
                    if not some:
                        break
                    first += some
            use = Use(first)
        except (OSError, ValueError) as error:  # a TimeoutError is an OSError
            reason = "no peer's first bytes" if isinstance(error, ValueError) else str(error) or "too late"
            _log.warning("peer not accepted", extra={"address": where, "error": reason})
            self.left()
            sock.close()
        except BaseException:
            self.left()
            sock.close()
            raise
        else:
            self._taken(sock, use)
