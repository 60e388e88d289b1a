"""The engine's stream of a container's output: frames of either stream, one after the other. Pure."""

from __future__ import annotations

import struct
from typing import Final

_HEAD: Final = struct.Struct(">BxxxL")
_STDERR: Final = 2


class Demultiplexer:
    """Takes any split of the stream apart."""

    def __init__(self) -> None:
        self._head = b""
        self._stream = 0
        self._missing = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return what was written, as (0 for standard output, 1 for standard error; bytes), in order."""
        found = []
        at = 0
        while at < len(data):
            if not self._missing:
                taken = data[at : at + _HEAD.size - len(self._head)]
                self._head += taken
                at += len(taken)
                if len(self._head) == _HEAD.size:
                    number, self._missing = _HEAD.unpack(self._head)
                    self._stream = int(number == _STDERR)
                    self._head = b""
                continue
            part = data[at : at + self._missing]
            self._missing -= len(part)
            at += len(part)
            found.append((self._stream, part))
        return found
