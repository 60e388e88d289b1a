"""What can go wrong between the relay and a container, beside what the wire already names."""

from __future__ import annotations

from action_runtime.wire.errors import WireError


class ReaderTooSlow(WireError):
    """The other end does not read what it asked for."""

    code = "reader-too-slow"

    def __init__(self, unsent_bytes: int, bound_bytes: int) -> None:
        super().__init__(f"{unsent_bytes} bytes wait to be read, above the bound of {bound_bytes} bytes")
        self.unsent_bytes = unsent_bytes
        self.bound_bytes = bound_bytes
