"""The bus on Kafka as its users see it, on their loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from kafka.errors import KafkaError

from invoker_ext.bus import Bus, BusUnavailable, Message
from invoker_ext.buses.address import KafkaAddress
from invoker_ext.buses.kafka.making import TopicMaker
from invoker_ext.buses.kafka.publisher import Posted, Publisher
from invoker_ext.buses.kafka.reader import Reader
from invoker_ext.buses.kafka.topics import MAX_MESSAGE_BYTES, Topic, topic as stock_topic
from invoker_ext.buses.outbox import Kept, Outbox

logger = logging.getLogger(__name__)

START_S: Final = 25.0
"""How long `start` waits for Kafka, which may be starting too."""
RETRY_S: Final = 0.5
MAX_UNKEPT_MESSAGES: Final = 50_000
MAX_UNKEPT_BYTES: Final = 128 * 1024 * 1024


class KafkaBus(Bus):
    """A message is kept once Kafka has it; then it waits for its consumer as long as Kafka retains it.

    `publish`, `subscribe` and `commit` never block and work while Kafka is away.
    """

    max_message_bytes = MAX_MESSAGE_BYTES

    def __init__(
        self,
        address: KafkaAddress,
        *,
        topics: Sequence[str],
        max_messages: int = MAX_UNKEPT_MESSAGES,
        max_bytes: int = MAX_UNKEPT_BYTES,
    ) -> None:
        """Connect nothing yet.

        Args:
            address: Of Kafka.
            topics: Made by `start`, before anybody is told that this process is there.
            max_messages: Bound of messages that Kafka does not have yet; at it `publish` answers BusUnavailable.
            max_bytes: The same in bytes of payload.
        """
        self._address = address
        self._own = topics
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(max_messages, max_bytes)
        self._maker = TopicMaker(address)
        self._publisher = Publisher(address, self._maker, self._settled_elsewhere)
        self._readers: dict[str, Reader] = {}
        self._topics: dict[str, Topic] = {}
        self._closed = False
        # The library tells of every attempt to connect, several times; what comes of them is told by the threads.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)

    async def start(self, within_s: float = START_S) -> None:
        """See `Bus.start`; raises BusUnavailable after about `within_s` seconds."""
        give_up = self._loop.time() + within_s
        own = [self._topic(name) for name in self._own]
        while True:
            try:
                await asyncio.to_thread(self._maker.ensure, own)
                break
            except KafkaError as error:
                if self._loop.time() >= give_up:
                    where = ",".join(self._address.servers)
                    secured = self._address.tls is not None or self._address.sasl is not None
                    perhaps = (
                        ", or it does not take our user, password or certificate, or we not its" if secured else ""
                    )
                    raise BusUnavailable(f"no kafka at {where} within {within_s:g} s{perhaps}: {error!r}") from error
            await asyncio.sleep(RETRY_S)
        self._publisher.start()

    def publish(self, topic: str, message: Message, kept: Kept | None = None) -> None:
        """See `Bus.publish`."""
        self.post(topic, message, kept)

    def post(self, topic: str, message: Message, kept: Kept | None = None) -> Posted | None:
        """Publish, and return what `withdraw` takes back; None: refused, `kept` was told."""
        number = self._outbox.add(topic, message, kept)
        if number is None:
            if kept is not None:
                kept(BusUnavailable("too many messages wait to be kept"))
            return None
        posted = Posted(self._topic(topic), topic, number, message)
        self._publisher.put(posted)
        return posted

    def withdraw(self, topic: str, entry: Posted) -> bool:
        """Take back a message that has not left; its `kept` is not called any more. False: too late."""
        if not self._publisher.withdraw(entry):
            return False
        self._outbox.drop(topic, entry.number)
        return True

    def subscribe(self, topic: str, on_message: Callable[[Message], None]) -> None:
        """See `Bus.subscribe`; of `health` and `cacheInvalidation` only what is sent from now on is delivered."""
        reader = Reader(self._address, self._maker, self._topic(topic), on_message)
        self._readers[topic] = reader
        reader.start()

    def commit(self, topic: str, offset: int, then: Callable[[], None] | None = None) -> None:
        """See `Bus.commit`."""
        self._readers[topic].commit(offset, then)

    async def close(self) -> None:
        """See `Bus.close`."""
        if self._closed:
            return
        self._closed = True
        await asyncio.gather(
            *(asyncio.to_thread(reader.close) for reader in self._readers.values()),
            asyncio.to_thread(self._publisher.close),
        )

    def _topic(self, name: str) -> Topic:
        found = self._topics.get(name)
        if found is None:
            found = self._topics[name] = stock_topic(name, self._address.prefix)
        return found

    def _settled_elsewhere(self, topic: str, number: int, error: Exception | None) -> None:
        """Hear from a thread what became of a message."""
        self._loop.call_soon_threadsafe(self._settled, topic, number, error)

    def _settled(self, topic: str, number: int, error: Exception | None) -> None:
        one = self._outbox.drop(topic, number)
        if one is not None and one.kept is not None:
            one.kept(error)
