"""The thread that reads one topic and commits what its consumer has taken care of."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from invoker_ext.bus import Message
from invoker_ext.buses.address import KafkaAddress
from invoker_ext.buses.kafka.making import CONNECT_MS, RECONNECT_MS, REQUEST_MS, TopicMaker, reach
from invoker_ext.buses.kafka.publisher import HEADER, METADATA_MS
from invoker_ext.buses.kafka.security import client_options
from invoker_ext.buses.kafka.topics import MAX_MESSAGE_BYTES, Topic

logger = logging.getLogger(__name__)

BATCH: Final = 128
"""Messages handed to the loop at a time; stock's `maxPeek` of controllers."""
POLL_MS: Final = 100
"""How long a poll waits; the stop waits as long."""
NEWEST_POLL_MS: Final = 400
"""The same of topics that come every second; each poll costs a process three changes of thread."""
FETCH_MS: Final = 2_000
"""How long Kafka keeps a request for messages that are not there; what comes is sent at once."""
COMMIT_MS: Final = 5_000
RETRY_S: Final = 0.2
REST_S: Final = 0.003
"""Between what was read and the next poll, which costs about a millisecond of the interpreter: the first steps of a run
took half as long again beside it. What comes meanwhile is read in one go."""
COMMIT_EVERY_S: Final = 0.2
"""Between two commits that nobody waits for: each costs Kafka a write, and what comes again is recognised."""
MAX_COMMITS: Final = 4
"""Under way at a time: one more than the library takes on a connection is an error."""
MAX_UNCOMMITTED: Final = 10_000
"""So many are handed over and not committed at most: a consumer that takes no more is sent no more."""


