"""Hands messages to doors of other hosts, over one connection to each that stays; for a loop.

Nothing waits for a connection: what cannot be handed over now takes another way. For calls whose answer is awaited
there is `async_client.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from action_runtime.wire.codec import encode_head
from action_runtime.wire.errors import DataflowError
from action_runtime.wire.frames import Frame, FrameKind
from invoker_ext.door.connection import PeerConnection, dial
from invoker_ext.door.far import Caller
from invoker_ext.door.greeting import Use
from invoker_ext.door.places import FarPlace, read_place
from invoker_ext.tasks import Tasks

_log = logging.getLogger(__name__)

ANSWER_S: Final = 2.0
DIAL_S: Final = 3.0
MAX_MESSAGES: Final = 48
"""Under way to one door; fewer than it lets wait (`server.MAX_QUEUED_CALLS`)."""
MAX_BYTES: Final = 8 * 1024 * 1024
"""Of those."""
MAX_MESSAGE_BYTES: Final = 2 * 1024 * 1024
MAX_DOORS: Final = 64
"""Known at a time; of one more nothing is handed over while all have a connection."""
FIRST_REST_S: Final = 0.2
LONGEST_REST_S: Final = 10.0

Told = Callable[[bool], None]
"""Whether the door has the message; False: nobody knows, or it refused."""


class Messenger:
    """All doors. Lives on the loop.

    Args:
        caller: Who we are.
        answer_s: A door that does not say in this time that it has a message is given up, with all that was sent to it.
    """

    def __init__(self, caller: Caller, answer_s: float = ANSWER_S) -> None:
        self._caller = caller
        self._answer_s = answer_s
        self._tasks = Tasks()
        self._doors: dict[str, _Door] = {}
        self._closed = False

    def meet(self, name: str) -> None:
        """Begin to connect to a door, if there is no connection: there will be something for it soon."""
        door = self._doors.get(name)
        if door is None:
            door = self._known(name)
        now = asyncio.get_running_loop().time()
        if door is None or self._closed or door.line is not None or now < door.rests_until:
            return
        door.line = line = _Line(self._caller, door, self._answer_s)
        self._tasks.spawn(self._connect(door, line), f"meet {name}")

    def hand(self, name: str, op: str, fields: dict[str, Any], payload: bytes | memoryview, told: Told) -> bool:
        """Hand a message over.

        Args:
            name: Of the door.
            op: Of the call there.
            fields: JSON values.
            payload: Bytes beside them.
            told: Called once, not from within, if the message was sent.

        Returns:
            Whether it was sent; False: there is no connection, or too much is under way.
        """
        door = self._doors.get(name)
        line = door.line if door is not None else None
        if line is None or self._closed:
            return False
        return line.hand({**fields, "op": op}, payload, told)

    async def close(self) -> None:
        """Disconnect; what is under way was not handed over. Idempotent."""
        self._closed = True
        for door in self._doors.values():
            if door.line is not None:
                door.line.abort()
                door.line.give_up()
        await self._tasks.close()

    def _known(self, name: str) -> _Door | None:
        try:
            place = read_place(name)
        except ValueError:
            return None
        if not isinstance(place, FarPlace):
            return None
        if len(self._doors) >= MAX_DOORS:
            # A controller that was started elsewhere leaves the door that it had.
            left = next((known for known, door in self._doors.items() if door.line is None), None)
            if left is None:
                return None
            del self._doors[left]
        door = self._doors[name] = _Door(place)
        return door

    async def _connect(self, door: _Door, line: _Line) -> None:
        place = door.place
        try:
            await dial(line, (place.host, place.port), Use.DOOR, self._caller.credentials, DIAL_S)
        except DataflowError as error:
            _log.warning("a door cannot be reached", extra={"door": str(place), "error": str(error)})
            door.rest(line)


@dataclass(slots=True, eq=False)
class _Door:
    """One door.

    Attributes:
        line: The connection, be it under way; None: there is none.
        rests_until: Instant of the loop before which no other one is tried.
    """

    place: FarPlace
    line: _Line | None = None
    rests_until: float = 0.0
    _rest_s: float = 0.0

    def reached(self) -> None:
        """Hear that the connection is there."""
        self._rest_s = 0.0

    def rest(self, line: _Line) -> None:
        """Let go of a connection; the next one is tried at once if this was one, else later each time."""
        if self.line is not line:
            return
        self.line = None
        self.rests_until = asyncio.get_running_loop().time() + self._rest_s
        self._rest_s = min(max(2 * self._rest_s, FIRST_REST_S), LONGEST_REST_S)


@dataclass(slots=True, frozen=True)
class _Sent:
    """A message under way."""

    told: Told
    size_bytes: int
    due: float


class _Line(PeerConnection):
    """One connection."""

    def __init__(self, caller: Caller, door: _Door, answer_s: float) -> None:
        super().__init__(caller.greeting(), DIAL_S)
        self._answer_s = answer_s
        self._door = door
        self._number = 0
        self._sent: dict[int, _Sent] = {}
        self._sent_bytes = 0
        self._timer_of_oldest: asyncio.TimerHandle | None = None

    def hand(self, fields: dict[str, Any], payload: bytes | memoryview, told: Told) -> bool:
        """See `Messenger.hand`."""
        size = len(payload)
        fits = len(self._sent) < MAX_MESSAGES and self._sent_bytes + size <= MAX_BYTES and size <= MAX_MESSAGE_BYTES
        if not fits or self.paused or not self.connected or not self.greeting.is_over():
            return False
        self._number += 1
        self._sent[self._number] = _Sent(told, size, self._loop.time() + self._answer_s)
        self._sent_bytes += size
        self.send(encode_head(FrameKind.CALL, {**fields, "call": self._number}, size), payload)
        self.flush()
        if self._timer_of_oldest is None:
            self._timer_of_oldest = self._loop.call_later(self._answer_s, self._look)
        return True

    def on_greeted(self) -> None:
        """See `PeerConnection`."""
        super().on_greeted()
        self._door.reached()

    def on_message(self, frame: Frame) -> None:
        """Take an answer."""
        sent = self._sent.pop(frame.meta.get("call", 0), None)
        if sent is not None:
            self._sent_bytes -= sent.size_bytes
            sent.told(frame.kind is FrameKind.REPLY and frame.meta.get("ok") is True)

    def on_gone(self, error: DataflowError) -> None:
        """See `PeerConnection`."""
        self.give_up()

    def give_up(self) -> None:
        """Take all that is under way for lost."""
        if self._timer_of_oldest is not None:
            self._timer_of_oldest.cancel()
            self._timer_of_oldest = None
        self._door.rest(self)
        sent, self._sent = self._sent, {}
        self._sent_bytes = 0
        for one in sent.values():
            one.told(False)

    def _look(self) -> None:
        """See whether the oldest message was answered."""
        self._timer_of_oldest = None
        oldest = next(iter(self._sent.values()), None)
        if oldest is None:
            return
        if oldest.due <= self._loop.time():
            _log.warning("a door does not answer", extra={"door": str(self._door.place), "messages": len(self._sent)})
            self.abort()
            self.give_up()
        else:
            self._timer_of_oldest = self._loop.call_at(oldest.due, self._look)
