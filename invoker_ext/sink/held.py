"""What the rest of the invoker holds of a datum: a reference-counted value. See `invoker_ext.sink` for its life."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from action_runtime.wire.values import Head
from invoker_ext.sink.errors import InvalidTransition
from invoker_ext.sink.segments import read_all

_RELEASED: Final = "a datum was used after its last reference was released"
_EXPIRED: Final = "a datum was used after its run had ended and its time was over"


class Inline:
    """A small value: its bytes are in this process. Implements `Stored`."""

    elsewhere: Final = False

    __slots__ = ("__weakref__", "_free", "_owner", "_references", "head", "inline", "size_bytes")

    def __init__(self, head: Head, data: bytes, owner: str, free: Callable[[str, int], None]) -> None:
        self.head: Final = head
        self.inline: Final[bytes | None] = data
        self.size_bytes: Final = len(data)
        self._owner = owner
        self._free = free
        self._references = 1

    @property
    def held(self) -> bool:
        """Whether it may be used by who remembers it without a reference."""
        return self._references > 0

    def retain(self) -> None:
        """Add a reference."""
        if not self._references:
            raise InvalidTransition(_RELEASED)
        self._references += 1

    def release(self) -> None:
        """Drop a reference; with the last one the bytes are no longer counted."""
        if not self._references:
            raise InvalidTransition(_RELEASED)
        self._references -= 1
        if not self._references:
            self._free(self._owner, self.size_bytes)

    def descriptor(self) -> int:
        """Small values have none.

        Raises:
            InvalidTransition: Always.
        """
        raise InvalidTransition("a value below the knee has no descriptor")

    def read(self) -> bytes:
        """Return the bytes; does not copy."""
        data = self.inline
        return data if data is not None else b""


class Kept:
    """A value in a sealed segment, or in the file it was spilled to. Implements `Stored`."""

    elsewhere: Final = False

    __slots__ = ("__weakref__", "_close", "_descriptor", "_references", "head", "inline", "key", "size_bytes")

    def __init__(self, key: int, head: Head, descriptor: int, close: Callable[[Kept, int], None]) -> None:
        """Take over a descriptor.

        Args:
            key: Its name in the ledger.
            head: What the bytes are.
            descriptor: Read-only; owned by this object.
            close: Called once, with the last release: closes the descriptor and tells the ledger.
        """
        self.key: Final = key
        self.head: Final = head
        self.size_bytes: Final = head.size_bytes
        self.inline: Final[bytes | None] = None
        self._descriptor = descriptor
        self._close = close
        self._references = 1

    @property
    def held(self) -> bool:
        """Whether it may be used by who remembers it without a reference."""
        return self._references > 0 and self._descriptor >= 0

    def retain(self) -> None:
        """Add a reference."""
        if not self._references:
            raise InvalidTransition(_RELEASED)
        if self._descriptor < 0:
            raise InvalidTransition(_EXPIRED)
        self._references += 1

    def release(self) -> None:
        """Drop a reference; with the last one the descriptor is closed and the bytes are gone."""
        if not self._references:
            raise InvalidTransition(_RELEASED)
        self._references -= 1
        if not self._references:
            self._close(self, self._descriptor)

    def descriptor(self) -> int:
        """Return a read-only descriptor of the segment or the spill file; valid until released, not to be closed."""
        if not self._references:
            raise InvalidTransition(_RELEASED)
        if self._descriptor < 0:
            raise InvalidTransition(_EXPIRED)
        return self._descriptor

    def read(self) -> bytes:
        """Return the bytes; copies them once."""
        return read_all(self.descriptor(), self.size_bytes)

    def move_to(self, descriptor: int) -> int:
        """Swap in the descriptor of the spill file, return the one of the segment; the caller closes it."""
        old, self._descriptor = self._descriptor, descriptor
        return old
