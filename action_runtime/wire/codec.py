"""Bytes in, frames out. Knows no sockets: one codec for Unix sockets, TCP and in-memory pairs.

Layout, all integers big-endian::

    u32 length      bytes after this field: 8 + meta + payload
    u8  kind        FrameKind
    u8  descriptors how many file descriptors belong to this frame (Unix sockets only, else 0)
    u16 reserved    0
    u32 meta_length bytes of meta
    ... meta        UTF-8 JSON object
    ... payload     the rest
"""

from __future__ import annotations

import json
import struct
from collections import deque

from action_runtime.wire.errors import FrameTooLarge, ProtocolViolation, WireError
from action_runtime.wire.frames import (
    HEADER_BYTES,
    MAX_FRAME_BYTES,
    MAX_FRAME_DESCRIPTORS,
    Frame,
    FrameKind,
)

TYPE_CHECKING = False  # `typing` would cost 3 ms of each cold start
if TYPE_CHECKING:
    from typing import Any, Final

_HEADER: Final = struct.Struct(">IBBHI")
_dumps: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_loads: Final = json.JSONDecoder().decode
LARGE_BYTES: Final = 64 * 1024
"""About what one read returns: a larger frame comes in several, and would be moved again with each."""
_KINDS: Final = {int(kind): kind for kind in FrameKind}


def encode_head(kind: FrameKind, meta: dict[str, Any], payload_bytes: int = 0, descriptors: int = 0) -> bytes:
    """Return header and meta of a frame; the caller sends the payload itself, uncopied, behind it.

    Args:
        kind: What it is.
        meta: A JSON-serialisable object.
        payload_bytes: Size of the payload that will follow; ≥ 0.
        descriptors: How many descriptors go with the frame; 0…MAX_FRAME_DESCRIPTORS.

    Raises:
        FrameTooLarge: Header, meta and payload are above MAX_FRAME_BYTES.
    """
    return encode_head_of(kind, _dumps(meta).encode(), payload_bytes, descriptors)


def encode_head_of(kind: FrameKind, body: bytes, payload_bytes: int = 0, descriptors: int = 0) -> bytes:
    """Do the same for a meta that is JSON text already: whoever has a faster encoder may use it.

    Args:
        kind: What it is.
        body: The JSON object, UTF-8.
        payload_bytes: As for `encode_head`.
        descriptors: As for `encode_head`.

    Raises:
        FrameTooLarge: Header, meta and payload are above MAX_FRAME_BYTES.
    """
    total = HEADER_BYTES + len(body) + payload_bytes
    if total > MAX_FRAME_BYTES:
        raise FrameTooLarge(total, MAX_FRAME_BYTES)
    return _HEADER.pack(total - 4, kind, descriptors, 0, len(body)) + body


def encode(kind: FrameKind, meta: dict[str, Any], payload: bytes = b"", descriptors: int = 0) -> bytes:
    """Return a whole frame as bytes. Copies the payload once."""
    head = encode_head(kind, meta, len(payload), descriptors)
    return head + payload if payload else head


def decode_head(buffer: bytearray) -> tuple[Frame, int, int] | None:
    """Return the frame that a buffer begins with, without its payload; for who takes the payload's bytes as they come.

    Args:
        buffer: From the first byte of a frame on.

    Returns:
        The frame, how many bytes of the buffer are its head, how many bytes of payload follow; None: the head is not
        whole yet.

    Raises:
        FrameTooLarge: It announces more than MAX_FRAME_BYTES.
        ProtocolViolation: Unknown kind, broken meta, or descriptors, which nobody could receive.
    """
    if len(buffer) < HEADER_BYTES:
        return None
    length, number, wanted, meta_bytes = _header(buffer, 0, MAX_FRAME_BYTES)
    if wanted:
        raise ProtocolViolation("a frame has descriptors where none can come")
    end = HEADER_BYTES + meta_bytes
    if len(buffer) < end:
        return None
    return Frame(*_described(number, buffer[HEADER_BYTES:end])), end, length + 4 - end


