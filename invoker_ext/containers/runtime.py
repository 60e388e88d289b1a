"""A container that runs the action runtime: its jobs go over a session with the relay."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any, Final

from action_runtime.wire.errors import DataflowError, PeerLost, ProtocolViolation
from action_runtime.wire.frames import FrameKind
from action_runtime.wire.values import Head, Media
from invoker_ext.containers.assignment import Assignment, StreamEnd, init_value, run_environment
from invoker_ext.containers.container import Container, Host
from invoker_ext.containers.driver import Handle
from invoker_ext.containers.job import Failure, Job, Report
from invoker_ext.containers.states import State
from invoker_ext.dataflow.commands import Streamed
from invoker_ext.relay.dispatch import send_end, send_part, send_run
from invoker_ext.relay.layout import lay_out
from invoker_ext.relay.session import Session
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.sink import Sink

INLINE_CODE_BYTES: Final = 1024 * 1024
"""Larger code travels as a segment (PROTOCOL.md, INIT)."""
UNTAKEN_PARTS: Final = 8
"""Parts of a streamed input that user code has not taken (PROTOCOL.md, TAKEN)."""

_STOCK_WORDS: Final = {
    Failure.INIT_DIED: "Cannot start action. Check logs for details.",
    Failure.RUN_DIED: "command exited",
}
"""Stock keeps the function in a child of a proxy, which answers for it; here it is the container's one process."""
_BREACH: Final = "The container was ended because something in it broke the protocol of its session: {}."


