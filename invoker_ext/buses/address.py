"""Where a bus is, as settings write it: empty for the local one, `kafka://HOST:PORT,…` for Kafka. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_SCHEME: Final = "kafka://"
_SERVER: Final = re.compile(r"(\[[0-9a-fA-F:]+\]|[\w.-]+):(\d{1,5})")
_PREFIX: Final = re.compile(r"[\w.-]*", re.ASCII)


@dataclass(slots=True, frozen=True, kw_only=True)
class KafkaAddress:
    """How to reach a Kafka.

    Attributes:
        servers: `HOST:PORT` of brokers to begin with.
        prefix: Put before the name of every topic but `events`, as stock does.
        replicas: Of topics that we make.
    """

    servers: tuple[str, ...]
    prefix: str = ""
    replicas: int = 1


def kafka_servers(bus: str) -> tuple[str, ...]:
    """Return the brokers that a setting names; none: the local bus. Raises ValueError."""
    if not bus:
        return ()
    servers = tuple(bus.removeprefix(_SCHEME).split(","))
    if not bus.startswith(_SCHEME) or not all(_reachable(server) for server in servers):
        raise ValueError(bus)
    return servers


def problem_of_bus(bus: str) -> str | None:
    """Return what is wrong with a setting that names a bus; None: nothing."""
    try:
        kafka_servers(bus)
    except ValueError:
        return f"must be empty or kafka://HOST:PORT,…, is {bus!r}"
    return None


def problem_of_prefix(prefix: str) -> str | None:
    """Return what is wrong with a setting that begins the names of topics; None: nothing."""
    if _PREFIX.fullmatch(prefix):
        return None
    return f"may have letters, digits, dot, dash and underscore, is {prefix!r}"


def _reachable(server: str) -> bool:
    found = _SERVER.fullmatch(server)
    return found is not None and 0 < int(found[2]) < 65536
