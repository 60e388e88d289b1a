"""The bytes that an answer of the peer door carries beside its fields."""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod


class Body(ABC):
    """Readable at any offset, so that a pull can be resumed; closed by the door when the answer is over."""

    size_bytes: int
    """Of the whole, whatever part is asked for."""

    @abstractmethod
    async def read(self, offset: int, count: int) -> bytes | memoryview:
        """Return `count` bytes from `offset` on.

        Raises:
            OSError: The bytes cannot be read.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the bytes; idempotent."""


class BytesBody(Body):
    """Bytes in memory; no copy before the socket."""

    def __init__(self, content: bytes | memoryview) -> None:
        self._view = memoryview(content)
        self.size_bytes = len(self._view)

    async def read(self, offset: int, count: int) -> memoryview:
        """See `Body.read`."""
        return self._view[offset : offset + count]

    def close(self) -> None:
        """See `Body.close`; the socket may still hold a view."""
        self._view = memoryview(b"")


class FileBody(Body):
    """A range of a file or of a sealed segment."""

    def __init__(self, descriptor: int, offset: int, size_bytes: int) -> None:
        """Take over a descriptor.

        Args:
            descriptor: Readable; owned, closed with the body.
            offset: Where the range begins.
            size_bytes: Of the range.
        """
        self._descriptor = descriptor
        self._offset = offset
        self.size_bytes = size_bytes

    async def read(self, offset: int, count: int) -> bytes | memoryview:
        """See `Body.read`; copies once. If the disk must be waited for, a thread does."""
        content = at_hand(self._descriptor, self._offset + offset, count)
        if content is not None:
            return content
        waited = await asyncio.to_thread(os.pread, self._descriptor, count, self._offset + offset)
        if len(waited) < count:
            raise OSError("the file is shorter than it was")
        return waited

    def close(self) -> None:
        """See `Body.close`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def at_hand(descriptor: int, offset: int, count: int) -> memoryview | None:
    """Return so many bytes of a file if the system has them in memory; None: the disk must be waited for."""
    content = bytearray(count)
    try:
        whole = os.preadv(descriptor, [content], offset, os.RWF_NOWAIT) == count
    except OSError:  # it must be waited for, or this file system cannot say
        return None
    return memoryview(content) if whole else None
