"""What can go wrong between hosts."""

from __future__ import annotations

from action_runtime.wire.errors import DataflowError


class PeerUnknown(DataflowError):
    """No peer of that number has been seen."""

    code = "peer-unknown"
    retryable = True

    def __init__(self, number: int) -> None:
        super().__init__(f"no address of invoker {number} is known yet")
        self.number = number


class PeerGone(DataflowError):
    """A peer stayed away beyond the bound, or has begun anew: what was said to it may not have arrived."""

    code = "peer-gone"
    retryable = True

    def __init__(self, number: int, detail: str) -> None:
        super().__init__(f"invoker {number} is gone: {detail}")
        self.number = number


class TransferFailed(DataflowError):
    """A datum did not come from a peer that is there, however often it was tried."""

    code = "transfer-failed"
    retryable = True


class QueueFull(DataflowError):
    """A peer takes no messages, and the bound of those that wait for it is reached."""

    code = "peer-queue-full"
    retryable = True

    def __init__(self, messages: int, size_bytes: int) -> None:
        super().__init__(f"{messages} messages of {size_bytes} bytes wait, and it takes none")


class InvalidTransition(RuntimeError):
    """A link or a transfer was asked to do what its state does not allow: a bug."""
