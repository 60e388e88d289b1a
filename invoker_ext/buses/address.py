"""Where a bus is, as settings write it: empty for the local one, `kafka://HOST:PORT,…` for Kafka. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_SERVER: Final = r"(?:\[[0-9a-fA-F:]+\]|[\w.-]+):(?P<port>\d{1,5})"
_BUS: Final = re.compile(
    r"kafka://(?P<servers>[^?/]+)(?:\?(?:prefix=(?P<prefix>[\w.-]*))?&?(?:replicas=(?P<replicas>[1-9]\d?))?)?", re.ASCII
)
FORM: Final = "kafka://HOST:PORT,…[?prefix=TOPICS_BEGIN_SO&replicas=OF_TOPICS_MADE]"


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


def kafka_address(bus: str) -> KafkaAddress | None:
    """Return the Kafka that a setting names; None: the local bus. Raises ValueError."""
    if not bus:
        return None
    found = _BUS.fullmatch(bus)
    servers = tuple(found["servers"].split(",")) if found is not None else ()
    if found is None or not all(map(_reachable, servers)):
        raise ValueError(f"not {FORM}: {bus!r}")
    return KafkaAddress(servers=servers, prefix=found["prefix"] or "", replicas=int(found["replicas"] or 1))


def problem_of_bus(bus: str) -> str | None:
    """Return what is wrong with a setting that names a bus; None: nothing."""
    try:
        kafka_address(bus)
    except ValueError:
        return f"must be empty or {FORM}, is {bus!r}"
    return None


def _reachable(server: str) -> bool:
    found = re.fullmatch(_SERVER, server, re.ASCII)
    return found is not None and 0 < int(found["port"]) < 65536
