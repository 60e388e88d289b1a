"""How hosts know each other: a secret that all share, certificates of one authority, or both. Pure."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    import ssl

LEAST_SECRET_BYTES: Final = 16
_LABEL: Final = b"dataflower peers 1\0"


@dataclass(slots=True, frozen=True)
class Credentials:
    """What a host proves itself with; never printed.

    Attributes:
        secret: Shared by all hosts; empty: certificates alone decide.
        server: TLS for connections that come; None: without TLS.
        client: TLS for connections that we make.
    """

    secret: bytes
    server: ssl.SSLContext | None = None
    client: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        if (self.server is None) != (self.client is None):
            raise ValueError("TLS is for both directions or for none")
        if self.server is None and len(self.secret) < LEAST_SECRET_BYTES:
            raise ValueError(f"a secret of at least {LEAST_SECRET_BYTES} bytes, or TLS, is needed")

    def __repr__(self) -> str:
        return f"Credentials(tls={self.server is not None})"

    def proof(self, side: str, transcript: list[Any]) -> str:
        """Return what only a holder of the secret can say about a greeting.

        Args:
            side: Who says it; else one side could send the other's proof back.
            transcript: What both sides know of the greeting, with a random text of each.
        """
        return hmac.new(self.secret, _LABEL + orjson.dumps([side, *transcript]), hashlib.sha256).hexdigest()

    def proves(self, given: object, side: str, transcript: list[Any]) -> bool:
        """Return whether a proof is right; takes as long for any wrong one."""
        return isinstance(given, str) and hmac.compare_digest(given.encode(), self.proof(side, transcript).encode())
