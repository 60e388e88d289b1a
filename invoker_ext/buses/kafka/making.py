"""Makes topics that are not there. Blocks: for the bus's own threads."""

from __future__ import annotations

import logging
import socket
import threading
from typing import Final

from kafka import KafkaAdminClient
from kafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError

from invoker_ext.buses.address import KafkaAddress
from invoker_ext.buses.kafka.security import client_options
from invoker_ext.buses.kafka.topics import Topic

logger = logging.getLogger(__name__)

REQUEST_MS: Final = 30_000
CONNECT_MS: Final = 5_000
PROBE_S: Final = 2.0
RECONNECT_MS: Final = 500
"""Longest pause between two attempts to connect: a Kafka that was started again is found within it."""


def reach(address: KafkaAddress) -> None:
    """Return if a broker takes connections; raises KafkaConnectionError.

    To be called before a client is made: one that cannot connect is told late, and leaves descriptors behind.
    """
    for server in address.servers:
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), PROBE_S).close()
        except OSError:
            continue
        return
    raise KafkaConnectionError(f"no broker at {','.join(address.servers)}")


class TopicMaker:
    """Knows which topics are there. Thread-safe."""

    def __init__(self, address: KafkaAddress) -> None:
        self._address = address
        self._there: set[str] = set()
        self._lock = threading.Lock()

    def ensure(self, topics: list[Topic]) -> None:
        """Make those that are not there, with one partition each; those that are there stay as they are.

        Raises:
            KafkaError: Kafka cannot be reached, or refuses.
        """
        # One at a time: two threads that want the same topic would both ask for it.
        with self._lock:
            missing = [topic for topic in topics if topic.name not in self._there]
            if not missing:
                return
            reach(self._address)
            admin = KafkaAdminClient(
                bootstrap_servers=list(self._address.servers),
                **client_options(self._address),
                bootstrap_timeout_ms=CONNECT_MS,
                request_timeout_ms=REQUEST_MS,
                reconnect_backoff_max_ms=RECONNECT_MS,
            )
            try:
                there = set(admin.list_topics())
                for topic in missing:
                    if topic.name not in there:
                        self._make(admin, topic)
                    self._there.add(topic.name)
            finally:
                admin.close()

    def _make(self, admin: KafkaAdminClient, topic: Topic) -> None:
        wanted = {"num_partitions": 1, "replication_factor": self._address.replicas, "configs": topic.settings}
        try:
            admin.create_topics({topic.name: wanted}, wait_for_metadata=True)
        except TopicAlreadyExistsError:
            return  # another process was faster
        except KafkaError as error:
            logger.warning("topic cannot be made", extra={"topic": topic.name, "error": str(error)})
            raise
        logger.info("topic made", extra={"topic": topic.name})
