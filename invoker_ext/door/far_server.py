"""A door for callers of other hosts: the same calls as at the Unix socket, after the greeting of hosts."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable
from typing import Any, Final

from action_runtime.wire.errors import DataflowError
from action_runtime.wire.frames import Frame
from invoker_ext.door.connection import Address, PeerConnection, accept
from invoker_ext.door.credentials import Credentials
from invoker_ext.door.errors import CannotListen, PeerRefused
from invoker_ext.door.greeting import Accepting, Name, Use
from invoker_ext.door.listener import Listener
from invoker_ext.door.server import Calls, Door

GREETING_S: Final = 3.0
STRANGERS: Final = 64
"""Connections at a time that are not authenticated yet; one more is closed at once."""
MAX_CALLERS: Final = 1024
"""Connections at a time; one more is refused. A worker of a controller has one a call."""


class FarDoor:
    """Lets callers of other hosts in at a door. They are closed with it."""

    def __init__(self, door: Door, me: Name, credentials: Credentials) -> None:
        """Begin without callers.

        Args:
            door: Whose calls are answered.
            me: Our name.
            credentials: That all hosts share.
        """
        self._door = door
        self._me = me
        self._credentials = credentials
        self._callers: set[_FarConnection] = set()
        self._accepting: set[asyncio.Task[None]] = set()

    def take(self, sock: socket.socket, left: Callable[[], None]) -> None:
        """Serve a connection from behind its first bytes on.

        Args:
            sock: Owned.
            left: Called when its caller is authenticated, or gone before.
        """
        greeting = Accepting(self._me, Use.DOOR, secrets.token_hex(16), self._credentials, self._admit)
        connection = _FarConnection(greeting, self._door, self._callers, left)
        work = accept(connection, sock, self._credentials, GREETING_S)
        task = asyncio.get_running_loop().create_task(work, name="door-accept")
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    def _admit(self, name: Name, terms: dict[str, Any]) -> dict[str, Any]:
        if len(self._callers) >= MAX_CALLERS:
            raise PeerRefused("too many callers at this door")
        return {}


class FarListener:
    """Listens for callers of other hosts at one door, where there are no other peers: a controller."""

    def __init__(self, address: Address, door: FarDoor) -> None:
        self._address = address
        self._door = door
        self._listener = Listener(address, self._take, STRANGERS, GREETING_S)

    def start(self) -> Address:
        """Listen; return host and port; raises CannotListen."""
        try:
            return self._listener.start()
        except OSError as error:
            raise CannotListen("{}:{}".format(*self._address), error.strerror or str(error)) from error

    async def close(self) -> None:
        """Stop listening; idempotent."""
        await self._listener.close()

    def _take(self, sock: socket.socket, use: Use) -> None:
        if use is Use.DOOR:
            self._door.take(sock, self._listener.left)
        else:
            sock.close()
            self._listener.left()


class _FarConnection(PeerConnection):
    """One caller."""

    def __init__(self, greeting: Accepting, door: Door, callers: set[_FarConnection], left: Callable[[], None]) -> None:
        super().__init__(greeting, GREETING_S)
        self._open_calls = door.open_calls
        self._callers = callers
        self._left: Callable[[], None] | None = left
        self._calls = Calls(self, door.handlers)
        self._open_calls.add(self._calls)

    def on_greeted(self) -> None:
        super().on_greeted()
        self._callers.add(self)
        self._leave()

    def on_message(self, frame: Frame) -> None:
        self._calls.take(frame)

    def on_lost(self) -> None:
        super().on_lost()
        self._callers.discard(self)
        self._leave()
        self._open_calls.discard(self._calls)
        self._calls.lost()

    def on_gone(self, error: DataflowError) -> None:
        """Nothing more than `on_lost` does."""

    def pause_writing(self) -> None:
        super().pause_writing()
        self._calls.pause()

    def on_resumed(self) -> None:
        self._calls.resume()

    def _leave(self) -> None:
        left, self._left = self._left, None
        if left is not None:
            left()
