"""How much of a datum may be under way. Pure."""

from __future__ import annotations

from typing import Final

from action_runtime.wire.errors import ProtocolViolation

PART_BYTES: Final = 2 * 1024 * 1024
"""Most bytes in one frame: then the sender looks whether it has credit, and whether the other side is still there."""


class Window:
    """The receiver's side: grants again what it has put away, a quarter at a time."""

    def __init__(self, bytes_left: int, credit_bytes: int) -> None:
        """Begin to receive.

        Args:
            bytes_left: Of the datum.
            credit_bytes: What may be under way.
        """
        self.first_bytes: Final = min(credit_bytes, bytes_left)
        self._ungranted = bytes_left - self.first_bytes
        self._step = max(credit_bytes // 4, 1)
        self._due = 0

    def took(self, size_bytes: int) -> int:
        """Count bytes that were put away; return how many are to be granted now, or 0."""
        self._due += size_bytes
        if self._due < self._step or not self._ungranted:
            return 0
        grant = min(self._due, self._ungranted)
        self._ungranted -= grant
        self._due = 0
        return grant


class Allowance:
    """The sender's side of one datum."""

    def __init__(self, offset: int, size_bytes: int, granted_bytes: int) -> None:
        """Begin to send.

        Args:
            offset: Of the first byte to send.
            size_bytes: Of the datum.
            granted_bytes: What may be sent before anything is granted.

        Raises:
            ProtocolViolation: The numbers contradict each other.
        """
        if not 0 <= offset < size_bytes or not 0 < granted_bytes <= size_bytes - offset:
            raise ProtocolViolation("a datum is asked for from beyond its end, or with too much credit")
        self.at = offset
        self._size_bytes = size_bytes
        self._until = offset + granted_bytes

    @property
    def over(self) -> bool:
        """Whether all was sent."""
        return self.at == self._size_bytes

    def grant(self, size_bytes: object) -> None:
        """Take credit; raises ProtocolViolation."""
        if type(size_bytes) is not int or size_bytes <= 0 or self._until + size_bytes > self._size_bytes:
            raise ProtocolViolation("more credit than the datum has bytes")
        self._until += size_bytes

    def next_bytes(self) -> int:
        """Return how many bytes go into the next part; 0: there is no credit."""
        return min(self._until - self.at, PART_BYTES)

    def sent(self, size_bytes: int) -> None:
        """Count bytes that left."""
        self.at += size_bytes
