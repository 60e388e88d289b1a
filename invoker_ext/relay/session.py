"""The relay's end of one container's connection. PROTOCOL.md says what each frame means."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Any, Final, Protocol

from action_runtime.wire.errors import DataflowError, ProtocolViolation, VersionMismatch
from action_runtime.wire.frames import KNEE_BYTES, PROTOCOL_VERSION, Frame, FrameKind
from action_runtime.wire.values import Head
from invoker_ext.relay.bandwidth import Bandwidth
from invoker_ext.relay.channel import Buffers, Channel
from invoker_ext.relay.firings import OpenFiring, Phase
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.reserve import Segment, Ticket
from invoker_ext.sink.sink import Sink

logger = logging.getLogger(__name__)

MAX_RESERVES: Final = 64
"""Unanswered or uncommitted reserves of one container: each may be a descriptor of the invoker's, of which a handful of
containers must not take all. The runtime's own bound is half of it."""
_HOWS: Final = frozenset({"emit", "chunk", "field", "spread", "whole"})
_STATUSES: Final = frozenset({"ok", "error", "invalid", "null", "exited"})


class Listener(Protocol):
    """Hears what a container says, on the loop. Metas were checked for type and firing, not for meaning."""

    def hello(self, meta: dict[str, Any]) -> None:
        """The container is there and was welcomed; it may be initialised."""

    def inited(self, meta: dict[str, Any]) -> None:
        """The answer to INIT."""

    def emitted(self, f: int, output: str, index: int, how: str, stored: Stored) -> None:
        """A datum is in the sink; the listener owns one reference to it."""

    def returned(self, meta: dict[str, Any], payload: bytes) -> None:
        """The function returned; the container takes the next RUN."""

    def drained(self, meta: dict[str, Any]) -> None:
        """All outputs of the firing have been committed."""

    def freed(self, meta: dict[str, Any]) -> None:
        """User code let go of inputs it had kept."""

    def taken(self, meta: dict[str, Any]) -> None:
        """User code took parts of a streamed input."""

    def closed(self, error: DataflowError | None) -> None:
        """The session is over and holds nothing any more; last call. None: this side closed it."""


class SessionState(Enum):
    """Where a session is."""

    GREETING = "greeting"  # only HELLO may come
    OPEN = "open"
    CLOSED = "closed"


