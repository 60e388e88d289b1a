"""The file objects that user code reads streamed inputs from and writes streamed outputs to."""

from __future__ import annotations

import io

from action_runtime.serde import as_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from _typeshed import ReadableBuffer, WriteableBuffer


class InputFile(io.RawIOBase):
    """A readable binary file over the parts of an input.

    `read` and `readinto` see one run of bytes: of bytes-like parts their bytes, of text its UTF-8, of anything else its
    JSON text. Iterating gives what is left of the current part, then each part as the value it is.
    """

    def __init__(self, name: str, parts: Iterator[Any]) -> None:
        super().__init__()
        self.name = name
        self._parts = parts
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Copy what is there, at most as much as fits; wait only if nothing is. Returns 0 at the end."""
        while not self._rest:
            try:
                self._rest = as_bytes(next(self._parts))
            except StopIteration:
                return 0
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def __iter__(self) -> InputFile:
        return self

    def __next__(self) -> Any:
        if self._rest:
            rest, self._rest = self._rest, memoryview(b"")
            return rest
        return next(self._parts)

    def close(self) -> None:
        """Let go of the part in hand. Idempotent."""
        self._rest = memoryview(b"")
        super().close()


class OutputFile(io.RawIOBase):
    """A writable binary file whose bytes leave in parts."""

    def __init__(
        self, name: str, chunk_bytes: int, send: Callable[[bytes], None], closed: Callable[[OutputFile], None]
    ) -> None:
        if chunk_bytes < 1:
            raise ValueError(f"chunk_bytes must be at least 1, not {chunk_bytes}")
        super().__init__()
        self.name = name
        self._chunk_bytes = chunk_bytes
        self._send = send
        self._on_close = closed
        self._pending = bytearray()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Take all of `data`, copied; send each part that is full. Blocks as `emit` does."""
        if self.closed:
            raise ValueError(f"output {self.name!r} is closed")
        view = memoryview(data).cast("B")
        size = self._chunk_bytes
        at = 0
        if self._pending:
            at = min(size - len(self._pending), len(view))
            self._pending += view[:at]
            if len(self._pending) == size:
                self.flush()
        while len(view) - at >= size:
            self._send(bytes(view[at : at + size]))
            at += size
        self._pending += view[at:]
        return len(view)

    def flush(self) -> None:
        """Send what is there as a part, full or not."""
        if self._pending:
            part = bytes(self._pending)
            self._pending.clear()
            self._send(part)

    def close(self) -> None:
        """Send the last part and end the output. Idempotent; also done when the function returns."""
        if not self.closed:
            try:
                super().close()
            finally:
                self._on_close(self)
