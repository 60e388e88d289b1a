"""Who an invoker is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, kw_only=True)
class Identification:
    """Names of one invoker.

    Attributes:
        topic: Where its messages come from.
        instance: Stock InvokerInstanceId.
        door: Name of its peer door; set once more when it listens for other hosts.
        events: Stock's user events are told.
        stock_acks: Plain actions are acknowledged as a stock controller expects it; else in one message of our own.
    """

    topic: str
    instance: dict[str, Any]
    door: str
    stock_acks: bool = False
    events: bool = False
