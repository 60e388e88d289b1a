"""What arrives: the argument of a function from a RUN frame, and the parts of streamed inputs."""

from __future__ import annotations

import os
from collections import deque

from action_runtime.serde import decode, revive
from action_runtime.wire.errors import ProtocolViolation
from action_runtime.wire.values import WHOLE, Head, Media

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Final

    from action_runtime.data_unit.firing import Holding
    from action_runtime.wire.frames import Frame


_READ_JSON_BYTES: Final = 2 * 1024 * 1024
"""JSON up to here is read, not mapped: nothing of it outlives the decoding, and a map costs a fault every 16 pages."""


class Stream:
    """A streamed input: parts that have arrived and wait to be taken. Guarded by the outbox's lock."""

    __slots__ = ("ended", "error", "parts", "taken")

    def __init__(self) -> None:
        self.parts: deque[Frame] = deque()
        self.ended = False
        self.error: str | None = None
        self.taken = 0
        """Parts taken since the relay was last told."""

    def drop(self) -> None:
        """Close what nobody will take any more."""
        self.ended = True
        while self.parts:
            close_all(self.parts.popleft().descriptors)


def argument(run: Frame, descriptors: Sequence[int], holding: Holding) -> Any:
    """Return the argument of the function; the descriptors are closed.

    Inline values are copied; segments are mapped, JSON in them is decoded and unmapped, or read if it is small.

    Raises:
        ProtocolViolation: The frame refers to what is not there.
        TypeError: An array needs NumPy, which is not there.
        ValueError: A value is not what its head says.
    """
    source = _Source(run.payload, descriptors, holding)
    try:
        return _bind(run.meta["inputs"], source)
    except (KeyError, OSError) as error:
        raise ProtocolViolation(f"a RUN frame refers to what is not there: {error!r}") from error
    finally:
        close_all(descriptors)


def part(chunk: Frame, holding: Holding) -> Any:
    """Return the value of a CHUNK; its descriptor is closed.

    Raises:
        ProtocolViolation: The frame refers to what is not there.
    """
    meta = {"seg": 0, **chunk.meta} if chunk.descriptors else {"at": 0, **chunk.meta}
    try:
        return _Source(chunk.payload, chunk.descriptors, holding).value(meta)
    except (KeyError, OSError) as error:
        raise ProtocolViolation(f"a CHUNK frame refers to what is not there: {error!r}") from error
    finally:
        close_all(chunk.descriptors)


def close_all(descriptors: Sequence[int]) -> None:
    """Close them."""
    for descriptor in descriptors:
        os.close(descriptor)


def _bind(inputs: Sequence[Mapping[str, Any]], source: _Source) -> Any:
    bound: Any = {}
    for entry in inputs:
        if entry.get("stream"):
            continue
        value = source.tree(entry["value"])
        if entry["name"] != WHOLE:
            if not isinstance(bound, dict):
                bound = {}
            bound[entry["name"]] = value
        elif isinstance(value, dict):
            members = {name: revive(member) for name, member in value.items()}
            bound = {**bound, **members} if bound and isinstance(bound, dict) else members
        else:
            bound = value
    return bound


def _read(descriptor: int, offset: int, size_bytes: int) -> bytes:
    data = os.pread(descriptor, size_bytes, offset)
    if len(data) != size_bytes:
        raise ProtocolViolation("a segment is shorter than its value")
    return data


class _Source:
    """Where the bytes of values lie."""

    __slots__ = ("_descriptors", "_holding", "_payload")

    def __init__(self, payload: bytes | memoryview, descriptors: Sequence[int], holding: Holding) -> None:
        self._payload = memoryview(payload)
        self._descriptors = descriptors
        self._holding = holding

    def tree(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.tree(child) for child in node]
        return self.value(node)

    def value(self, meta: dict[str, Any]) -> Any:
        chunks = meta.get("chunks")
        if chunks is not None:
            parts = [self.value(chunk) for chunk in chunks]
            return parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
        if "seg" not in meta:
            return self._inline(meta)
        index = meta["seg"]
        if not 0 <= index < len(self._descriptors):
            raise ProtocolViolation(f"a value lies in segment {index}, which did not come")
        head = Head.from_meta(meta)
        if head.media is Media.JSON and head.size_bytes <= _READ_JSON_BYTES:
            return decode(head, _read(self._descriptors[index], meta.get("at", 0), head.size_bytes))
        try:
            view = self._holding.lay(self._descriptors[index], meta.get("at", 0), head.size_bytes)
        except ValueError as error:
            raise ProtocolViolation(f"a segment is shorter than its value: {error}") from error
        return decode(head, view[: head.size_bytes])

    def _inline(self, meta: dict[str, Any]) -> Any:
        at, size = meta["at"], meta["n"]
        data = self._payload[at : at + size]
        if len(data) != size:
            raise ProtocolViolation("a value lies beyond the payload of its frame")
        head = Head.from_meta(meta)
        return decode(head, data if head.media is Media.JSON else bytes(data))