class Session:
    """One container. Whatever it sends, the worst outcome is that its own session is closed.

    Attributes:
        owner: Namespace on whose behalf the container runs; may be set once it is known.
        state: Where the session is.
        backlog_bytes: Asked for by RESERVE and not committed yet: what is still in the container.
        bandwidth: How fast segments are committed.
    """

    def __init__(
        self,
        sock: socket.socket,
        sink: Sink,
        listener: Listener,
        loop: asyncio.AbstractEventLoop,
        *,
        owner: str,
        outbox_bytes: int,
    ) -> None:
        """Take over the relay's end of a container's socket.

        Args:
            sock: A connected stream socket; owned from here on.
            sink: Where its data go.
            listener: Who hears.
            loop: The invoker's.
            owner: Namespace, or empty while it is not known.
            outbox_bytes: Bound of the container's DLU queue, told in WELCOME.
        """
        self.owner = owner
        self.state = SessionState.GREETING
        self.backlog_bytes = 0
        self.bandwidth = Bandwidth()
        self._sink = sink
        self._listener = listener
        self._outbox_bytes = outbox_bytes
        self._firings: dict[int, OpenFiring] = {}
        self._last_run = ""
        self._tickets: dict[int, Ticket] = {}
        self._granted: dict[int, Segment] = {}
        self._handlers: dict[FrameKind, Callable[[Frame], None]] = {
            FrameKind.EMIT: self._emit,
            FrameKind.RETURNED: self._returned,
            FrameKind.DRAINED: self._drained,
            FrameKind.RESERVE: self._reserve,
            FrameKind.FREED: self._freed,
            FrameKind.TAKEN: self._taken,
            FrameKind.INITED: self._inited,
        }
        self._channel = Channel(sock, loop, self._take, self._free)

    # --- what the pool may do -----------------------------------------------------------------------------------

    def send(
        self, kind: FrameKind, meta: dict[str, Any], payload: bytes = b"", descriptors: Sequence[int] = ()
    ) -> None:
        """Send a frame; see `Channel.send`."""
        self._channel.send(kind, meta, payload, descriptors)

    def send_head(self, head: bytes, parts: Buffers) -> None:
        """Send a frame whose head is encoded already; see `Channel.send_head`."""
        self._channel.send_head(head, parts)

    def open_firing(self, f: int, run: str = "") -> None:
        """Allow the container to speak of a firing. Must precede its RUN.

        Args:
            f: Unique on this session.
            run: Activation id of its run.
        """
        self._firings[f] = OpenFiring(run)
        self._last_run = run

    def close_firing(self, f: int) -> None:
        """Forget a firing: what it was lent is taken back, what it still says is a violation. Idempotent."""
        firing = self._firings.pop(f, None)
        if firing is not None:
            firing.take_back(self._sink)

    def lend(self, f: int, stored: Stored) -> None:
        """Pin an input for an open firing until its container reports the map gone, the firing or the session ends."""
        self._firings[f].lend(self._sink, stored)

    def lend_part(self, f: int, name: str, stored: Stored) -> None:
        """Pin a part of a streamed input of an open firing until user code has taken it."""
        self._firings[f].lend_part(self._sink, name, stored)

    def unread(self, f: int, name: str) -> int:
        """Return how many parts of a streamed input user code has not taken; the protocol allows 8."""
        return self._firings[f].unread(name)

    def refusal(self, f: int) -> str | None:
        """Return why the sink refused an output of an open firing; None: it refused none."""
        return self._firings[f].refusal

    @property
    def waits(self) -> bool:
        """Some of its reserves have been neither granted nor refused."""
        return bool(self._tickets)

    @property
    def unsent_bytes(self) -> int:
        """What the container has not read yet."""
        return self._channel.unsent_bytes

    def close(self) -> None:
        """Close the connection; the listener hears `closed(None)` before this returns. Idempotent."""
        self._channel.close()

    # --- what the container may say -----------------------------------------------------------------------------

    def _take(self, frame: Frame) -> None:
        if self.state is SessionState.OPEN:
            handler = self._handlers.get(frame.kind)
            if handler is None:
                raise ProtocolViolation(f"a container may not send {frame.kind.name} now")
            handler(frame)
        elif frame.kind is FrameKind.HELLO:
            self._hello(frame)
        else:
            raise ProtocolViolation(f"a session begins with HELLO, not {frame.kind.name}")

    def _hello(self, frame: Frame) -> None:
        theirs = frame.meta.get("protocol")
        if type(theirs) is not int or abs(theirs - PROTOCOL_VERSION) > 1:
            raise VersionMismatch(theirs, PROTOCOL_VERSION)
        self.state = SessionState.OPEN
        bounds = {"outbox_bytes": self._outbox_bytes, "largest_bytes": self._sink.largest_bytes}
        self.send(FrameKind.WELCOME, {"protocol": PROTOCOL_VERSION, **bounds})
        self._listener.hello(frame.meta)

    def _inited(self, frame: Frame) -> None:
        if type(frame.meta.get("ok")) is not bool:
            raise ProtocolViolation("INITED does not say whether it is ok")
        self._listener.inited(frame.meta)

    def _emit(self, frame: Frame) -> None:
        meta = frame.meta
        f, firing = self._firing(meta)
        if firing.phase is Phase.DRAINED:
            raise ProtocolViolation("EMIT of a firing that has drained")
        output, index, how = meta.get("o"), meta.get("i"), meta.get("how")
        if type(output) is not str or type(index) is not int or index < 0:
            raise ProtocolViolation("EMIT does not name its output")
        if type(how) is not str or how not in _HOWS:
            raise ProtocolViolation("EMIT does not say how its output was produced")
        head = Head.from_meta(meta)
        request = meta.get("r")
        stored = self._keep(head, frame.payload, firing) if request is None else self._commit(request, head)
        self._listener.emitted(f, output, index, how, stored)

    def _keep(self, head: Head, payload: bytes | memoryview, firing: OpenFiring) -> Stored:
        size = len(payload)
        if size != head.size_bytes:
            raise ProtocolViolation(f"EMIT announces {head.size_bytes} bytes and brings {size}")
        owner = f"{self.owner}/{firing.run}"
        if size < KNEE_BYTES:
            return self._sink.put_inline(head, bytes(payload), owner)
        return self._sink.put_bytes(head, payload, owner)

    def _commit(self, request: object, head: Head) -> Stored:
        segment = self._granted.pop(request, None) if type(request) is int else None
        if segment is None:
            raise ProtocolViolation("EMIT names a reserve that was not granted")
        stored = self._sink.commit(segment, head)
        self.backlog_bytes -= segment.size_bytes
        self.bandwidth.moved(time.monotonic(), segment.size_bytes, more=self.backlog_bytes > 0)
        return stored

    def _returned(self, frame: Frame) -> None:
        meta = frame.meta
        _, firing = self._firing(meta)
        status, characters, counts = meta.get("status"), meta.get("n"), meta.get("counts")
        if type(status) is not str or status not in _STATUSES or type(characters) is not int or characters < 0:
            raise ProtocolViolation("RETURNED lacks its status")
        if type(counts) is not dict or not all(map(_is_count, counts.values())):
            raise ProtocolViolation("RETURNED lacks its counts")
        clash, digest = meta.get("clash", []), meta.get("digest", "")
        if type(clash) is not list or not all(type(name) is str for name in clash) or type(digest) is not str:
            raise ProtocolViolation("RETURNED does not name what clashes, or its digest, by texts")
        firing.move(Phase.RETURNED)
        self._listener.returned(meta, bytes(frame.payload))

    def _drained(self, frame: Frame) -> None:
        _, firing = self._firing(frame.meta)
        held = _held_bytes(frame.meta)
        firing.move(Phase.DRAINED)
        # The listener first: what the release brings about, up to `on_stuck`, finds it up to date.
        self._listener.drained(frame.meta)
        if not held:
            firing.take_back(self._sink)

    def _freed(self, frame: Frame) -> None:
        _, firing = self._firing(frame.meta)
        held = _held_bytes(frame.meta)
        self._listener.freed(frame.meta)
        if not held and firing.phase is Phase.DRAINED:
            firing.take_back(self._sink)

    def _taken(self, frame: Frame) -> None:
        meta = frame.meta
        _, firing = self._firing(meta)
        name, count = meta.get("input"), meta.get("count")
        if type(name) is not str or type(count) is not int:
            raise ProtocolViolation("TAKEN does not say what was taken")
        firing.taken(self._sink, name, count)
        self._listener.taken(meta)

    def _firing(self, meta: dict[str, Any]) -> tuple[int, OpenFiring]:
        f = meta.get("f")
        firing = self._firings.get(f) if type(f) is int else None
        if type(f) is not int or firing is None:
            raise ProtocolViolation("a container speaks of a firing that it does not run")
        return f, firing

    # --- reserves -----------------------------------------------------------------------------------------------

    def _reserve(self, frame: Frame) -> None:
        request, size = frame.meta.get("r"), frame.meta.get("n")
        if type(request) is not int or type(size) is not int or size <= 0:
            raise ProtocolViolation("RESERVE does not say how many bytes it is for")
        if request in self._tickets or request in self._granted:
            raise ProtocolViolation(f"reserve {request} is under way already")
        if len(self._tickets) + len(self._granted) >= MAX_RESERVES:
            raise ProtocolViolation(f"more than {MAX_RESERVES} reserves at once")
        firing = self._firing(frame.meta)[1] if "f" in frame.meta else None
        run = self._last_run if firing is None else firing.run
        self.backlog_bytes += size
        self.bandwidth.began(time.monotonic())
        ticket = self._sink.reserve(
            size, f"{self.owner}/{run}", partial(self._grant, request), partial(self._refuse, request, size, firing)
        )
        if ticket.pending:
            self._tickets[request] = ticket

    def _grant(self, request: int, segment: Segment) -> None:
        self._tickets.pop(request, None)
        self._granted[request] = segment
        self._channel.send(FrameKind.GRANT, {"r": request}, b"", (segment.descriptor,))

    def _refuse(self, request: int, size_bytes: int, firing: OpenFiring | None, reason: str) -> None:
        self._tickets.pop(request, None)
        if firing is not None:
            firing.refusal = reason
        self.backlog_bytes -= size_bytes
        if not self.backlog_bytes:
            self.bandwidth.stopped()
        self._channel.send(FrameKind.REFUSE, {"r": request, "error": reason})

    # --- the end ------------------------------------------------------------------------------------------------

    def _free(self, error: DataflowError | None) -> None:
        """Give back all that is held for the container: the one place where a session frees."""
        self.state = SessionState.CLOSED
        for ticket in list(self._tickets.values()):
            ticket.cancel()
        self._tickets.clear()
        granted, self._granted = self._granted, {}
        for segment in granted.values():
            self._sink.give_back(segment)
        for f in list(self._firings):
            self.close_firing(f)
        self.backlog_bytes = 0
        self.bandwidth.stopped()
        if error is not None:
            logger.info("session closed", extra={"code": error.code, "reason": str(error), "owner": self.owner})
        self._listener.closed(error)


def _held_bytes(meta: dict[str, Any]) -> int:
    held = meta.get("held_bytes")
    if type(held) is not int or held < 0:
        raise ProtocolViolation("a container does not say how many bytes it still maps")
    return held


def _is_count(entry: object) -> bool:
    """Tell whether a member of `counts` is `[HOW, count]`."""
    if type(entry) is not list or len(entry) != 2:
        return False
    how, count = entry
    return type(how) is str and how in _HOWS and type(count) is int and count >= 0
