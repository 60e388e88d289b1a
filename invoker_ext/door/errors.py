"""What a call at the peer door can end in, beside the wire's own errors."""

from __future__ import annotations

from action_runtime.wire.errors import DataflowError


class NotHeld(DataflowError):
    """The peer does not hold bytes of that name, or not any more."""

    code = "not-held"

    def __init__(self, name: object) -> None:
        super().__init__(f"{name!r} is not held here")


class UnknownCall(DataflowError):
    """The peer has no such call."""

    code = "unknown-call"

    def __init__(self, op: object) -> None:
        super().__init__(f"no call {op!r} at this door")


class PeerUnreachable(DataflowError):
    """The peer could not be reached, broke off or did not answer in time."""

    code = "peer-unreachable"
    retryable = True


class CallFailed(DataflowError):
    """The peer answered that the call failed.

    Attributes:
        reason: The code of the peer's error.
    """

    code = "call-failed"

    def __init__(self, reason: str, text: str, retryable: bool) -> None:
        super().__init__(text)
        self.reason = reason
        self.retryable = retryable


class CannotListen(DataflowError):
    """The address for peers cannot be had."""

    code = "cannot-listen"

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"cannot listen on {address} for other hosts ({reason}): choose another address or port")


class PeerRefused(DataflowError):
    """The other end of a connection does not accept us, or we do not accept it."""

    code = "peer-refused"
