"""Stock's topics: how they are made and who reads them how. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

MAX_MESSAGE_BYTES: Final = 1024 * 1024 + 6068
"""Stock's megabyte of payload and what is around it."""
_SEGMENT_BYTES: Final = 512 * 1024 * 1024
_RETENTION_BYTES: Final = 1024 * 1024 * 1024
_HOUR_MS: Final = 3_600_000
_RETENTION_MS: Final = MappingProxyType(
    {
        "cacheInvalidation": 300_000,
        "completed": _HOUR_MS,
        "events": _HOUR_MS,
        "health": _HOUR_MS,
        "invoker": 48 * _HOUR_MS,
    }
)
_LARGE: Final = frozenset({"completed", "invoker"})
_NEWEST: Final = frozenset({"cacheInvalidation", "controllers", "health"})


@dataclass(slots=True, frozen=True)
class Topic:
    """One topic as one process sees it.

    Attributes:
        name: Of the topic in Kafka, with the prefix.
        settings: With which it is made if it is not there.
        group: In whose name its offsets are committed; None: they are not.
        newest: A reader begins with what comes after it; what was sent before is over.
    """

    name: str
    settings: dict[str, str]
    group: str | None
    newest: bool


def topic(name: str, prefix: str) -> Topic:
    """Return a topic.

    Args:
        name: Without a prefix: `invoker0`, `completed0`, `health`, ….
        prefix: Of the installation; `events` never has it.
    """
    kind = _kind(name)
    full = name if kind == "events" else prefix + name
    settings = {
        "segment.bytes": str(_SEGMENT_BYTES),
        "retention.bytes": str(_RETENTION_BYTES),
        "retention.ms": str(_RETENTION_MS.get(kind, _HOUR_MS)),
    }
    if kind in _LARGE:
        settings["max.message.bytes"] = str(MAX_MESSAGE_BYTES)
    newest = kind in _NEWEST
    return Topic(full, settings, None if newest else full, newest)


def _kind(name: str) -> str:
    found = re.fullmatch(r"invoker\d+", name)
    if found is not None:
        return "invoker"
    return "completed" if name.startswith("completed") else name
