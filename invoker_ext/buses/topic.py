"""One topic of the local bus, in memory. Pure: who publishes and who consumes is up to `local.py`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from invoker_ext.bus import Message


@dataclass(slots=True, eq=False)
class Entry:
    """A message that its consumer has not committed.

    Attributes:
        message: With its offset.
        publisher: Whom to tell when it is kept; opaque here.
        number: The publisher's own count for this topic, growing.
        delivered: A consumer has seen it, perhaps one that died since.
        withdrawn: The publisher took it back before it was delivered.
    """

    message: Message
    publisher: Any
    number: int
    delivered: bool = False
    withdrawn: bool = False


class Topic:
    """Messages in order: first those that were delivered and not committed, then those that wait.

    Bounded in count and bytes; at the bound `put` refuses.
    """

    def __init__(self, first_offset: int, max_messages: int, max_bytes: int) -> None:
        """Make an empty topic.

        Args:
            first_offset: Of the first message; above every offset that an earlier hub gave.
            max_messages: ≥ 1.
            max_bytes: Bound of all payloads; a single larger message is refused.
        """
        self._next_offset = first_offset
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._bytes = 0
        self._delivered: deque[Entry] = deque()
        self._waiting: deque[Entry] = deque()

    def __len__(self) -> int:
        return len(self._delivered) + len(self._waiting)

    @property
    def size_bytes(self) -> int:
        """Of all payloads in it."""
        return self._bytes

    def put(self, message: Message, publisher: object, number: int) -> Entry | None:
        """Append a message; None: the bound is reached."""
        size = len(message.payload)
        if len(self) >= self._max_messages or self._bytes + size > self._max_bytes:
            return None
        entry = Entry(Message(message.payload, message.headers, self._next_offset), publisher, number)
        self._next_offset += 1
        self._bytes += size
        self._waiting.append(entry)
        return entry

    def take(self) -> Entry | None:
        """Return the next message to deliver, None if there is none."""
        waiting = self._waiting
        while waiting:
            entry = waiting.popleft()
            if not entry.withdrawn:
                entry.delivered = True
                self._delivered.append(entry)
                return entry
        return None

    def commit(self, offset: int) -> list[Entry]:
        """Forget, and return, all delivered messages up to and including this offset."""
        done: list[Entry] = []
        delivered = self._delivered
        while delivered and delivered[0].message.offset <= offset:
            entry = delivered.popleft()
            self._bytes -= len(entry.message.payload)
            done.append(entry)
        return done

    def commit_waiting(self, offset: int) -> list[Entry]:
        """Like `commit`, for messages that were delivered before a rewind."""
        done: list[Entry] = []
        waiting = self._waiting
        while waiting and waiting[0].delivered and waiting[0].message.offset <= offset:
            entry = waiting.popleft()
            self._bytes -= len(entry.message.payload)
            done.append(entry)
        return done

    def rewind(self) -> None:
        """Have everything that was not committed delivered again: the consumer is a new one."""
        self._waiting.extendleft(reversed(self._delivered))
        self._delivered.clear()

    def withdraw(self, entry: Entry) -> bool:
        """Take a message back; False if a consumer may have seen it."""
        if entry.delivered or entry.withdrawn:
            return False
        entry.withdrawn = True
        self._bytes -= len(entry.message.payload)
        entry.message = Message(b"", {}, entry.message.offset)
        while self._waiting and self._waiting[-1].withdrawn:
            self._waiting.pop()
        return True