class Decoder:
    """Incremental decoder of one direction of one connection.

    Fed with whatever a read returned; hands out whole frames. Descriptors are fed as they arrive and are
    handed to frames in order. After an error the decoder must not be used any more; `take_descriptors`
    then returns those that nobody owns.

    Bytes of small frames are copied twice. A frame of LARGE_BYTES or more gets memory of its final size as soon as its
    header is here: its bytes are copied once, or not at all by who reads straight into `room`; its payload lies there.

    Attributes:
        bound_bytes: Of a frame; less than MAX_FRAME_BYTES for who is not trusted yet.
    """

    def __init__(self, bound_bytes: int = MAX_FRAME_BYTES) -> None:
        self.bound_bytes = bound_bytes
        self._buffer = bytearray()
        self._large = bytearray()
        self._large_at = 0
        self._descriptors: deque[int] = deque()

    def feed(self, data: bytes | memoryview, descriptors: tuple[int, ...] | list[int] = ()) -> list[Frame]:
        """Take the bytes of one read, return all frames that are now whole.

        Args:
            data: Any split of the stream. Copied.
            descriptors: Descriptors that arrived with these bytes; owned by the decoder from here on.

        Raises:
            FrameTooLarge: A frame announces more than `bound_bytes`; nothing was allocated for it.
            ProtocolViolation: Unknown kind, broken meta, or descriptors missing.
        """
        if descriptors:
            self._descriptors.extend(descriptors)
        frames: list[Frame] = []
        try:
            if self._large:
                data = self._fill(data, frames)
            if data:
                self._buffer += data
                at = self._whole(frames)
                if at:
                    del self._buffer[:at]
                if len(self._buffer) >= HEADER_BYTES:
                    self._make_room()
        except WireError:
            for frame in reversed(frames):  # nobody will see them, so their descriptors have no owner
                self._descriptors.extendleft(reversed(frame.descriptors))
            raise
        return frames

    def room(self) -> memoryview | None:
        """Return where the rest of a large frame belongs, for a read of at most that; None: no such frame is under way.

        What was read there is announced by `filled`, before anything is fed.
        """
        return memoryview(self._large)[self._large_at :] if self._large else None

    def filled(self, size_bytes: int) -> list[Frame]:
        """Take the bytes of one read into `room`; return the frame if it is whole now. Raises as `feed`."""
        self._large_at += size_bytes
        frames: list[Frame] = []
        self._end_large(frames)
        return frames

    def take_descriptors(self) -> list[int]:
        """Return, and forget, descriptors that no frame has claimed; the caller closes them."""
        left = list(self._descriptors)
        self._descriptors.clear()
        return left

    @property
    def pending_bytes(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._buffer) + self._large_at

    def _fill(self, data: bytes | memoryview, frames: list[Frame]) -> bytes | memoryview:
        """Copy to the large frame what belongs to it; return the rest."""
        count = min(len(data), len(self._large) - self._large_at)
        self._large[self._large_at : self._large_at + count] = memoryview(data)[:count]
        self._large_at += count
        self._end_large(frames)
        return memoryview(data)[count:]

    def _end_large(self, frames: list[Frame]) -> None:
        large = self._large
        if self._large_at < len(large):
            return
        self._large, self._large_at = bytearray(), 0
        _, kind, wanted, _, meta_bytes = _HEADER.unpack_from(large)
        payload = memoryview(large)[HEADER_BYTES + meta_bytes :].toreadonly()
        frames.append(self._frame(kind, large[HEADER_BYTES : HEADER_BYTES + meta_bytes], payload, wanted))

    def _make_room(self) -> None:
        """Begin a large frame, if the buffer holds the begin of one; its header was checked."""
        total = _HEADER.unpack_from(self._buffer)[0] + 4
        if total >= LARGE_BYTES:
            self._large = bytearray(total)
            self._large_at = len(self._buffer)
            self._large[: self._large_at] = self._buffer
            self._buffer.clear()

    def _whole(self, frames: list[Frame]) -> int:
        """Append the frames that are whole; return where the next one begins."""
        buffer = self._buffer
        at = 0
        size = len(buffer)
        while size - at >= HEADER_BYTES:
            length, kind, wanted, meta_bytes = _header(buffer, at, self.bound_bytes)
            end = at + 4 + length
            if end > size:
                break
            at += HEADER_BYTES
            payload = bytes(memoryview(buffer)[at + meta_bytes : end])
            frames.append(self._frame(kind, buffer[at : at + meta_bytes], payload, wanted))
            at = end
        return at

    def _frame(self, number: int, text: bytearray, payload: bytes | memoryview, wanted: int) -> Frame:
        kind, meta = _described(number, text)
        if wanted > len(self._descriptors):
            raise ProtocolViolation("a frame came without its descriptors")
        descriptors = tuple(self._descriptors.popleft() for _ in range(wanted))
        return Frame(kind, meta, payload, descriptors)


def _header(buffer: bytearray, at: int, bound_bytes: int) -> tuple[int, int, int, int]:
    """Return length, kind, number of descriptors and bytes of meta; raises FrameTooLarge, ProtocolViolation."""
    length, kind, wanted, reserved, meta_bytes = _HEADER.unpack_from(buffer, at)
    if length + 4 > bound_bytes:
        raise FrameTooLarge(length + 4, bound_bytes)
    if reserved or length < HEADER_BYTES - 4 + meta_bytes or wanted > MAX_FRAME_DESCRIPTORS:
        raise ProtocolViolation("a frame header contradicts itself")
    return length, kind, wanted, meta_bytes


def _described(number: int, text: bytearray) -> tuple[FrameKind, dict[str, Any]]:
    """Return kind and meta; raises ProtocolViolation."""
    kind = _KINDS.get(number)
    if kind is None:
        raise ProtocolViolation(f"unknown frame kind {number}")
    try:
        meta = _loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise ProtocolViolation("the meta of a frame is not JSON") from error
    if not isinstance(meta, dict):
        raise ProtocolViolation("the meta of a frame is not an object")
    return kind, meta
