"""The first frame in both directions of every connection between processes: PEER_HELLO.

The caller sends `{"protocol", "role", "name", "token"}`, the server answers `{"protocol"}`, or `{"protocol", "error"}`
and closes. A caller need not wait for the answer before it sends on.
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from action_runtime.wire.codec import encode
from action_runtime.wire.errors import Blame, DataflowError, ProtocolViolation, VersionMismatch
from action_runtime.wire.frames import PROTOCOL_VERSION, Frame, FrameKind

MAX_SOCKET_PATH_BYTES: Final = 107
"""What fits into `sockaddr_un` with its closing zero."""


_LONGEST_SOCKET: Final = "run/controller.sock"
"""Of those in a data directory."""


def room_for_sockets(data_dir: Path) -> str | None:
    """Return what is wrong with a data directory for the Unix sockets in it, as a check of a setting."""
    if not data_dir.is_absolute():
        return f"must be an absolute path, is {data_dir}"
    over = len(os.fsencode(data_dir / _LONGEST_SOCKET)) - MAX_SOCKET_PATH_BYTES
    return f"is {over} bytes too long for the Unix sockets in it: choose a shorter path" if over > 0 else None


class Role(Enum):
    """What the caller is."""

    WORKER = "worker"
    """A gunicorn worker."""
    BALANCER = "balancer"
    INVOKER = "invoker"
    TOOL = "tool"
    """The supervisor, or a command of the console script."""


class NotAllowed(DataflowError):
    """The peer does not accept this caller: another installation's token."""

    code = "not-allowed"
    blame = Blame.PLATFORM

    def __init__(self, detail: str = "the token is not the one of this installation") -> None:
        super().__init__(f"the peer refused the connection: {detail}")


@dataclass(slots=True, frozen=True)
class Caller:
    """Who called: role, and a name for logs."""

    role: Role
    name: str


def read_token(path: Path) -> str:
    """Return the secret that all processes of an installation share.

    Raises:
        NotAllowed: The file is missing, empty or open to others.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise NotAllowed(f"{path} can be read by others; chmod 600 it")
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotAllowed(f"{path} cannot be read") from error
    if not token:
        raise NotAllowed(f"{path} is empty")
    return token


def call_hello(role: Role, token: str, name: str = "") -> bytes:
    """Return the frame a caller opens with.

    Args:
        role: What we are.
        token: The installation's secret.
        name: For the peer's logs; default: the process id.
    """
    meta = {"protocol": PROTOCOL_VERSION, "role": role.value, "name": name or str(os.getpid()), "token": token}
    return encode(FrameKind.PEER_HELLO, meta)


def answer_hello(error: str | None = None) -> bytes:
    """Return the server's answer; with `error` the connection is closed behind it."""
    meta: dict[str, Any] = {"protocol": PROTOCOL_VERSION}
    if error is not None:
        meta["error"] = error
    return encode(FrameKind.PEER_HELLO, meta)


def admit(frame: Frame, token: str) -> Caller:
    """Check a caller's first frame, on the server.

    Raises:
        ProtocolViolation: It is not a PEER_HELLO.
        VersionMismatch: The versions are not neighbours.
        NotAllowed: Wrong token.
    """
    _check_version(frame)
    given = frame.meta.get("token")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), token.encode()):
        raise NotAllowed
    try:
        return Caller(Role(frame.meta.get("role")), str(frame.meta.get("name", "")))
    except ValueError as error:
        raise ProtocolViolation("unknown role of a peer") from error


def accepted(frame: Frame) -> None:
    """Check the server's answer, on the caller.

    Raises:
        ProtocolViolation: It is not a PEER_HELLO.
        VersionMismatch: The versions are not neighbours.
        NotAllowed: The server refused.
    """
    _check_version(frame)
    error = frame.meta.get("error")
    if error is not None:
        raise NotAllowed(str(error))


def _check_version(frame: Frame) -> None:
    if frame.kind is not FrameKind.PEER_HELLO:
        raise ProtocolViolation("the first frame of a connection is PEER_HELLO")
    theirs = frame.meta.get("protocol")
    if type(theirs) is not int or abs(theirs - PROTOCOL_VERSION) > 1:
        raise VersionMismatch(theirs, PROTOCOL_VERSION)
