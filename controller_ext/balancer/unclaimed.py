"""Completions of runs that this balancer knows nothing of: it was restarted while they ran. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from invoker_ext.bus import Message

MAX_BYTES: Final = 32 * 1024 * 1024
KEEP_S: Final = 60.0
"""Longer than a worker needs to connect again and ask."""


class Unclaimed:
    """Oldest first; bounded in bytes and time. What falls out is still in the activation store."""

    def __init__(self) -> None:
        self._messages: OrderedDict[str, tuple[float, Message]] = OrderedDict()
        self._bytes = 0

    def keep(self, activation_id: str, message: Message, now: float) -> None:
        """Hold a completion; the first of an activation wins."""
        if activation_id in self._messages or len(message.payload) > MAX_BYTES:
            return
        self._messages[activation_id] = (now, message)
        self._bytes += len(message.payload)
        while self._bytes > MAX_BYTES:
            self._drop_oldest()

    def claim(self, activation_id: str) -> Message | None:
        """Hand out, and forget, a completion."""
        found = self._messages.pop(activation_id, None)
        if found is None:
            return None
        self._bytes -= len(found[1].payload)
        return found[1]

    def expire(self, now: float) -> None:
        """Forget what nobody has asked for in time."""
        while self._messages and now - next(iter(self._messages.values()))[0] > KEEP_S:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, (_, message) = self._messages.popitem(last=False)
        self._bytes -= len(message.payload)
