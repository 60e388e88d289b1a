"""The messages between two hosts across breaks of their connection: none lost, none twice, all in order. Pure.

Each side has a *life*, which changes whenever it forgets the other one. Two sides that meet again and still know each
other's life go on where they were: each tells how many messages it has taken, and the other sends what follows. If
either does not know the other's life, both begin anew. Messages carry no number: a connection is ordered, and both
sides know with which message it begins.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from action_runtime.wire.errors import ProtocolViolation
from invoker_ext.peers.errors import QueueFull

_ACK_MESSAGES: Final = 64
_ACK_BYTES: Final = 256 * 1024


class Conversation:
    """Our side of it."""

    def __init__(self, life: str, most_messages: int, most_bytes: int) -> None:
        """Begin without having met the other side.

        Args:
            life: Ours; never used before.
            most_messages: Bound of those that are not confirmed.
            most_bytes: The same in bytes.
        """
        self._life = life
        self._theirs: str | None = None
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._waiting: deque[bytes] = deque()  # said and not confirmed; the first has number `_confirmed`
        self._waiting_bytes = 0
        self._confirmed = 0
        self._taken = 0
        self._told = 0  # of `_taken`
        self._untold_bytes = 0

    @property
    def met(self) -> bool:
        """Whether the other side was ever met in this life."""
        return self._theirs is not None

    @property
    def waiting(self) -> int:
        """Messages that are not confirmed."""
        return len(self._waiting)

    def opening(self) -> dict[str, Any]:
        """Return what the other side is told as a connection is made; nothing may be taken between this and `meet`."""
        return {"life": self._life, "knows": self._theirs, "taken": self._taken}

    def resumes(self, opening: dict[str, Any]) -> bool:
        """Return whether both sides still know each other and have taken no more than was said."""
        if opening["life"] != self._theirs or opening["knows"] != self._life:
            return False
        taken: int = opening["taken"]
        return self._confirmed <= taken <= self._confirmed + len(self._waiting)

    def meet(self, opening: dict[str, Any]) -> list[bytes]:
        """Take what the other side tells; return the messages that it lacks, to be sent now.

        If the two had met before and do not resume, `forget` must be called first.
        """
        if self.resumes(opening):
            self.confirmed(opening["taken"])
        else:
            self._theirs = opening["life"]
            self._confirmed = self._taken = 0
        self._told, self._untold_bytes = self._taken, 0
        return list(self._waiting)

    def say(self, message: bytes) -> None:
        """Keep a message until it is confirmed; raises QueueFull."""
        if len(self._waiting) >= self._most_messages or self._waiting_bytes + len(message) > self._most_bytes:
            raise QueueFull(len(self._waiting), self._waiting_bytes)
        self._waiting.append(message)
        self._waiting_bytes += len(message)

    def take(self, size_bytes: int) -> bool:
        """Count a message that came; return whether it is time to confirm."""
        self._taken += 1
        self._untold_bytes += size_bytes
        return self._taken - self._told >= _ACK_MESSAGES or self._untold_bytes >= _ACK_BYTES

    def confirm(self) -> int:
        """Return how many messages were taken, which the other side is told now."""
        self._told, self._untold_bytes = self._taken, 0
        return self._taken

    def confirmed(self, count: object) -> None:
        """Let go of messages that the other side has taken; raises ProtocolViolation."""
        if type(count) is not int or not self._confirmed <= count <= self._confirmed + len(self._waiting):
            raise ProtocolViolation("messages were confirmed that were never sent")
        while self._confirmed < count:
            self._waiting_bytes -= len(self._waiting.popleft())
            self._confirmed += 1

    def renew(self, life: str) -> None:
        """Begin another life, in which the other side was never met."""
        self._life = life
        self.forget()

    def forget(self) -> None:
        """Forget the other side and all that was said and not confirmed; for when it has begun another life."""
        self._theirs = None
        self._waiting.clear()
        self._waiting_bytes = self._confirmed = self._taken = self._told = self._untold_bytes = 0


def read_opening(meta: dict[str, Any]) -> dict[str, Any]:
    """Return what the other side tells, checked; raises ProtocolViolation."""
    life, knows, taken = meta.get("life"), meta.get("knows"), meta.get("taken")
    if not isinstance(life, str) or not isinstance(knows, str | None) or type(taken) is not int or taken < 0:
        raise ProtocolViolation("the opening of a conversation is malformed")
    return {"life": life, "knows": knows, "taken": taken}
