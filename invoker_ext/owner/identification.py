"""Who an invoker is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, frozen=True, kw_only=True)
class Identification:
    """Names of one invoker.

    Attributes:
        topic: Where its messages come from.
        instance: Stock InvokerInstanceId (spec/openwhisk-internals.md §1.4).
        door: Address of its peer door.
    """

    topic: str
    instance: dict[str, Any]
    door: str
