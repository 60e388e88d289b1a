"""The control connection to one peer: made when it is wanted, made again when it breaks, given up beyond the bound."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, Protocol

import orjson

from action_runtime.wire.codec import encode, encode_head_of
from action_runtime.wire.errors import DataflowError, ProtocolViolation
from action_runtime.wire.frames import Frame, FrameKind
from invoker_ext.door.connection import Address, PeerConnection, dial
from invoker_ext.door.credentials import Credentials
from invoker_ext.door.errors import PeerRefused
from invoker_ext.door.greeting import Accepting, Dialling, Use
from invoker_ext.peers.bounds import Bounds
from invoker_ext.peers.conversation import Conversation, read_opening
from invoker_ext.peers.errors import InvalidTransition, PeerGone, QueueFull

_log = logging.getLogger(__name__)

_FIRST_WAIT_S: Final = 0.05
_LONGEST_WAIT_S: Final = 1.0
_MISSED_PULSES: Final = 3


class LinkState(Enum):
    """Where the connection to a peer is."""

    RESTING = "resting"  # nobody has wanted it yet
    DIALLING = "dialling"
    AWAY = "away"  # broken, or not reached: dialled again soon
    UP = "up"
    LOST = "lost"  # away beyond the bound: nothing happens until the peer is seen again
    CLOSED = "closed"


TRANSITIONS: Final[Mapping[LinkState, frozenset[LinkState]]] = {
    LinkState.RESTING: frozenset({LinkState.DIALLING, LinkState.AWAY, LinkState.UP, LinkState.CLOSED}),
    LinkState.DIALLING: frozenset({LinkState.UP, LinkState.AWAY, LinkState.LOST, LinkState.CLOSED}),
    LinkState.AWAY: frozenset({LinkState.DIALLING, LinkState.UP, LinkState.LOST, LinkState.CLOSED}),
    LinkState.UP: frozenset({LinkState.UP, LinkState.AWAY, LinkState.LOST, LinkState.CLOSED}),
    LinkState.LOST: frozenset({LinkState.RESTING, LinkState.UP, LinkState.CLOSED}),
    LinkState.CLOSED: frozenset(),
}


class Neighbourhood(Protocol):
    """What a link needs of who holds all links."""

    @property
    def me(self) -> int:
        """Our number."""

    @property
    def credentials(self) -> Credentials:
        """Of this host."""

    @property
    def bounds(self) -> Bounds:
        """Of everything."""

    def arrived(self, peer: int, kind: str, meta: dict[str, Any], payload: bytes) -> None:
        """Take a message."""

    def gone(self, peer: int) -> None:
        """Hear that what was said to a peer may be lost, and that it has forgotten us or will."""

    def link(self, peer: int) -> Link:
        """Return the link to a peer."""


class Link:
    """One peer. Lives on the invoker's loop.

    Attributes:
        number: Of the peer.
        state: Of its connection.
        address: Where it listens; None: not known.
    """

    def __init__(self, number: int, around: Neighbourhood) -> None:
        self.number = number
        self.state = LinkState.RESTING
        self.address: Address | None = None
        self._around = around
        self._loop = asyncio.get_running_loop()
        bounds = around.bounds
        self._talk = Conversation(secrets.token_hex(8), bounds.backlog_messages, bounds.backlog_bytes)
        self._connection: Control | None = None
        self._dial: asyncio.Task[None] | None = None
        self._greeting = False
        self._wait_s = _FIRST_WAIT_S
        self._missed = 0
        self._pulse_timer: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._waiters: set[asyncio.Future[None]] = set()

    # --- from above ---------------------------------------------------------------------------------------------

    def know(self, address: Address) -> None:
        """Take the peer's address; one that was lost may be spoken to again."""
        changed, self.address = address != self.address, address
        if self.state is LinkState.LOST:
            self._move(LinkState.RESTING)
        elif changed and self.state in (LinkState.DIALLING, LinkState.AWAY):
            self._stop_dialling()
            self._wait_s = 0.0
            self._dial = self._loop.create_task(self._dial_on(address), name="peer-dial")

    def say(self, kind: str, meta: dict[str, Any], payload: bytes) -> None:
        """Send a message, now or when the peer is reached.

        Raises:
            PeerGone: It is lost, or it takes nothing.
            FrameTooLarge: The message is too large.
        """
        self._want()
        message = encode_head_of(FrameKind.MESSAGE, orjson.dumps({"k": kind, "m": meta}), len(payload)) + payload
        try:
            self._talk.say(message)
        except QueueFull as error:
            self._lose(str(error))
            raise PeerGone(self.number, str(error)) from error
        if self._connection is not None:
            self._connection.send(message)

    async def reached(self) -> None:
        """Wait until the peer is connected; raises PeerGone, at the latest when it is lost."""
        self._want()
        if self.state is LinkState.UP:
            return
        waiter = self._loop.create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def close(self) -> None:
        """Disconnect; idempotent."""
        if self.state is LinkState.CLOSED:
            return
        self._move(LinkState.CLOSED)
        self._stop_dialling()
        self._cancel_deadline()
        self._drop_connection()
        self._wake(PeerGone(self.number, "this host leaves"))

    # --- from the connection ------------------------------------------------------------------------------------

    def admit(self, terms: dict[str, Any]) -> dict[str, Any]:
        """Take a connection that the peer has made and proven; return what it is told.

        Raises:
            PeerRefused: We are about to be connected by a connection of our own, or leave.
        """
        read_opening(terms)
        if self.state is LinkState.CLOSED:
            raise PeerRefused("this host leaves")
        if self._greeting and self._around.me < self.number:
            raise PeerRefused("both sides connect: the other connection is kept")
        self._stop_dialling()
        self._drop_connection()
        return self._talk.opening()

    def attach(self, connection: Control, terms: dict[str, Any]) -> None:
        """Use a connection from here on; raises ProtocolViolation."""
        opening = read_opening(terms)
        if self._talk.met and not self._talk.resumes(opening):
            _log.warning("peer has begun anew", extra={"peer": self.number})
            self._talk.forget()
            self._around.gone(self.number)
        rest = self._talk.meet(opening)
        self._connection = connection
        self._greeting = False
        self._wait_s = _FIRST_WAIT_S
        self._missed = 0
        self._cancel_deadline()
        self._move(LinkState.UP)
        connection.send(*rest)
        self._pulse_timer = self._loop.call_later(self._around.bounds.pulse_s, self._beat)
        self._wake(None)
        _log.info("peer connected", extra={"peer": self.number, "address": connection.transport_name()})

    def take(self, connection: Control, frame: Frame) -> None:
        """Take a frame; raises ProtocolViolation."""
        if connection is not self._connection:
            return  # of a connection that was given up
        self._missed = 0
        if frame.kind is FrameKind.PULSE:
            self._talk.confirmed(frame.meta.get("taken"))
        elif frame.kind is FrameKind.MESSAGE:
            kind, meta = frame.meta.get("k"), frame.meta.get("m")
            if not isinstance(kind, str) or not isinstance(meta, dict):
                raise ProtocolViolation("a message between hosts is malformed")
            if self._talk.take(len(frame.payload)):
                self._confirm(connection)
            self._around.arrived(self.number, kind, meta, bytes(frame.payload))
        else:
            raise ProtocolViolation(f"{frame.kind.name} is not allowed on a control connection")

    def cut(self, connection: Control) -> None:
        """Hear that a connection has ended."""
        if connection is not self._connection:
            return
        _log.info("peer disconnected", extra={"peer": self.number})
        self._connection = None
        self._stop_pulse()
        self._move(LinkState.AWAY)
        self._be_away()

    # --- ways and means -----------------------------------------------------------------------------------------

    def _want(self) -> None:
        if self.state in (LinkState.LOST, LinkState.CLOSED):
            raise PeerGone(self.number, f"it is {self.state.value}")
        if self.state is LinkState.RESTING:
            self._move(LinkState.AWAY)
            self._wait_s = 0.0
            self._be_away()

    def _be_away(self) -> None:
        """Dial until the peer is back or the bound is reached."""
        self._deadline = self._loop.call_later(self._around.bounds.lost_s, self._overdue)
        if self.address is not None:
            self._dial = self._loop.create_task(self._dial_on(self.address), name="peer-dial")

    async def _dial_on(self, address: Address) -> None:
        around = self._around
        while True:
            # The side with the lower number goes first, so that the two seldom meet half-way.
            await asyncio.sleep(self._wait_s if around.me < self.number else 2 * self._wait_s)
            self._move(LinkState.DIALLING)
            nonce = secrets.token_hex(16)
            greeting = Dialling(around.me, self.number, Use.CONTROL, nonce, around.credentials, self._terms)
            connection = Control(greeting, around)
            try:
                await dial(connection, address, Use.CONTROL, around.credentials, around.bounds.greeting_s)
                return
            except DataflowError as error:
                _log.info("peer not reached", extra={"peer": self.number, "error": str(error), "code": error.code})
            self._greeting = False
            self._move(LinkState.AWAY)
            self._wait_s = min(max(2 * self._wait_s, _FIRST_WAIT_S), _LONGEST_WAIT_S)

    def _terms(self) -> dict[str, Any]:
        self._greeting = True
        return self._talk.opening()

    def _stop_dialling(self) -> None:
        self._greeting = False
        task, self._dial = self._dial, None
        if task is not None:
            task.cancel()
        if self.state is LinkState.DIALLING:
            self._move(LinkState.AWAY)

    def _overdue(self) -> None:
        self._lose(f"not reached for {self._around.bounds.lost_s:g} s")

    def _lose(self, reason: str) -> None:
        _log.warning("peer lost", extra={"peer": self.number, "reason": reason})
        self._stop_dialling()
        self._cancel_deadline()
        self._drop_connection()
        self._talk.renew(secrets.token_hex(8))
        self._move(LinkState.LOST)
        self._wake(PeerGone(self.number, reason))
        self._around.gone(self.number)

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        self._stop_pulse()
        if connection is not None:
            connection.abort()

    def _beat(self) -> None:
        """Give a sign of life; look whether the other side has given any."""
        connection = self._connection
        if connection is None:
            return
        self._missed += 1
        if self._missed > _MISSED_PULSES:
            _log.warning("peer is silent", extra={"peer": self.number})
            connection.abort()
            return
        self._confirm(connection)
        self._pulse_timer = self._loop.call_later(self._around.bounds.pulse_s, self._beat)

    def _stop_pulse(self) -> None:
        if self._pulse_timer is not None:
            self._pulse_timer.cancel()
            self._pulse_timer = None

    def _confirm(self, connection: Control) -> None:
        connection.send(encode(FrameKind.PULSE, {"taken": self._talk.confirm()}))

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _wake(self, error: PeerGone | None) -> None:
        for waiter in self._waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

    def _move(self, state: LinkState) -> None:
        if state not in TRANSITIONS[self.state]:
            raise InvalidTransition(f"the link to invoker {self.number} cannot go from {self.state} to {state}")
        self.state = state


class Control(PeerConnection):
    """A control connection, made by either side."""

    def __init__(
        self, greeting: Dialling | Accepting, around: Neighbourhood, left: Callable[[], None] | None = None
    ) -> None:
        """Wait for the connection.

        Args:
            greeting: Our side of it.
            around: Has the links.
            left: Called when the peer is authenticated, or gone before.
        """
        super().__init__(greeting, around.bounds.greeting_s)
        self._around = around
        self._left = left

    def on_greeted(self) -> None:
        """Give itself to the link of its peer."""
        super().on_greeted()
        self._leave()
        self._around.link(self.number).attach(self, self.greeting.terms)

    def on_lost(self) -> None:
        """Hear the end."""
        super().on_lost()
        self._leave()

    def _leave(self) -> None:
        left, self._left = self._left, None
        if left is not None:
            left()

    def on_message(self, frame: Frame) -> None:
        """See `Link.take`."""
        self._around.link(self.number).take(self, frame)

    def on_gone(self, error: DataflowError) -> None:
        """See `Link.cut`."""
        self._around.link(self.number).cut(self)
