"""The server of the local bus: topics in the memory of one process, which uses them itself by `LocalHub.endpoint`.

Frames, after PEER_HELLO (meta; the payload is the message's, untouched):

| frame | from | meta |
| --- | --- | --- |
| PUBLISH | client | `{"t": topic, "k": the client's count in this topic, "h": headers}` |
| SUBSCRIBE | client | `{"t", "o": last offset it committed, or -1}`; replaces the topic's consumer |
| DELIVER | hub | `{"t", "o": offset, "h"}` |
| COMMIT | client | `{"t", "o"}` all up to this offset are taken care of |
| COMMIT | hub | `{"t", "k"}` all up to this count are kept; or `{"t", "k", "error"}` this one was refused |

A topic in SHARED has any number of readers: each gets what comes while it is connected, and nobody commits.

Memory only: the death of the hub loses no message, because publishers keep theirs until a consumer has committed them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from action_runtime.wire.codec import encode, encode_head
from action_runtime.wire.errors import DataflowError, ProtocolViolation
from action_runtime.wire.frames import Frame, FrameKind
from invoker_ext.bus import Bus, BusUnavailable, Message
from invoker_ext.buses.outbox import Kept, Outbox
from invoker_ext.buses.topic import Entry, Topic
from invoker_ext.door.framed import AdmittedProtocol, listen

logger = logging.getLogger(__name__)

MAX_TOPIC_MESSAGES: Final = 100_000
MAX_TOPIC_BYTES: Final = 256 * 1024 * 1024
SHARED: Final = frozenset({"health"})
"""Topics of which only the newest counts."""
_UNREAD: Final = 100
"""Messages of such a topic that are kept until there is a first reader."""


class _Party(Protocol):
    """Whoever publishes or consumes: a connection, or the hub's own process."""

    paused: bool

    def deliver(self, topic: str, message: Message) -> None: ...

    def kept(self, topic: str, number: int) -> None: ...

    def refused(self, topic: str, number: int, error: DataflowError) -> None: ...


class LocalHub:
    """Owns the topics. One consumer a topic, unless it is shared: the newest SUBSCRIBE wins."""

    def __init__(self, *, max_topic_messages: int = MAX_TOPIC_MESSAGES, max_topic_bytes: int = MAX_TOPIC_BYTES) -> None:
        self._max_messages = max_topic_messages
        self._max_bytes = max_topic_bytes
        # Offsets of one hub are above those of every hub before it, so that a late COMMIT from before a restart commits
        # nothing. Microseconds since 1970 outrun any rate of messages and fit into a double.
        self._first_offset = time.time_ns() // 1000
        self._topics: dict[str, Topic] = {}
        self._consumers: dict[str, _Party] = {}
        self._readers: dict[str, dict[_Party, None]] = {topic: {} for topic in SHARED}
        self._unread: dict[str, deque[Message]] = {topic: deque(maxlen=_UNREAD) for topic in SHARED}
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self.endpoint = HubEndpoint(self)

    async def start(self, path: Path, token: str) -> None:
        """Listen on a Unix socket; raises OSError if it cannot be made."""
        self._server = await listen(path, lambda: _Connection(self, self._connections, token))

    async def close(self) -> None:
        """Disconnect all clients; idempotent. They keep what is not kept."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for connection in list(self._connections):
            connection.close()
        if server is not None:
            await server.wait_closed()

    def put(self, party: _Party, topic: str, message: Message, number: int) -> Entry | None:
        """Take a message from a publisher; None: it cannot be withdrawn, the publisher knows what became of it."""
        if topic in SHARED:
            self._share(topic, message)
            party.kept(topic, number)
            return None
        entry = self._topic(topic).put(message, party, number)
        if entry is None:
            party.refused(topic, number, BusUnavailable(f"topic {topic} is full: nobody takes its messages"))
        else:
            self.pump(topic)
        return entry

    def subscribe(self, party: _Party, topic: str, committed: int = -1) -> None:
        """Make this party the topic's consumer and deliver all it has not committed; or one of several readers."""
        if topic in SHARED:
            self._readers[topic][party] = None
            unread, self._unread[topic] = self._unread[topic], deque(maxlen=_UNREAD)
            for message in unread:
                party.deliver(topic, message)
            return
        self._consumers[topic] = party
        self._topic(topic).rewind()
        if committed >= 0:
            # What it committed on a connection that broke. Everything delivered to it stands in front after the rewind.
            self._keep(topic, self._topic(topic).commit_waiting(committed))
        self.pump(topic)

    def leave(self, party: _Party) -> None:
        """Forget a party that is gone; its topics wait for the next consumer."""
        for topic in [topic for topic, consumer in self._consumers.items() if consumer is party]:
            del self._consumers[topic]
        for readers in self._readers.values():
            readers.pop(party, None)

    def commit(self, topic: str, offset: int) -> None:
        """Forget committed messages and tell their publishers."""
        if topic in SHARED:
            return
        self._keep(topic, self._topic(topic).commit(offset))

    def withdraw(self, topic: str, entry: Entry) -> bool:
        """Take an undelivered message back; False if a consumer may have seen it."""
        return self._topic(topic).withdraw(entry)

    def pump(self, topic: str) -> None:
        """Deliver what waits, as far as the consumer reads."""
        consumer = self._consumers.get(topic)
        waiting = self._topic(topic)
        while consumer is not None and not consumer.paused and (entry := waiting.take()) is not None:
            consumer.deliver(topic, entry.message)

    def resumed(self, party: _Party) -> None:
        """Go on delivering to a consumer that was too slow."""
        for topic, consumer in list(self._consumers.items()):
            if consumer is party:
                self.pump(topic)

    def _share(self, topic: str, message: Message) -> None:
        """Deliver a message to all readers but those that are too slow; the next one is as good."""
        readers = self._readers[topic]
        if not readers:
            self._unread[topic].append(message)
        for reader in list(readers):
            if not reader.paused:
                reader.deliver(topic, message)

    def _keep(self, topic: str, entries: list[Entry]) -> None:
        highest: dict[_Party, int] = {}
        for entry in entries:
            highest[entry.publisher] = entry.number
        for publisher, number in highest.items():
            publisher.kept(topic, number)

    def _topic(self, name: str) -> Topic:
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(self._first_offset, self._max_messages, self._max_bytes)
        return topic


