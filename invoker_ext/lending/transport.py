"""What lending asks of the pipe between relays (`invoker_ext.peers`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from invoker_ext.peers.ref import Ref
from invoker_ext.sink.datum import Stored


class Transport(Protocol):
    """Everything about other hosts; on the loop."""

    heard: Callable[[int, str, dict[str, Any], bytes], None]
    lost: Callable[[int], None]

    def know(self, number: int, address: str) -> None:
        """Note where an invoker is. Raises ValueError: that is no address."""

    def send(self, peer: int, kind: str, meta: dict[str, Any], payload: bytes = b"") -> None:
        """Send a control message; they arrive in order, each once. Raises PeerUnknown or PeerGone."""

    def offer(self, stored: Stored) -> str:
        """Let peers pull a datum by the name that is returned; holds a reference of its own until `withdraw`."""

    def withdraw(self, name: str) -> None:
        """Offer it no longer."""

    async def pull(self, ref: Ref, owner: str) -> Stored:
        """Return a datum of another host, in our sink; the caller owns one reference. Raises DataflowError."""
