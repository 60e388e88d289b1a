"""What one publisher has handed to the local bus and not yet heard to be kept. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from invoker_ext.bus import Message

Kept = Callable[[Exception | None], None]


class Unkept(NamedTuple):
    """A message on its way."""

    number: int
    message: Message
    kept: Kept | None


class Outbox:
    """Per topic, in order; bounded in count and bytes over all topics."""

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._topics: dict[str, deque[Unkept]] = {}
        self._numbers: dict[str, int] = {}
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    def add(self, topic: str, message: Message, kept: Kept | None) -> int | None:
        """Note a message; return its number in the topic, None at the bound."""
        size = len(message.payload)
        if self._count >= self._max_messages or self._bytes + size > self._max_bytes:
            return None
        number = self._numbers.get(topic, 0) + 1
        self._numbers[topic] = number
        self._topics.setdefault(topic, deque()).append(Unkept(number, message, kept))
        self._count += 1
        self._bytes += size
        return number

    def kept(self, topic: str, number: int) -> None:
        """Tell the publishers of all messages up to this number that theirs is safe."""
        waiting = self._topics.get(topic)
        while waiting and waiting[0].number <= number:
            one = waiting.popleft()
            self._forget(one)
            if one.kept is not None:
                one.kept(None)

    def failed(self, topic: str, number: int, error: Exception) -> None:
        """Tell the publisher of this one message that it cannot be made safe."""
        one = self.drop(topic, number)
        if one is not None and one.kept is not None:
            one.kept(error)

    def drop(self, topic: str, number: int) -> Unkept | None:
        """Forget, and return, one message; nobody is told."""
        waiting = self._topics.get(topic, deque())
        for one in waiting:
            if one.number == number:
                waiting.remove(one)
                self._forget(one)
                return one
        return None

    def unkept(self) -> Iterator[tuple[str, Unkept]]:
        """Return all messages, in order inside each topic, for sending them again."""
        for topic, waiting in self._topics.items():
            for one in waiting:
                yield topic, one

    def _forget(self, one: Unkept) -> None:
        self._count -= 1
        self._bytes -= len(one.message.payload)