class HubEndpoint(Bus):
    """The hub's own process on the bus."""

    paused = False

    def __init__(self, hub: LocalHub) -> None:
        self._hub = hub
        self._outbox = Outbox(MAX_TOPIC_MESSAGES, MAX_TOPIC_BYTES)
        self._handlers: dict[str, Callable[[Message], None]] = {}

    async def start(self) -> None:
        """Return at once: the hub is here."""

    def publish(self, topic: str, message: Message, kept: Kept | None = None) -> None:
        """See `Bus.publish`."""
        self.post(topic, message, kept)

    def post(self, topic: str, message: Message, kept: Kept | None = None) -> Entry | None:
        """Publish, and return what `LocalHub.withdraw` takes back; None: refused, `kept` was told."""
        number = self._outbox.add(topic, message, kept)
        if number is None:
            if kept is not None:
                kept(BusUnavailable("too many messages wait to be kept"))
            return None
        return self._hub.put(self, topic, message, number)

    def withdraw(self, topic: str, entry: Entry) -> bool:
        """Take back a message that no consumer has seen; its `kept` is not called any more. False: too late."""
        if not self._hub.withdraw(topic, entry):
            return False
        self._outbox.drop(topic, entry.number)
        return True

    def subscribe(self, topic: str, on_message: Callable[[Message], None]) -> None:
        """See `Bus.subscribe`."""
        self._handlers[topic] = on_message
        self._hub.subscribe(self, topic)

    def commit(self, topic: str, offset: int, then: Callable[[], None] | None = None) -> None:
        """See `Bus.commit`."""
        self._hub.commit(topic, offset)
        if then is not None:
            then()

    async def close(self) -> None:
        """Leave all topics; idempotent."""
        self._hub.leave(self)

    def deliver(self, topic: str, message: Message) -> None:
        """The hub's call."""
        self._handlers[topic](message)

    def kept(self, topic: str, number: int) -> None:
        """The hub's call."""
        self._outbox.kept(topic, number)

    def refused(self, topic: str, number: int, error: DataflowError) -> None:
        """The hub's call."""
        self._outbox.failed(topic, number, error)


class _Connection(AdmittedProtocol):
    """One client."""

    def __init__(self, hub: LocalHub, connections: set[_Connection], token: str) -> None:
        super().__init__(token)
        self._hub = hub
        self._connections = connections
        connections.add(self)

    def on_call(self, frame: Frame) -> None:
        meta = frame.meta
        topic, number, headers = meta.get("t"), meta.get("k"), meta.get("h")
        if not isinstance(topic, str):
            raise ProtocolViolation(f"{frame.kind.name} names no topic")
        if frame.kind is FrameKind.PUBLISH and type(number) is int and isinstance(headers, dict):
            self._hub.put(self, topic, Message(frame.payload, headers), number)
            return
        offset = meta.get("o")
        if type(offset) is not int:
            raise ProtocolViolation(f"a field of {frame.kind.name} is missing or wrong")
        if frame.kind is FrameKind.COMMIT:
            self._hub.commit(topic, offset)
        elif frame.kind is FrameKind.SUBSCRIBE:
            self._hub.subscribe(self, topic, offset)
        else:
            raise ProtocolViolation(f"{frame.kind.name} is not for the bus")

    def deliver(self, topic: str, message: Message) -> None:
        payload = message.payload
        meta = {"t": topic, "o": message.offset, "h": message.headers}
        self.send(encode_head(FrameKind.DELIVER, meta, len(payload)), payload)

    def kept(self, topic: str, number: int) -> None:
        self.send(encode(FrameKind.COMMIT, {"t": topic, "k": number}))

    def refused(self, topic: str, number: int, error: DataflowError) -> None:
        self.send(encode(FrameKind.COMMIT, {"t": topic, "k": number, "error": str(error)}))

    def on_resumed(self) -> None:
        self._hub.resumed(self)

    def on_lost(self) -> None:
        self._connections.discard(self)
        self._hub.leave(self)
