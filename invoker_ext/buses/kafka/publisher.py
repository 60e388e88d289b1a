"""The thread that hands messages to the producer, and what becomes of them."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from invoker_ext.bus import BusUnavailable, Message, MessageTooLarge
from invoker_ext.buses.address import KafkaAddress
from invoker_ext.buses.kafka.making import CONNECT_MS, RECONNECT_MS, REQUEST_MS, TopicMaker, reach
from invoker_ext.buses.kafka.security import client_options
from invoker_ext.buses.kafka.topics import MAX_MESSAGE_BYTES, Topic

logger = logging.getLogger(__name__)

HEADER: Final = "dataflower"
"""Record header with what our routers need, as JSON; stock's readers look at values alone."""
METADATA_MS: Final = 15_000
RETRY_S: Final = 0.2
BLOCK_MS: Final = 20
"""How long a message may wait for metadata that the producer has lost, on the loop."""
CLOSE_S: Final = 5.0
OVERHEAD_BYTES: Final = 2048
"""Of a batch of one record: its own fields and our header. A stock broker's bound counts them."""

Settled = Callable[[str, int, Exception | None], None]


@dataclass(slots=True, eq=False)
class Posted:
    """A message on its way.

    Attributes:
        key: Its topic as the bus's users name it.
        number: Their count.
    """

    topic: Topic
    key: str
    number: int
    message: Message


class Publisher:
    """One producer and its thread.

    The producer is idempotent: what it sends again after a connection broke is stored once, in order. Stock sends
    with `acks=1` and gives up on a time-out, so as not to send twice; we need not lose either.
    """

    def __init__(self, address: KafkaAddress, maker: TopicMaker, settled: Settled) -> None:
        """Start nothing yet.

        Args:
            address: Of Kafka.
            maker: For topics that we are the first to write to.
            settled: Told, from any thread, what became of a message.
        """
        self._address = address
        self._maker = maker
        self._settled = settled
        self._waiting: deque[Posted] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._producer: Any = None
        """Guarded: who takes messages at once; None: they wait for the thread, as some wait already."""
        self._known: set[str] = set()
        """Guarded: topics of which the producer has the metadata."""
        self._thread = threading.Thread(target=self._run, name="kafka-publisher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, posted: Posted) -> None:
        """Hand over a message; never blocks for longer than BLOCK_MS. Bounded by who calls.

        The producer gets it here, without the thread, if it is there, knows the topic and has all that came before.
        """
        with self._changed:
            if self._producer is not None and posted.topic.name in self._known:
                try:
                    self._send(self._producer, posted)
                except KafkaError:
                    self._known.discard(posted.topic.name)  # the thread waits for what is missing
                else:
                    return
            self._waiting.append(posted)
            self._changed.notify()

    def withdraw(self, posted: Posted) -> bool:
        """Take back what the producer does not have yet."""
        with self._changed:
            if posted not in self._waiting:
                return False
            self._waiting.remove(posted)
            return True

    def close(self) -> None:
        """Send what waits, for a bounded time; blocks."""
        self._closing.set()
        with self._changed:
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(2 * CLOSE_S)

    def _run(self) -> None:
        producer: Any = None
        reached = True
        while (posted := self._next(producer)) is not None:
            try:
                if producer is None:
                    producer = self._connect()
                self._maker.ensure([posted.topic])
                self._learn(producer, posted.topic.name)
                self._send(producer, posted)
                reached = True
            except KafkaError as error:
                # Nothing of it is at the producer: it is the first to go when Kafka is there.
                if reached:
                    logger.warning("kafka cannot be reached: messages wait", extra={"error": str(error)})
                reached = False
                if self._closing.wait(RETRY_S):
                    break
                with self._changed:
                    self._waiting.appendleft(posted)
        if producer is not None:
            try:
                producer.flush(timeout=CLOSE_S)
            except KafkaError as error:
                logger.warning("messages are left at the stop", extra={"error": str(error)})
            producer.close(timeout=CLOSE_S)

    def _next(self, producer: Any) -> Posted | None:
        """Wait for a message; None: the bus is closing and all are handed over.

        While none waits, who hands them over may give them to the producer.
        """
        with self._changed:
            if not self._waiting:
                self._producer = producer
            self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
            self._producer = None
            return self._waiting.popleft() if self._waiting else None

    def _learn(self, producer: KafkaProducer, topic: str) -> None:
        """Wait for the metadata of a topic; raises KafkaError."""
        give_up = time.monotonic() + CONNECT_MS / 1000
        while topic not in self._known:
            try:
                producer.partitions_for(topic)
            except KafkaTimeoutError:
                if time.monotonic() >= give_up:
                    raise
            else:
                with self._changed:
                    self._known.add(topic)

    def _connect(self) -> KafkaProducer:
        reach(self._address)
        return KafkaProducer(
            bootstrap_servers=list(self._address.servers),
            **client_options(self._address),
            bootstrap_timeout_ms=CONNECT_MS,
            acks="all",
            enable_idempotence=True,
            max_request_size=MAX_MESSAGE_BYTES + OVERHEAD_BYTES,
            max_block_ms=BLOCK_MS,
            request_timeout_ms=REQUEST_MS,
            metadata_max_age_ms=METADATA_MS,
            reconnect_backoff_max_ms=RECONNECT_MS,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )

    def _send(self, producer: KafkaProducer, posted: Posted) -> None:
        message = posted.message
        headers = [(HEADER, json.dumps(message.headers, separators=(",", ":")).encode())] if message.headers else []
        try:
            future = producer.send(posted.topic.name, value=bytes(message.payload), headers=headers)
        except MessageSizeTooLargeError as error:
            self._failed(posted, error)
            return
        future.add_callback(partial(self._kept, posted))
        future.add_errback(partial(self._failed, posted))

    def _kept(self, posted: Posted, _metadata: object) -> None:
        self._settled(posted.key, posted.number, None)

    def _failed(self, posted: Posted, error: Exception) -> None:
        text = f"kafka did not take a message for {posted.topic.name}: {error!r}"
        kind = MessageTooLarge if isinstance(error, MessageSizeTooLargeError) else BusUnavailable
        self._settled(posted.key, posted.number, kind(text))
