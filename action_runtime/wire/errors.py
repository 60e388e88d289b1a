"""The root of all errors that cross a process border."""

from __future__ import annotations

from enum import Enum


class Blame(Enum):
    """Who must act. Each value is OpenWhisk's activation status code, but for the caller's."""

    CALLER = -1
    """The request is at fault: an HTTP 4xx, never an activation."""
    APPLICATION = 1
    DEVELOPER = 2
    PLATFORM = 3


class DataflowError(Exception):
    """An error that names who must act, whether a retry can help, and a stable code.

    Attributes:
        code: Stable, lower-case, words joined by dashes; unique over all subclasses.
        blame: Who must act.
        retryable: True if the same call may succeed later without anybody acting.
    """

    code: str = "dataflow-error"
    blame: Blame = Blame.PLATFORM
    retryable: bool = False


class WireError(DataflowError):
    """Bytes on a socket break the protocol. The connection is closed; nothing of it is kept."""

    code = "wire-error"


class ProtocolViolation(WireError):
    """A frame is malformed, or is not allowed here."""

    code = "protocol-violation"


class FrameTooLarge(WireError):
    """A frame announces more bytes than MAX_FRAME_BYTES."""

    code = "frame-too-large"

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"frame of {size_bytes} bytes is above the limit of {limit_bytes} bytes")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class VersionMismatch(WireError):
    """The peer speaks a protocol version that we do not."""

    code = "version-mismatch"

    def __init__(self, theirs: object, ours: int) -> None:
        super().__init__(f"peer speaks protocol {theirs!r}, this side speaks {ours}: update the older one")
        self.theirs = theirs
        self.ours = ours


class PeerLost(WireError):
    """The other end closed the connection."""

    code = "peer-lost"
    retryable = True
