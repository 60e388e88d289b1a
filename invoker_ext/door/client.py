"""Calls at a peer door for threads that wait. For loops: `async_client.py`."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any, Final

from action_runtime.wire.codec import encode
from action_runtime.wire.errors import DataflowError, PeerLost, ProtocolViolation, WireError
from action_runtime.wire.frames import Frame, FrameKind
from invoker_ext.door import hello
from invoker_ext.door.blocking import ConnectionPool, FramedSocket, near_pool
from invoker_ext.door.errors import CallFailed, PeerUnreachable
from invoker_ext.door.far import Caller, FarSocket, must_be
from invoker_ext.door.places import FarPlace, Place

CONNECT_S: Final = 5.0
"""How long a call waits for a door that is being started again, within its own time."""


class DoorClient:
    """One peer's door. Thread-safe: each call has a connection to itself, and connections are kept for the next."""

    def __init__(self, place: Place, *, role: hello.Role, token: str, caller: Caller | None = None) -> None:
        """Connect nothing yet.

        Args:
            place: Whose door.
            role: What we are, at a door of this host.
            token: The installation's secret, for such a door.
            caller: Who we are, at a door of another host.

        Raises:
            NotAllowed: The door is on another host and no caller is given.
        """
        self._pool = _pool(place, role, token, caller)
        self._numbers = itertools.count(1)

    def call(self, op: str, timeout_s: float, **fields: Any) -> dict[str, Any]:
        """Make a call whose answer has no body; return the answer's fields.

        Made again once if an idle connection turns out to be dead: calls are idempotent.

        Args:
            op: Name of the call.
            timeout_s: For all of it.
            fields: JSON values.

        Raises:
            PeerUnreachable: No answer in time; whether the call was carried out is not known.
            CallFailed: The peer refused.
        """
        deadline = time.monotonic() + timeout_s
        try:
            return self._call(op, deadline, fields)
        except PeerLost:
            self._pool.drop_idle()
        except (WireError, hello.NotAllowed, TimeoutError) as error:
            raise PeerUnreachable(f"{self._pool.name}: {error}") from error
        try:
            return self._call(op, deadline, fields)
        except (WireError, hello.NotAllowed, TimeoutError) as error:
            raise PeerUnreachable(f"{self._pool.name}: {error}") from error

    def pull(self, name: str, size_bytes: int, timeout_s: float) -> Iterator[bytes]:
        """Yield the bytes that the peer holds under a name, `size_bytes` in all.

        Resumes where it was if the connection breaks and the peer comes back in time.

        Args:
            name: Of the bytes.
            size_bytes: How many there must be.
            timeout_s: For each piece, not for the whole: the consumer sets the pace.

        Raises:
            PeerUnreachable: A piece did not come in time.
            CallFailed: The peer refused (reason `not-held`), or what it holds has another size.
        """
        at = 0
        deadline = time.monotonic() + timeout_s
        while at < size_bytes or at == 0:
            try:
                for content in self._pull_from(name, at, size_bytes, timeout_s):
                    at += len(content)
                    yield content
                    deadline = time.monotonic() + timeout_s
                return
            except PeerLost as error:
                if time.monotonic() >= deadline:
                    raise PeerUnreachable(f"{self._pool.name}: {error}") from error
                self._pool.drop_idle()
            except (WireError, hello.NotAllowed, TimeoutError) as error:
                raise PeerUnreachable(f"{self._pool.name}: {error}") from error

    def close(self) -> None:
        """Disconnect; idempotent."""
        self._pool.close()

    def _call(self, op: str, deadline: float, fields: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        with self._pool.borrow(_soon(deadline)) as lease:
            lease.connection.send(encode(FrameKind.CALL, {**fields, "call": number, "op": op}), deadline)
            frame = lease.connection.receive(deadline)
            if frame.meta.get("size") is None:
                lease.keep()
            return read_reply(frame, number)

    def _pull_from(self, name: str, offset: int, size_bytes: int, timeout_s: float) -> Iterator[bytes]:
        number = next(self._numbers)
        deadline = time.monotonic() + timeout_s
        with self._pool.borrow(_soon(deadline)) as lease:
            connection: FramedSocket = lease.connection
            meta = {"call": number, "op": "pull", "name": name, "offset": offset}
            connection.send(encode(FrameKind.CALL, meta), deadline)
            check_size(read_reply(connection.receive(deadline), number), size_bytes)
            while offset < size_bytes:
                content = bytes(read_part(connection.receive(time.monotonic() + timeout_s), number))
                offset += len(content)
                yield content
            lease.keep()


def _pool(place: Place, role: hello.Role, token: str, caller: Caller | None) -> ConnectionPool:
    if not isinstance(place, FarPlace):
        return near_pool(place, role=role, token=token)
    known = must_be(caller, place)
    return ConnectionPool(str(place), lambda deadline: FarSocket(place, known, deadline))


def read_reply(frame: Frame, number: int) -> dict[str, Any]:
    """Return the fields of a REPLY.

    Raises:
        ProtocolViolation: It is not the REPLY to this call.
        CallFailed: The peer refused.
    """
    fields = dict(frame.meta)
    if frame.kind is not FrameKind.REPLY or fields.pop("call", None) != number:
        raise ProtocolViolation(f"{frame.kind.name} is not the answer to this call")
    if not fields.pop("ok", False):
        reason, text = fields.get("code", DataflowError.code), fields.get("error", "")
        raise CallFailed(str(reason), str(text), bool(fields.get("retryable", False)))
    return fields


def check_size(fields: dict[str, Any], size_bytes: int) -> None:
    """Raise CallFailed unless the body has the size that was announced with its name."""
    if fields.get("size") != size_bytes:
        raise CallFailed("wrong-size", f"the peer holds {fields.get('size')} bytes, not {size_bytes}", False)


def read_part(frame: Frame, number: int) -> bytes | memoryview:
    """Return a piece of a body, uncopied.

    Raises:
        ProtocolViolation: It is not a PART of this answer.
        CallFailed: The body broke off.
    """
    if frame.kind is not FrameKind.PART or frame.meta.get("call") != number:
        raise ProtocolViolation(f"{frame.kind.name} is not a part of this answer")
    if "error" in frame.meta:
        raise CallFailed("broke-off", f"the peer cannot read the rest: {frame.meta['error']}", True)
    if not frame.payload:
        raise ProtocolViolation("a PART is empty")
    return frame.payload


def _soon(deadline: float) -> float:
    return min(deadline, time.monotonic() + CONNECT_S)
