"""What can go wrong with data in the sink."""

from __future__ import annotations

from action_runtime.wire.errors import DataflowError, ProtocolViolation


class SinkError(DataflowError):
    """The sink cannot hold or give back a datum."""

    code = "sink-error"


class SinkFull(SinkError):
    """There is no memory or descriptor left for a datum."""

    code = "sink-full"
    retryable = True


class SpillFailed(SinkError):
    """Data could not be written to the spill directory; they stay in memory."""

    code = "spill-failed"
    retryable = True


class SegmentBusy(ProtocolViolation):
    """A container still maps a segment for writing that it has committed."""

    code = "segment-busy"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"a segment of {size_bytes} bytes was committed while it is still mapped for writing")
        self.size_bytes = size_bytes


class SegmentMismatch(ProtocolViolation):
    """A committed value is larger than the segment it is said to be in."""

    code = "segment-mismatch"

    def __init__(self, value_bytes: int, segment_bytes: int) -> None:
        super().__init__(f"a value of {value_bytes} bytes cannot be in a segment of {segment_bytes} bytes")
        self.value_bytes = value_bytes
        self.segment_bytes = segment_bytes


class SegmentExpired(ProtocolViolation):
    """A container commits a segment long after the run it was for has ended."""

    code = "segment-expired"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"a segment of {size_bytes} bytes was committed long after its run had ended")
        self.size_bytes = size_bytes


class InvalidTransition(RuntimeError):
    """A datum was asked to do what its state does not allow: a bug of the sink."""
