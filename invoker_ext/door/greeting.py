"""The first frames of a connection between hosts, from both sides. Pure.

| frame | from | meta |
| --- | --- | --- |
| PEER_HELLO | dialler | `{"protocol", "from": name, "to": name or null, "use", "nonce"}` |
| PEER_HELLO | acceptor | `{"protocol", "from": name, "nonce"}` |
| PEER_PROOF | dialler | `{"proof", …terms}` |
| PEER_WELCOME | acceptor | `{"proof", …terms}` |

Instead of any of its frames the acceptor may send PEER_HELLO with `error`, and closes. `proof` is an HMAC over both
sides' frames; the secret itself never travels. `terms` depend on the use of the connection. The name of an invoker is
its number; whoever calls at a door may have another, and need not know whose door it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, cast

from action_runtime.wire.errors import ProtocolViolation, VersionMismatch
from action_runtime.wire.frames import PROTOCOL_VERSION, Frame, FrameKind
from invoker_ext.door.credentials import Credentials
from invoker_ext.door.errors import PeerRefused

GREETING_BYTES: Final = 2048
"""Bound of each frame of a greeting."""
_LONGEST_NAME: Final = 200

Name = int | str
Out = tuple[FrameKind, dict[str, Any]]


class Use(Enum):
    """What a connection is for; its value is its first four bytes, before anything else, also before TLS."""

    CONTROL = b"DFpc"
    BULK = b"DFpb"
    DOOR = b"DFpd"


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
        peer: Name of the other side; proven once `is_over()`. A number, but for who calls at a door.
        terms: What the other side said with its proof.
    """

    peer: Name
    terms: dict[str, Any]

    def __init__(self, me: Name, use: Use, nonce: str, credentials: Credentials) -> None:
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
        me: Name,
        peer: Name | None,
        use: Use,
        nonce: str,
        credentials: Credentials,
        terms: Callable[[], dict[str, Any]],
    ) -> None:
        """Call.

        Args:
            me: Our name.
            peer: Who must answer; None: anybody, at a door.
            use: What for.
            nonce: Random, of this connection alone.
            credentials: Ours.
            terms: Returns what the other side is told with our proof.
        """
        super().__init__(me, use, nonce, credentials)
        self._wanted = peer
        self._terms = terms
        self._opening: dict[str, Any] = {}

    def begin(self) -> list[Out]:
        """See `Greeting.begin`."""
        self._opening = {
            "protocol": PROTOCOL_VERSION,
            "from": self._me,
            "to": self._wanted,
            "use": self._use.name,
            "nonce": self._nonce,
        }
        return [(FrameKind.PEER_HELLO, self._opening)]

    def _hello(self, meta: dict[str, Any]) -> list[Out]:
        _check_version(meta)
        self.peer, nonce = _identity(meta)
        if self._wanted not in (None, self.peer):
            raise PeerRefused(f"{self.peer} answers at the address of {self._wanted}")
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
        me: Name,
        use: Use,
        nonce: str,
        credentials: Credentials,
        admit: Callable[[Name, dict[str, Any]], dict[str, Any]],
    ) -> None:
        """Wait for the other side.

        Args:
            me: Our name.
            use: What the connection was opened for.
            nonce: Random, of this connection alone.
            credentials: Ours.
            admit: Takes the name and the terms of a peer that is authenticated; returns ours, or raises PeerRefused.
        """
        super().__init__(me, use, nonce, credentials)
        self._admit = admit

    def _hello(self, meta: dict[str, Any]) -> list[Out]:
        _check_version(meta)
        self.peer, _ = _identity(meta)
        wanted = meta.get("to")
        if self.peer == self._me or (wanted != self._me and not (self._use is Use.DOOR and wanted is None)):
            raise PeerRefused(f"this is {self._me}, not {str(wanted)[:20]}, or both have that name")
        if self._use is not Use.DOOR and type(self.peer) is not int:
            raise ProtocolViolation("only invokers have such connections")
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


def _identity(meta: dict[str, Any]) -> tuple[Name, str]:
    name, nonce = meta.get("from"), meta.get("nonce")
    known = (type(name) is int and name >= 0) or (isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME)
    if not known or not isinstance(nonce, str) or not 16 <= len(nonce) <= 128:
        raise ProtocolViolation("the first frame of a peer is malformed")
    return cast(Name, name), nonce
