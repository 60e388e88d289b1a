"""Who an invoker is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from invoker_ext.door.places import FarPlace, read_place


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

    @property
    def door_is_far(self) -> bool:
        """Controllers of other hosts reach the door."""
        return isinstance(read_place(self.door), FarPlace)
