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


class MessageTooLarge(DataflowError):
    """The bus takes no message of this size, ever."""

    code = "bus-message-too-large"


@dataclass(slots=True, frozen=True)
class Message:
    """One message of a topic.

    Attributes:
        payload: Never looked at by the bus; must not change.
        headers: Small JSON object for routers.
        offset: Position in the topic, given by the bus; grows by one.
        repeated: An earlier life of this consumer may have taken care of it and died before that was noted.
    """

    payload: bytes | memoryview
    headers: dict[str, Any] = field(default_factory=dict)
    offset: int = -1
    repeated: bool = False


class Bus(ABC):
    """One process's door to the bus."""

    max_message_bytes: int | None = None
    """Bound of a payload; None: there is none of the bus's own."""

    @abstractmethod
    async def start(self) -> None:
        """Connect; returns once the bus can be used. Raises BusUnavailable after a bounded wait."""

    @abstractmethod
    def publish(self, topic: str, message: Message, kept: Callable[[Exception | None], None] | None = None) -> None:
        """Hand over a message; `kept(None)` is called once it is safe, `kept(error)` if it cannot be made so.

        Safe means: it survives the death of any one process. Kafka says so when it has it; the local bus when the
        consumer has committed it.
        """

    def flush(self) -> None:  # noqa: B027 - most have nothing that waits
        """Let what was published leave, if it would wait for the end of the loop's turn."""

    @abstractmethod
    def subscribe(self, topic: str, on_message: Callable[[Message], None]) -> None:
        """Call `on_message` on the loop for every message from the last committed offset on."""

    @abstractmethod
    def commit(self, topic: str, offset: int, then: Callable[[], None] | None = None) -> None:
        """All messages up to and including this offset are taken care of. Cumulative.

        Args:
            topic: Of the messages.
            offset: Of the last one.
            then: Called once a later life of this consumer gets none of them again; not called if that cannot be
                reached: they come again. The local bus calls it at once.
        """

    @abstractmethod
    async def close(self) -> None:
        """Send what is buffered, then disconnect; idempotent."""
