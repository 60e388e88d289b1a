"""Laying out the inputs of a firing for its RUN frame (PROTOCOL.md, INPUT). Pure.

Small values go into the payload, one after the other; larger ones are segments. A list (gather) of nothing but small
JSON values becomes one JSON value, which the runtime reads in one go: 1,000 counts are one parse and not 1,000 heads.
What is too much for one frame is put together in one segment more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from action_runtime.wire.values import Head, Media
from invoker_ext.dataflow.commands import Bound, Chunks, Constant, Streamed, Value
from invoker_ext.sink.datum import Stored

INLINE_BYTES: Final = 2 * 1024 * 1024
"""Bound of the payload of a RUN; leaves as much again for its meta."""

Pack = Callable[[Head, bytes], Stored]
"""Puts bytes into a new segment (`Sink.put_segment`)."""


@dataclass(slots=True)
class Layout:
    """The inputs of one firing as they go on the wire.

    Attributes:
        inputs: INPUT objects.
        parts: Buffers of the payload, in order.
        segments: What `seg` counts; references are not added.
        packed: Those of them that were made here; whoever holds the layout must release them once.
    """

    inputs: list[dict[str, Any]] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)
    segments: list[Stored] = field(default_factory=list)
    packed: list[Stored] = field(default_factory=list)


def lay_out(inputs: Sequence[Bound], pack: Pack) -> Layout:
    """Return the inputs as INPUT objects, payload buffers and segments. Copies only what it packs or joins.

    Args:
        inputs: In order; data are `Stored`.
        pack: Called at most once, for what is above INLINE_BYTES.

    Raises:
        SinkFull: There was no memory to pack; nothing is held.
    """
    writer = _Writer()
    for bound in inputs:
        writer.put(bound)
    return writer.finish(pack)


class _Writer:
    """Collects; the packed segment gets its number at once and its bytes at the end."""

    def __init__(self) -> None:
        self._layout = Layout()
        self._at = 0
        self._seats: list[Stored | None] = []
        self._seat_of: dict[int, int] = {}
        self._packed_seat = -1
        self._packed: list[bytes] = []
        self._packed_at = 0

    def put(self, bound: Bound) -> None:
        if isinstance(bound.value, Streamed):
            self._layout.inputs.append({"name": bound.name, "stream": True})
        else:
            self._layout.inputs.append({"name": bound.name, "value": self._tree(bound.value)})

    def finish(self, pack: Pack) -> Layout:
        layout = self._layout
        if self._packed:
            data = b"".join(self._packed)
            stored = pack(Head(Media.BYTES, len(data)), data)
            self._seats[self._packed_seat] = stored
            layout.packed.append(stored)
        layout.segments = [stored for stored in self._seats if stored is not None]
        return layout

    def _tree(self, value: Value) -> Any:
        if isinstance(value, tuple):
            text = joined(value)
            if text is not None:
                return self._place({"t": "json", "n": len(text)}, text)
            return [self._tree(one) for one in value]
        if isinstance(value, Constant):
            text = value.json.encode()
            return self._place({"t": "json", "n": len(text)}, text)
        if isinstance(value, Chunks):
            chunks = [self._stored(cast(Stored, part)) for part in value.parts]
            return {"t": "bytes", "n": sum(chunk["n"] for chunk in chunks), "chunks": chunks}
        if isinstance(value, Streamed):
            raise TypeError("a stream cannot be part of a list")
        return self._stored(cast(Stored, value))

    def _stored(self, stored: Stored) -> dict[str, Any]:
        meta = stored.head.to_meta()
        data = stored.inline
        if data is not None:
            return self._place(meta, data)
        seat = self._seat_of.get(id(stored))
        if seat is None:
            seat = self._seat_of[id(stored)] = len(self._seats)
            self._seats.append(stored)
        meta["seg"] = seat
        return meta

    def _place(self, meta: dict[str, Any], data: bytes) -> dict[str, Any]:
        if self._at + len(data) <= INLINE_BYTES:
            meta["at"] = self._at
            if data:
                self._layout.parts.append(data)
                self._at += len(data)
            return meta
        if self._packed_seat < 0:
            self._packed_seat = len(self._seats)
            self._seats.append(None)
        meta["seg"] = self._packed_seat
        meta["at"] = self._packed_at
        self._packed.append(data)
        self._packed_at += len(data)
        return meta


def joined(value: tuple[Value, ...]) -> bytes | None:
    """Return the JSON text of a list if all its members are small JSON values, else None."""
    texts: list[bytes] = []
    for one in value:
        if isinstance(one, tuple):
            text = joined(one)
        elif isinstance(one, Constant):
            text = one.json.encode()
        elif isinstance(one, (Chunks, Streamed)):
            return None
        else:
            stored = cast(Stored, one)
            text = stored.inline if stored.head.media is Media.JSON else None
        if text is None:
            return None
        texts.append(text)
    return b"[%b]" % b",".join(texts)