class RuntimeContainer(Container):
    """Translates between jobs and the session's frames.

    Args:
        number: The pool's.
        name: For people and records.
        host: Who owns it.
        loop: The invoker's.
        sink: Where its outputs go.
        outbox_bytes: Bound of the container's DLU queue.
    """

    _last_words = _STOCK_WORDS

    def __init__(
        self, number: int, name: str, host: Host, loop: asyncio.AbstractEventLoop, sink: Sink, outbox_bytes: int
    ) -> None:
        super().__init__(number, name, host, loop)
        self._sink = sink
        self._outbox_bytes = outbox_bytes
        self._session: Session | None = None
        self._held: dict[int, int] = {}  # firing → bytes of its inputs that are still mapped

    def start(self, handle: Handle, start_timeout_s: float) -> None:
        """See Container."""
        super().start(handle, start_timeout_s)
        handle.when_reachable(self._connect)

    def _connect(self) -> None:
        sock = self._handle.session if self._handle is not None else None
        if sock is None:
            return
        self._session = Session(sock, self._sink, self, self._loop, owner="", outbox_bytes=self._outbox_bytes)
        if self.state in (State.REMOVING, State.GONE):
            self._disconnect()

    def feed(self, assignment: Assignment, name: str) -> None:
        """See Container."""
        session, parts = self._session, assignment.streams.get(name)
        if session is None or assignment.began is None or assignment.returned or parts is None:
            return
        while parts:
            part = parts[0]
            if isinstance(part, StreamEnd):
                send_end(session, assignment.ticket, name, part.error)
                assignment.ended |= {name}
            elif session.unread(assignment.ticket, name) >= UNTAKEN_PARTS:
                return
            else:
                try:
                    send_part(session, assignment.ticket, name, part)
                except OSError as error:
                    send_end(session, assignment.ticket, name, f"a part could not be read back: {error.strerror}")
                part.release()
            parts.popleft()

    def throttle(self, *, on: bool) -> None:
        """See Container."""
        if self._session is not None:
            self._session.send(FrameKind.THROTTLE, {"on": on})

    @property
    def waits_for_parts(self) -> bool:
        """See Container."""
        current, session = self.current, self._session
        if session is None or current is None or current.began is None:
            return False
        return any(
            isinstance(bound.value, Streamed)
            and bound.name not in current.ended
            and not current.streams.get(bound.name)
            and not session.unread(current.ticket, bound.name)
            for bound in current.job.inputs
        )

    @property
    def waits_for_room(self) -> bool:
        """See Container."""
        return self._session is not None and self._session.waits

    def outflow(self) -> tuple[int, float | None]:
        """See Container."""
        session = self._session
        if session is None or not session.backlog_bytes:
            return 0, None
        return session.backlog_bytes, session.bandwidth.bytes_per_s(time.monotonic())

    def _send_init(self, job: Job, timeout_s: float) -> None:
        if self._session is None:
            return
        meta = init_value(job, timeout_s)
        code = str(job.code.get("code") or "").encode()
        self._session.owner = job.user.namespace
        if len(code) <= INLINE_CODE_BYTES:
            self._session.send(FrameKind.INIT, meta, code)
            return
        try:
            stored = self._sink.put_segment(Head(Media.BYTES, len(code)), code, job.user.namespace)
        except DataflowError as error:
            self._inited(str(error), ok=False)
            return
        self._session.send(FrameKind.INIT, {**meta, "n": len(code)}, descriptors=(stored.descriptor(),))
        stored.release()

    def _send_run(self, assignment: Assignment) -> None:
        job, session, f = assignment.job, self._session, assignment.ticket
        if session is None:
            return
        layout = lay_out(job.inputs, self._sink.put_segment)
        meta = {
            "env": run_environment(job, job.timeout_s),
            "wants": job.wants,
            "plain": job.plain,
            "timeout_ms": round(job.timeout_s * 1000),
        }
        session.open_firing(f, job.run)
        try:
            send_run(session, f, meta, layout, partial(self._announce, assignment))
        except (DataflowError, OSError):
            session.close_firing(f)
            raise

    def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    # -- what the session says (relay.session.Listener) ----------------------------------------------

    def hello(self, meta: dict[str, Any]) -> None:
        """See Listener."""
        del meta
        self._is_up()

    def inited(self, meta: dict[str, Any]) -> None:
        """See Listener.

        Raises:
            ProtocolViolation: It was not asked.
        """
        if self.state is not State.INITIALISING:
            raise ProtocolViolation("INITED answers no INIT")
        self._inited(meta.get("error"), ok=meta["ok"])

    def emitted(self, f: int, output: str, index: int, how: str, stored: Stored) -> None:
        """See Listener."""
        self.firings[f].job.listener.emitted(output, index, how, stored)

    def returned(self, meta: dict[str, Any], payload: bytes) -> None:
        """See Listener."""
        report = Report(
            status=meta["status"],
            characters=meta["n"],
            counts={name: (how, count) for name, (how, count) in meta["counts"].items()},
            body=payload.rstrip(b"\n") or None,
            digest=meta.get("digest"),
            clashes=tuple(meta.get("clash", ())),
        )
        self._returned(self.firings[meta["f"]], report)

    def drained(self, meta: dict[str, Any]) -> None:
        """See Listener."""
        f, held = meta["f"], meta["held_bytes"]
        refusal = self._session.refusal(f) if self._session is not None else None
        self._hold(f, held)
        self._drained(self.firings[f], refusal)

    def freed(self, meta: dict[str, Any]) -> None:
        """See Listener."""
        f = meta["f"]
        if f not in self.firings:  # before it has drained its inputs are its own business
            self._hold(f, meta["held_bytes"])
            self._host.has_freed(self)

    def taken(self, meta: dict[str, Any]) -> None:
        """See Listener."""
        assignment = self.firings.get(meta["f"])
        if assignment is not None:
            assignment.job.listener.taken(meta["input"], meta["count"])
            self.feed(assignment, meta["input"])

    def closed(self, error: DataflowError | None) -> None:
        """See Listener."""
        if error is not None:
            self._lost(None if isinstance(error, PeerLost) else _BREACH.format(error))

    def _hold(self, f: int, held_bytes: int) -> None:
        """Keep a drained firing open on the session as long as user code keeps its inputs."""
        if held_bytes:
            self._held[f] = held_bytes
        else:
            self._held.pop(f, None)
            if self._session is not None:
                self._session.close_firing(f)
        self.held_bytes = sum(self._held.values())
