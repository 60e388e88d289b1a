"""How a call and its answer cross a socket: lists of byte strings. Pure.

Both ends are of one version, as an invoker talks to workers that it started itself: there is nothing to negotiate.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

import orjson

from invoker_ext.inline.call import Call, Evaluated, Fault

_COUNT: Final = struct.Struct("<I")
_HEAD: Final = struct.Struct("<II")
READ_BYTES: Final = 256 * 1024
JOINED_BYTES: Final = 16 * 1024
"""Pieces below are joined, as a call of the kernel costs more than the copy."""

Piece = bytes | memoryview
Part = bytes | Sequence[Piece]
"""A byte string, or the pieces that make one."""


def pack(parts: Sequence[Part]) -> list[Piece]:
    """Return one message in pieces: the size of the rest, the number of parts, their sizes, the parts.

    Large pieces are not copied.
    """
    whole = [(part,) if isinstance(part, bytes) else part for part in parts]
    sizes = [sum(map(len, pieces)) for pieces in whole]
    head = _HEAD.pack(_COUNT.size * (1 + len(sizes)) + sum(sizes), len(sizes)) + struct.pack(f"<{len(sizes)}I", *sizes)
    packed: list[Piece] = []
    small: list[Piece] = [head]
    for piece in (piece for pieces in whole for piece in pieces):
        if len(piece) < JOINED_BYTES:
            small.append(piece)
        else:
            packed += [b"".join(small), piece]
            small = []
    if small:
        packed.append(b"".join(small))
    return packed


def unpack(body: memoryview) -> list[memoryview]:
    """Return the parts of a message, which begins without the size in front of it. Copies nothing."""
    (count,) = _COUNT.unpack_from(body)
    at = _COUNT.size * (1 + count)
    parts = []
    for size in struct.unpack_from(f"<{count}I", body, _COUNT.size):
        parts.append(body[at : at + size])
        at += size
    return parts


class Messages:
    """Bytes in, messages out, from one buffer: a message is where it was received.

    Args:
        most_bytes: Of a message; None: no bound, as its sender keeps to one.
    """

    def __init__(self, most_bytes: int | None = None) -> None:
        self._most = most_bytes
        self._own = self._buffer = bytearray(READ_BYTES)
        self._held = 0

    def room(self) -> memoryview:
        """Return where the next bytes go, never nothing."""
        return memoryview(self._buffer)[self._held :]

    def took(self, count: int) -> list[list[memoryview]]:
        """Return the messages that are whole with so many bytes more; they stay until the next bytes are received.

        Raises:
            ValueError: It is none, or above the bound.
        """
        self._held += count
        whole, view, at = [], memoryview(self._buffer)[: self._held], 0
        while (end := at + self._size_at(view, at)) <= self._held:
            try:
                whole.append(unpack(view[at + _COUNT.size : end]))
            except struct.error as error:
                raise ValueError("no message") from error
            at = end
        rest = view[at:]
        if not rest:
            self._buffer = self._own
        elif at or end > len(self._buffer):
            self._buffer = bytearray(max(end - at, READ_BYTES))
            self._buffer[: len(rest)] = rest
        self._held = len(rest)
        return whole

    def _size_at(self, data: memoryview, at: int) -> int:
        """Return the size of the message that begins here, or what must be there to tell it."""
        if len(data) - at < _COUNT.size:
            return _COUNT.size
        (size,) = _COUNT.unpack_from(data, at)
        if self._most is not None and size > self._most:
            raise ValueError(f"a message of {size} bytes")
        return _COUNT.size + int(size)


def call_parts(call: Call) -> list[Part]:
    """Return a call as parts."""
    texts = [call.namespace, call.program, call.path, call.code, *(text for one in call.more for text in one)]
    names = orjson.dumps(list(call.cells))
    return [call.params, names, *call.cells.values(), *(text.encode(errors="replace") for text in texts)]


def read_call(parts: Sequence[memoryview]) -> Call:
    """Return the call that has these parts; refers to them."""
    names = orjson.loads(parts[1])
    rest = 2 + len(names)
    cells = dict(zip(names, map(bytes, parts[2:rest]), strict=True))
    namespace, program, path, code, *more = (str(one, "utf-8") for one in parts[rest:])
    pairs = tuple(zip(more[::2], more[1::2], strict=True))
    return Call(namespace=namespace, program=program, path=path, code=code, params=(parts[0],), cells=cells, more=pairs)


def answer_parts(answer: Evaluated) -> list[Part]:
    """Return an answer as parts."""
    head: dict[str, Any] = {
        "error": answer.error,
        "fault": answer.fault.value if answer.fault is not None else None,
        "log": answer.log,
        "cells": list(answer.cells),
        "result": answer.result is not None,
        "done": answer.done,
    }
    return [orjson.dumps(head), answer.result or b"", *answer.cells.values()]


def read_answer(parts: Sequence[memoryview], most: int = 1) -> Evaluated:
    """Return the answer that has these parts, to a call of so many functions.

    Raises:
        ValueError: They are none: the worker is not what it was.
    """
    try:
        head = orjson.loads(parts[0])
        answer = Evaluated(
            result=bytes(parts[1]) if head["result"] else None,
            error=head["error"],
            fault=Fault(head["fault"]) if head["fault"] is not None else None,
            cells=dict(zip(head["cells"], map(bytes, parts[2:]), strict=True)),
            log=head["log"],
            done=head["done"],
        )
    except (LookupError, TypeError) as error:
        raise ValueError("no answer") from error
    if answer.done not in range(1, most + 1):
        raise ValueError("no answer to this call")
    return answer
