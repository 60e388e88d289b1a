"""What travels between hosts instead of a payload. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from action_runtime.wire.errors import ProtocolViolation
from action_runtime.wire.values import Head


@dataclass(slots=True, frozen=True)
class Ref:
    """Names a datum that a host offers.

    Attributes:
        host: Number of the invoker that holds it.
        name: From its `Peers.offer`; unique over all hosts and restarts.
        head: What the bytes are.
    """

    host: int
    name: str
    head: Head

    @property
    def size_bytes(self) -> int:
        """How many bytes."""
        return self.head.size_bytes

    def to_meta(self) -> dict[str, Any]:
        """Return the wire form: that of the head, with `host` and `name`."""
        return {"host": self.host, "name": self.name, **self.head.to_meta()}

    @staticmethod
    def from_meta(meta: dict[str, Any]) -> Ref:
        """Read the wire form; raises ProtocolViolation."""
        host, name = meta.get("host"), meta.get("name")
        if type(host) is not int or not isinstance(name, str):
            raise ProtocolViolation("a ref is malformed")
        return Ref(host, name, Head.from_meta(meta))
