"""How controllers and invokers talk: topics of bytes with headers. Implementations are in `buses/`.

Lives on one asyncio loop; nothing here blocks it. Order is kept inside a topic. Delivery is at least once: consumers
are idempotent by activation id.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from action_runtime.wire.errors import DataflowError


class BusUnavailable(DataflowError):
    """The bus cannot take the message now: nobody is there, or its bound is reached."""

    code = "bus-unavailable"
    retryable = True


@dataclass(slots=True, frozen=True)
class Message:
    """One message of a topic.

    Attributes:
        payload: Never looked at by the bus; must not change.
        headers: Small JSON object for routers.
        offset: Position in the topic, given by the bus; grows by one.
    """

    payload: bytes | memoryview
    headers: dict[str, Any] = field(default_factory=dict)
    offset: int = -1


class Bus(ABC):
    """One process's door to the bus."""

    @abstractmethod
    async def start(self) -> None:
        """Connect; returns once the bus can be used. Raises BusUnavailable after a bounded wait."""

    @abstractmethod
    def publish(self, topic: str, message: Message, kept: Callable[[Exception | None], None] | None = None) -> None:
        """Hand over a message; `kept(None)` is called once it is safe, `kept(error)` if it cannot be made so.

        Safe means: it survives the death of any one process. A bus with a disk says so when it has written; the local
        bus when the
        consumer has committed it.
        """

    @abstractmethod
    def subscribe(self, topic: str, on_message: Callable[[Message], None]) -> None:
        """Call `on_message` on the loop for every message from the last committed offset on."""

    @abstractmethod
    def commit(self, topic: str, offset: int) -> None:
        """All messages up to and including this offset are taken care of. Cumulative."""

    @abstractmethod
    async def close(self) -> None:
        """Send what is buffered, then disconnect; idempotent."""
