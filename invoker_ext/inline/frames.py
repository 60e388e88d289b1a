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


def pack(parts: Sequence[bytes]) -> bytes:
    """Return one message: the size of the rest, the sizes of the parts as JSON, the parts. Copies them once."""
    sizes = orjson.dumps([len(one) for one in parts])
    body = b"".join((_COUNT.pack(len(sizes)), sizes, *parts))
    return _COUNT.pack(len(body)) + body


def unpack(body: memoryview) -> list[bytes]:
    """Return the parts of a message, without the size in front of it."""
    (head,) = _COUNT.unpack_from(body)
    at = _COUNT.size + head
    parts = []
    for size in orjson.loads(body[_COUNT.size : at]):
        parts.append(bytes(body[at : at + size]))
        at += size
    return parts


class Messages:
    """Bytes in, messages out.

    Args:
        most_bytes: Of a message; None: no bound, as its sender keeps to one.
    """

    def __init__(self, most_bytes: int | None = None) -> None:
        self._most = most_bytes
        self._pieces: list[bytes] = []
        self._held = 0
        self._wanted = _COUNT.size
        self._head = True

    def feed(self, data: bytes) -> list[list[bytes]]:
        """Return the messages that are whole with these bytes; pieces of a large one are joined once.

        Raises:
            ValueError: It is none, or above the bound.
        """
        self._pieces.append(data)
        self._held += len(data)
        whole = []
        while self._held >= self._wanted:
            joined = b"".join(self._pieces) if len(self._pieces) > 1 else self._pieces[0]
            taken = memoryview(joined)[: self._wanted]
            rest = joined[self._wanted :]
            if self._head:
                (self._wanted,) = _COUNT.unpack(taken)
                if self._most is not None and self._wanted > self._most:
                    raise ValueError(f"a message of {self._wanted} bytes")
            else:
                try:
                    whole.append(unpack(taken))
                except (struct.error, TypeError) as error:
                    raise ValueError("no message") from error
                self._wanted = _COUNT.size
            self._head = not self._head
            self._pieces = [rest]
            self._held = len(rest)
        return whole


def call_parts(call: Call) -> list[bytes]:
    """Return a call as parts."""
    text = [one.encode(errors="replace") for one in (call.namespace, call.program, call.path, call.code)]
    return [*text, call.params, orjson.dumps(list(call.cells)), *call.cells.values()]


def read_call(parts: Sequence[bytes]) -> Call:
    """Return the call that has these parts."""
    namespace, program, path, code = (one.decode() for one in parts[:4])
    cells = dict(zip(orjson.loads(parts[5]), parts[6:], strict=True))
    return Call(namespace=namespace, program=program, path=path, code=code, params=parts[4], cells=cells)


def answer_parts(answer: Evaluated) -> list[bytes]:
    """Return an answer as parts."""
    head: dict[str, Any] = {
        "error": answer.error,
        "fault": answer.fault.value if answer.fault is not None else None,
        "log": answer.log,
        "cells": list(answer.cells),
        "result": answer.result is not None,
    }
    return [orjson.dumps(head), answer.result or b"", *answer.cells.values()]


def read_answer(parts: Sequence[bytes]) -> Evaluated:
    """Return the answer that has these parts.

    Raises:
        ValueError: They are none: the worker is not what it was.
    """
    try:
        head = orjson.loads(parts[0])
        return Evaluated(
            result=parts[1] if head["result"] else None,
            error=head["error"],
            fault=Fault(head["fault"]) if head["fault"] is not None else None,
            cells=dict(zip(head["cells"], parts[2:], strict=True)),
            log=head["log"],
        )
    except (LookupError, TypeError) as error:
        raise ValueError("no answer") from error
