"""The local bus as a process other than the hub's sees it: one Unix socket. Frames: see `local_hub.py`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from action_runtime.wire.codec import encode, encode_head
from action_runtime.wire.errors import DataflowError, ProtocolViolation
from action_runtime.wire.frames import Frame, FrameKind
from invoker_ext.bus import Bus, BusUnavailable, Message
from invoker_ext.buses.outbox import Kept, Outbox
from invoker_ext.door import hello
from invoker_ext.door.framed import FramedProtocol

logger = logging.getLogger(__name__)

CONNECT_S: Final = 15.0
"""How long `start` waits for the hub: the whole start-up of a slow machine."""
MAX_UNKEPT_MESSAGES: Final = 50_000
MAX_UNKEPT_BYTES: Final = 128 * 1024 * 1024
_FIRST_WAIT_S: Final = 0.005
_LONGEST_WAIT_S: Final = 0.5


class LocalBus(Bus):
    """Connects to the hub, and again whenever the connection breaks; sends what is not kept again.

    `publish`, `subscribe` and `commit` never block and work while disconnected.
    """

    def __init__(
        self,
        path: Path,
        *,
        token: str,
        role: hello.Role,
        max_messages: int = MAX_UNKEPT_MESSAGES,
        max_bytes: int = MAX_UNKEPT_BYTES,
    ) -> None:
        """Connect nothing yet.

        Args:
            path: The hub's socket.
            token: The installation's secret.
            role: What this process is.
            max_messages: Bound of messages that are not kept; at it `publish` answers BusUnavailable.
            max_bytes: The same in bytes of payload.
        """
        self._path = path
        self._hello = hello.call_hello(role, token)
        self._outbox = Outbox(max_messages, max_bytes)
        self._handlers: dict[str, Callable[[Message], None]] = {}
        self._committed: dict[str, int] = {}
        self._dirty: set[str] = set()
        self._connection: _Connection | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self, within_s: float = CONNECT_S) -> None:
        """See `Bus.start`; raises BusUnavailable after `within_s` seconds."""
        try:
            async with asyncio.timeout(within_s):
                await self._connect()
        except TimeoutError as error:
            raise BusUnavailable(f"no bus at {self._path} within {within_s:g} s") from error
        self._keeper = asyncio.create_task(self._keep_connected(), name="local-bus")

    def publish(self, topic: str, message: Message, kept: Kept | None = None) -> None:
        """See `Bus.publish`; at the bound `kept` hears BusUnavailable."""
        number = self._outbox.add(topic, message, kept)
        if number is None:
            if kept is not None:
                kept(BusUnavailable("too many messages wait to be kept"))
            return
        if self._connection is not None:
            self._connection.publish(topic, number, message)

    def flush(self) -> None:
        """See `Bus.flush`."""
        if self._connection is not None:
            self._connection.flush()

    def subscribe(self, topic: str, on_message: Callable[[Message], None]) -> None:
        """See `Bus.subscribe`."""
        self._handlers[topic] = on_message
        if self._connection is not None:
            self._connection.subscribe(topic, self._committed.get(topic, -1))

    def commit(self, topic: str, offset: int, then: Callable[[], None] | None = None) -> None:
        """See `Bus.commit`; the commits of one turn of the loop leave as one."""
        self._committed[topic] = max(offset, self._committed.get(topic, -1))
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._send_commits)
        self._dirty.add(topic)
        if then is not None:
            then()

    async def close(self) -> None:
        """See `Bus.close`."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])
        connection, self._connection = self._connection, None
        if connection is not None:
            self._send_commits(connection)
            connection.close()
            await connection.lost.wait()

    def received(self, topic: str, message: Message) -> None:
        """Hand a delivered message to its handler; the connection's call."""
        handler = self._handlers.get(topic)
        if handler is not None:
            handler(message)

    def acknowledged(self, topic: str, number: int, error: str | None) -> None:
        """Settle published messages; the connection's call."""
        if error is None:
            self._outbox.kept(topic, number)
        else:
            self._outbox.failed(topic, number, BusUnavailable(error))

    def _send_commits(self, connection: _Connection | None = None) -> None:
        connection = connection or self._connection
        if connection is not None:
            for topic in self._dirty:
                connection.commit(topic, self._committed[topic])
        self._dirty.clear()

    async def _keep_connected(self) -> None:
        while True:
            connection = self._connection
            if connection is not None:
                await connection.lost.wait()
                logger.warning("bus connection lost", extra={"path": str(self._path)})
                self._connection = None
            await self._connect()
            logger.info("bus connected again", extra={"path": str(self._path)})

    async def _connect(self) -> None:
        """Connect; tries for as long as the caller lets it."""
        loop = asyncio.get_running_loop()
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                _, connection = await loop.create_unix_connection(lambda: _Connection(self), str(self._path))
            except OSError:
                # Nobody is there yet, or not any more: the supervisor is starting it.
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
                continue
            connection.send(self._hello)
            await connection.answered.wait()
            if connection.refusal is None and connection.connected:
                self._introduce(connection)
                return
            if connection.refusal is not None:
                logger.error("the bus refused this process", extra={"error": str(connection.refusal)})
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _introduce(self, connection: _Connection) -> None:
        for topic, one in self._outbox.unkept():
            connection.publish(topic, one.number, one.message)
        for topic in self._handlers:
            connection.subscribe(topic, self._committed.get(topic, -1))
        self._connection = connection


class _Connection(FramedProtocol):
    """One connection to the hub."""

    def __init__(self, bus: LocalBus) -> None:
        super().__init__()
        self._bus = bus
        self.answered = asyncio.Event()
        self.lost = asyncio.Event()
        self.refusal: DataflowError | None = None

    def publish(self, topic: str, number: int, message: Message) -> None:
        payload = message.payload
        meta = {"t": topic, "k": number, "h": message.headers}
        self.send(encode_head(FrameKind.PUBLISH, meta, len(payload)), payload)

    def subscribe(self, topic: str, committed: int) -> None:
        self.send(encode(FrameKind.SUBSCRIBE, {"t": topic, "o": committed}))

    def commit(self, topic: str, offset: int) -> None:
        self.send(encode(FrameKind.COMMIT, {"t": topic, "o": offset}))

    def on_frame(self, frame: Frame) -> None:
        meta = frame.meta
        if not self.answered.is_set():
            try:
                hello.accepted(frame)
            except DataflowError as error:
                self.refusal = error
                raise
            finally:
                self.answered.set()
            return
        topic = meta.get("t")
        if not isinstance(topic, str):
            raise ProtocolViolation(f"{frame.kind.name} names no topic")
        if frame.kind is FrameKind.DELIVER and type(meta.get("o")) is int:
            self._bus.received(topic, Message(frame.payload, meta.get("h") or {}, meta["o"]))
        elif frame.kind is FrameKind.COMMIT and type(meta.get("k")) is int:
            self._bus.acknowledged(topic, meta["k"], meta.get("error"))
        else:
            raise ProtocolViolation(f"{frame.kind.name} is malformed, or not for a client of the bus")

    def on_lost(self) -> None:
        self.answered.set()
        self.lost.set()
