"""The first frames of a connection between hosts, from both sides. Pure.

| frame | from | meta |
| --- | --- | --- |
| PEER_HELLO | dialler | `{"protocol", "from": number, "to": number, "use", "nonce"}` |
| PEER_HELLO | acceptor | `{"protocol", "from": number, "nonce"}` |
| PEER_PROOF | dialler | `{"proof", …terms}` |
| PEER_WELCOME | acceptor | `{"proof", …terms}` |

Instead of any of its frames the acceptor may send PEER_HELLO with `error`, and closes. `proof` is an HMAC over both
sides' frames; the secret itself never travels. `terms` depend on the use of the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

from action_runtime.wire.errors import ProtocolViolation, VersionMismatch
from action_runtime.wire.frames import PROTOCOL_VERSION, Frame, FrameKind
from invoker_ext.door.credentials import Credentials
from invoker_ext.peers.errors import PeerRefused

GREETING_BYTES: Final = 2048
"""Bound of each frame of a greeting."""

Out = tuple[FrameKind, dict[str, Any]]


class Use(Enum):
    """What a connection is for; its value is its first four bytes, before anything else, also before TLS."""

    CONTROL = b"DFpc"
    BULK = b"DFpb"


class Step(Enum):
    """What is waited for."""

    HELLO = "hello"
    PROOF = "proof"
    WELCOME = "welcome"
    OVER = "over"


STEPS: Final[Mapping[tuple[Step, FrameKind], str]] = {
    (Step.HELLO, FrameKind.PEER_HELLO): "_hello",
    (Step.PROOF, FrameKind.PEER_PROOF): "_proof",
    (Step.WELCOME, FrameKind.PEER_WELCOME): "_welcome",
}
"""Anything else breaks the protocol."""


class Greeting:
    """One side of a greeting.

    Attributes:
        step: What is waited for.
        peer: Number of the other side; proven once `is_over()`.
        terms: What the other side said with its proof.
    """

    peer: int
    terms: dict[str, Any]

    def __init__(self, me: int, use: Use, nonce: str, credentials: Credentials) -> None:
        self.step: Step = Step.HELLO
        self._me = me
        self._use = use
        self._nonce = nonce
        self._credentials = credentials
        self._transcript: list[Any] = []

    def is_over(self) -> bool:
        """Whether the other side is authenticated."""
        return self.step is Step.OVER

    def begin(self) -> list[Out]:
        """Return what is sent before anything came."""
        return []

    def take(self, frame: Frame) -> list[Out]:
        """Take a frame of the other side; return what is sent now.

        Raises:
            ProtocolViolation: The frame is not allowed here.
            VersionMismatch: The versions are not neighbours.
            PeerRefused: One side does not accept the other.
        """
        name = STEPS.get((self.step, frame.kind))
        if frame.kind is FrameKind.PEER_HELLO and "error" in frame.meta:
            raise PeerRefused(f"the peer refused the connection: {str(frame.meta['error'])[:300]}")
        if name is None:
            raise ProtocolViolation(f"{frame.kind.name} is not allowed in this step of a greeting")
        sent: list[Out] = getattr(self, name)(frame.meta)
        return sent

    def _check_proof(self, meta: dict[str, Any], side: str) -> None:
        if not self._credentials.proves(meta.get("proof"), side, self._transcript):
            raise PeerRefused("the secret is not the one of this installation")
        self.terms = {name: value for name, value in meta.items() if name != "proof"}


class Dialling(Greeting):
    """The side that made the connection."""

    def __init__(
        self,
        me: int,
        peer: int,
        use: Use,
        nonce: str,
        credentials: Credentials,
        terms: Callable[[], dict[str, Any]],
    ) -> None:
        super().__init__(me, use, nonce, credentials)
        self.peer = peer
        self._terms = terms
        self._opening: dict[str, Any] = {}

    def begin(self) -> list[Out]:
        """See `Greeting.begin`."""
        self._opening = {
            "protocol": PROTOCOL_VERSION,
            "from": self._me,
            "to": self.peer,
            "use": self._use.name,
            "nonce": self._nonce,
        }
        return [(FrameKind.PEER_HELLO, self._opening)]

    def _hello(self, meta: dict[str, Any]) -> list[Out]:
        _check_version(meta)
        number, nonce = _identity(meta)
        if number != self.peer:
            raise PeerRefused(f"invoker {number} answers at the address of invoker {self.peer}")
        self._transcript = _transcript(self._opening, meta["protocol"], nonce)
        self.step = Step.WELCOME
        return [
            (FrameKind.PEER_PROOF, {"proof": self._credentials.proof("dialler", self._transcript), **self._terms()})
        ]

    def _welcome(self, meta: dict[str, Any]) -> list[Out]:
        self._check_proof(meta, "acceptor")
        self.step = Step.OVER
        return []


class Accepting(Greeting):
    """The side that was called."""

    def __init__(
        self,
        me: int,
        use: Use,
        nonce: str,
        credentials: Credentials,
        admit: Callable[[int, dict[str, Any]], dict[str, Any]],
    ) -> None:
        """Wait for the other side.

        Args:
            me: Our number.
            use: What the connection was opened for.
            nonce: Random, of this connection alone.
            credentials: Ours.
            admit: Takes the number and the terms of a peer that is authenticated; returns ours, or raises PeerRefused.
        """
        super().__init__(me, use, nonce, credentials)
        self._admit = admit

    def _hello(self, meta: dict[str, Any]) -> list[Out]:
        _check_version(meta)
        self.peer, _ = _identity(meta)
        if meta.get("to") != self._me or self.peer == self._me:
            raise PeerRefused(f"this is invoker {self._me}, not {str(meta.get('to'))[:20]}, or both have that number")
        if meta.get("use") != self._use.name:
            raise ProtocolViolation("a connection is used for something else than it was opened for")
        self._transcript = _transcript(meta, PROTOCOL_VERSION, self._nonce)
        self.step = Step.PROOF
        return [
            (FrameKind.PEER_HELLO, {"protocol": PROTOCOL_VERSION, "from": self._me, "nonce": self._nonce}),
        ]

    def _proof(self, meta: dict[str, Any]) -> list[Out]:
        self._check_proof(meta, "dialler")
        terms = self._admit(self.peer, self.terms)
        self.step = Step.OVER
        return [(FrameKind.PEER_WELCOME, {"proof": self._credentials.proof("acceptor", self._transcript), **terms})]


def refusal(reason: str) -> Out:
    """Return what an acceptor sends before it closes."""
    return FrameKind.PEER_HELLO, {"protocol": PROTOCOL_VERSION, "error": reason}


def _transcript(opening: dict[str, Any], acceptor_protocol: int, acceptor_nonce: str) -> list[Any]:
    names = ("protocol", "from", "to", "use", "nonce")
    return [*(opening[name] for name in names), acceptor_protocol, acceptor_nonce]


def _check_version(meta: dict[str, Any]) -> None:
    theirs = meta.get("protocol")
    if type(theirs) is not int or abs(theirs - PROTOCOL_VERSION) > 1:
        raise VersionMismatch(theirs, PROTOCOL_VERSION)


def _identity(meta: dict[str, Any]) -> tuple[int, str]:
    number, nonce = meta.get("from"), meta.get("nonce")
    if type(number) is not int or number < 0 or not isinstance(nonce, str) or not 16 <= len(nonce) <= 128:
        raise ProtocolViolation("the first frame of a peer is malformed")
    return number, nonce