class Reader:
    """One topic, all its partitions; the consumer is not a member of its group.

    A member that was killed is missed only when its session is over, and its group then comes together anew: 30 s
    and more in which nobody reads. One topic has one reader here, so partitions are taken without asking; the group is
    only the name under which offsets are committed.
    """

    def __init__(
        self, address: KafkaAddress, maker: TopicMaker, topic: Topic, on_message: Callable[[Message], None]
    ) -> None:
        """Start nothing yet; `on_message` is called on the loop that runs now."""
        self._address = address
        self._maker = maker
        self._topic = topic
        self._on_message = on_message
        self._loop = asyncio.get_running_loop()
        self._closing = threading.Event()
        self._lock = threading.Condition()
        self._wanted = -1
        """Guarded: up to which number the consumer has committed."""
        self._after: list[Callable[[], None]] = []
        """Guarded: what waits for that and is in no commit under way."""
        self._commits: list[_Commit] = []
        """Guarded: those under way, oldest first."""
        self._positions: deque[tuple[int, TopicPartition, int]] = deque()
        """Guarded: number, partition and offset of messages that were handed over and are not committed."""
        self._asked = -1
        """Up to which number Kafka was asked to commit."""
        self._next_commit = 0.0
        self._commits_pass = True
        self._number = 0
        self._reads = True
        """The topic could be read when that was last tried: an outage is told once."""
        self._thread = threading.Thread(target=self._run, name=f"kafka-{topic.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def commit(self, number: int, then: Callable[[], None] | None) -> None:
        """See `Bus.commit`; never blocks. Of a topic that is read from its end on nothing comes again."""
        if self._topic.newest:
            if then is not None:
                self._loop.call_soon(then)
            return
        with self._lock:
            self._wanted = max(self._wanted, number)
            if then is not None:
                self._after.append(then)

    def close(self) -> None:
        """Commit what can be, and end; blocks for a bounded time."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(2 * COMMIT_MS / 1000)

    def _run(self) -> None:
        while not self._closing.is_set():
            consumer: Any = None
            try:
                self._maker.ensure([self._topic])
                consumer = self._connect()
                self._read(consumer)
            except KafkaError as error:
                if self._reads:
                    logger.warning("topic cannot be read", extra={"topic": self._topic.name, "error": repr(error)})
                self._reads = False
                self._start_over()
                self._closing.wait(RETRY_S)
            finally:
                if consumer is not None:
                    consumer.close(autocommit=False, timeout_ms=1000)

    def _connect(self) -> KafkaConsumer:
        reach(self._address)
        return KafkaConsumer(
            bootstrap_servers=list(self._address.servers),
            **client_options(self._address),
            bootstrap_timeout_ms=CONNECT_MS,
            client_id=f"consumer-{self._topic.name}",
            group_id=self._topic.group,
            enable_auto_commit=False,
            auto_offset_reset="latest" if self._topic.newest else "earliest",
            max_poll_records=BATCH,
            max_partition_fetch_bytes=2 * MAX_MESSAGE_BYTES,
            fetch_max_wait_ms=FETCH_MS,
            request_timeout_ms=REQUEST_MS,
            metadata_max_age_ms=METADATA_MS,
            reconnect_backoff_max_ms=RECONNECT_MS,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )

    def _read(self, consumer: KafkaConsumer) -> None:
        name = self._topic.name
        partitions = [TopicPartition(name, number) for number in sorted(consumer.partitions_for_topic(name) or {0})]
        consumer.assign(partitions)
        ends: dict[TopicPartition, int] = consumer.end_offsets(partitions)
        self._reads = True
        poll_ms = POLL_MS
        if self._topic.newest:
            consumer.seek_to_end(*partitions)
            poll_ms = NEWEST_POLL_MS
        while not self._closing.is_set():
            self._commit(consumer)
            if len(self._positions) >= MAX_UNCOMMITTED:
                self._next_commit = 0.0
                self._closing.wait(POLL_MS / 1000)
                continue
            batch: list[Message] = []
            for partition, records in consumer.poll(timeout_ms=poll_ms).items():
                for record in records:
                    old = record.offset < ends[partition]
                    batch.append(Message(record.value or b"", _headers(record.headers), self._number, old))
                    if not self._topic.newest:
                        with self._lock:
                            self._positions.append((self._number, partition, record.offset))
                    self._number += 1
            if batch:
                self._hand_over(batch)
                self._rest()
        self._commit_last(consumer)

    def _hand_over(self, batch: list[Message]) -> None:
        """Have the loop take a batch, and wait for it: what it commits then goes out at once."""
        taken = threading.Event()

        def take() -> None:
            for message in batch:
                try:
                    self._on_message(message)
                except Exception:  # the consumer's supervisor: the others of the batch are not to be passed over
                    logger.exception("message not handled", extra={"topic": self._topic.name})
            taken.set()

        self._loop.call_soon_threadsafe(take)
        while not taken.wait(POLL_MS / 1000):
            if self._closing.is_set():
                return

    def _rest(self) -> None:
        """Leave the interpreter to the loop, which has just begun a run, unless somebody waits for a commit."""
        with self._lock:
            if self._after:
                return
        self._closing.wait(REST_S)

    def _commit(self, consumer: Any) -> None:
        """Ask Kafka to commit what is due; who waits for it hears from the library's own thread."""
        with self._lock:
            if not self._after and (self._wanted <= self._asked or time.monotonic() < self._next_commit):
                return
            if len(self._commits) >= MAX_COMMITS:
                self._lock.wait(COMMIT_MS / 1000)
            offsets, up_to = self._offsets(), self._wanted
            commit = _Commit(up_to, self._after)
            self._after = []
            if offsets:
                self._commits.append(commit)
        if not offsets:  # what they wait for is committed
            self._tell(commit)
            return
        self._asked, self._next_commit = up_to, time.monotonic() + COMMIT_EVERY_S
        future = consumer.commit_async(offsets)
        future.add_callback(partial(self._committed, commit))
        future.add_errback(partial(self._not_committed, commit))

    def _commit_last(self, consumer: Any) -> None:
        """Commit what the consumer has taken care of, and wait for it."""
        with self._lock:
            offsets, up_to = self._offsets(), self._wanted
            commit = _Commit(up_to, self._after)
            self._after = []
        if offsets:
            try:
                consumer.commit(offsets, timeout_ms=COMMIT_MS)
            except KafkaError as error:
                logger.warning("offset is not committed", extra={"topic": self._topic.name, "error": repr(error)})
                return
        self._tell(commit)

    def _offsets(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """Return what to commit; guarded."""
        offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        for number, partition, offset in self._positions:
            if number > self._wanted:
                break
            offsets[partition] = OffsetAndMetadata(offset + 1, "", -1)
        return offsets

    def _committed(self, commit: _Commit, coordinator: object) -> None:
        """Hear from the library's thread, by `coordinator` that it has only found out whom to ask."""
        with self._lock:
            if commit not in self._commits:
                return
            self._commits.remove(commit)
            if coordinator is not None:
                self._again(commit)
                return
            self._commits_pass = True
            while self._positions and self._positions[0][0] <= commit.up_to:
                self._positions.popleft()
            self._lock.notify()
        self._tell(commit)

    def _not_committed(self, commit: _Commit, error: Exception) -> None:
        """Hear from the library's thread; it is asked for again after the next poll. An outage is told once."""
        if self._commits_pass:
            logger.warning("offset is not committed", extra={"topic": self._topic.name, "error": repr(error)})
        self._commits_pass = False
        with self._lock:
            if commit in self._commits:
                self._commits.remove(commit)
                self._again(commit)
            self._lock.notify()

    def _again(self, commit: _Commit) -> None:
        """Have a commit be asked for once more; guarded."""
        self._after = commit.after + self._after
        self._asked = -1

    def _start_over(self) -> None:
        """Forget what an earlier consumer of the library was doing.

        Numbers go on, so that a commit of what was handed over before commits nothing of what comes now. Who waits for
        one is told: it may have been done, and then the messages do not come again.
        """
        with self._lock:
            commits, self._commits = self._commits, []
            for commit in reversed(commits):
                self._again(commit)
            self._positions.clear()

    def _tell(self, commit: _Commit) -> None:
        for then in commit.after:
            self._loop.call_soon_threadsafe(then)


@dataclass(slots=True, eq=False)
class _Commit:
    """One under way.

    Attributes:
        up_to: Number of the last message.
        after: Who waits for it.
    """

    up_to: int
    after: list[Callable[[], None]]


def _headers(found: Any) -> dict[str, Any]:
    for name, value in found or ():
        if name == HEADER:
            try:
                headers = json.loads(value)
            except ValueError:
                break
            return headers if isinstance(headers, dict) else {}
    return {}
