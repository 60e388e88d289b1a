"""Frame kinds and the bounds both ends keep. PROTOCOL.md says what each frame means."""

from __future__ import annotations

from enum import IntEnum

TYPE_CHECKING = False  # `typing` and `dataclasses` would cost 10 ms of each cold start
if TYPE_CHECKING:
    from typing import Any, Final

PROTOCOL_VERSION: Final = 1
"""Two neighbouring versions must work together."""

HEADER_BYTES: Final = 12
MAX_FRAME_BYTES: Final = 4 * 1024 * 1024
"""Bound of one frame, header included; checked before anything is allocated."""

KNEE_BYTES: Final = 16 * 1024
"""From this size on a value travels as a sealed segment, below it inside the frame: from here on a copy was measured to
cost more than a descriptor."""

MAX_FRAME_DESCRIPTORS: Final = 200
"""Descriptors in one frame; the kernel takes at most 253 in one message."""


class FrameKind(IntEnum):
    """The first letter says who sends it: C container, R relay, P either peer."""

    HELLO = 1  # C
    WELCOME = 2  # R
    INIT = 3  # R
    INITED = 4  # C
    SEGMENTS = 5  # R: descriptors for the RUN that follows
    RUN = 6  # R
    RESERVE = 7  # C
    GRANT = 8  # R
    REFUSE = 9  # R
    EMIT = 10  # C
    RETURNED = 11  # C
    DRAINED = 12  # C
    FREED = 13  # C
    CHUNK = 14  # R: one part of a streamed input
    STREAM_END = 15  # R
    TAKEN = 16  # C: credit for CHUNK
    THROTTLE = 17  # R
    PEER_HELLO = 32  # P
    CALL = 33  # P
    REPLY = 34  # P
    PART = 35  # P: a piece of a reply's payload
    INVOKE = 48  # P: worker → balancer
    ACCEPTED = 49  # P
    REJECTED = 50  # P
    ENDED = 51  # P
    PUBLISH = 64  # P: local bus
    DELIVER = 65  # P
    COMMIT = 66  # P
    SUBSCRIBE = 67  # P
    PEER_PROOF = 80  # P: relay ↔ relay
    PEER_WELCOME = 81  # P
    MESSAGE = 82  # P
    PULSE = 83  # P
    FETCH = 84  # P
    HOLDS = 85  # P
    CREDIT = 86  # P


class Frame:
    """One message.

    Attributes:
        kind: What it is.
        meta: A JSON object; small (ids, sizes, names).
        payload: Raw bytes, passed on without being looked at. Owned by the receiver. A memoryview keeps its whole
            frame alive.
        descriptors: Open file descriptors that came with the frame; the receiver must close them.
    """

    __match_args__ = ("kind", "meta", "payload", "descriptors")
    __slots__ = ("descriptors", "kind", "meta", "payload")

    def __init__(
        self,
        kind: FrameKind,
        meta: dict[str, Any],
        payload: bytes | memoryview = b"",
        descriptors: tuple[int, ...] = (),
    ) -> None:
        self.kind = kind
        self.meta = meta
        self.payload = payload
        self.descriptors = descriptors

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frame):
            return NotImplemented
        return (self.kind, self.meta, self.payload, self.descriptors) == (
            other.kind,
            other.meta,
            other.payload,
            other.descriptors,
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Frame({self.kind!r}, {self.meta!r}, {len(self.payload)} bytes, descriptors={self.descriptors!r})"
