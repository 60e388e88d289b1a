"""What may leave when: items in the order of their index, bytes within the bound, a reserve for each large one.

Small items leave at once on the thread of the caller, unless an earlier item of the same output still waits: then they
wait behind it, in its lane. A large item asks for a segment, is written into it, and leaves when it is the first of its
lane. Sent bytes that the socket does not take stay in the connection. The lock is one for all of this; it is held for
short, non-blocking work only.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from enum import Enum

from action_runtime.errors import NoActivation, OutputRefused
from action_runtime.wire.codec import encode
from action_runtime.wire.frames import KNEE_BYTES, FrameKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Final, Protocol

    from action_runtime.data_unit.firing import Firing
    from action_runtime.serde import Encoded

    class Line(Protocol):
        """The writing side of a connection."""

        backlog_bytes: int

        def write(self, data: bytes) -> None:
            """Send or keep."""

        def flush(self) -> None:
            """Send what is kept."""


MAX_RESERVES: Final = 8
"""Segments asked for, or being written, at a time; each is a descriptor here and memory in the sink."""
MAX_UNCOMMITTED: Final = 32
"""Segments asked for whose value has not left, those that wait in their lane included; the relay allows twice that."""
_TOO_LARGE: Final = (
    "it takes at most {} bytes at once; write it in parts with open_output, or ask the operator for a larger sink"
)


class State(Enum):
    """Where a large item is."""

    WAITING = "waiting"  # for its turn to ask
    RESERVED = "reserved"  # asked
    GRANTED = "granted"  # its descriptor is here; somebody writes
    READY = "ready"  # leaves as soon as it is the first of its lane
    LOST = "lost"  # refused, or could not be written


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.WAITING: frozenset({State.RESERVED}),
    State.RESERVED: frozenset({State.GRANTED, State.LOST}),
    State.GRANTED: frozenset({State.READY, State.LOST}),
    State.READY: frozenset(),
    State.LOST: frozenset(),
}


class InvalidTransition(Exception):
    """A bug: an item was moved where it cannot go."""


class Item:
    """One value that could not leave at once."""

    __slots__ = (
        "charged",
        "data",
        "descriptor",
        "firing",
        "frame",
        "meta",
        "output",
        "own",
        "reason",
        "request",
        "state",
    )

    def __init__(self, firing: Firing, output: str, meta: dict[str, Any]) -> None:
        self.firing = firing
        self.output = output
        self.meta = meta
        self.state = State.READY
        self.frame = b""
        self.data: bytes | memoryview = b""
        self.charged = 0
        """Bytes counted against the outbox's bound."""
        self.own = False
        """The thread that offered it writes it itself."""
        self.request = 0
        self.descriptor = -1
        self.reason = ""

    def move(self, state: State) -> None:
        """Change the state.

        Raises:
            InvalidTransition: The table does not allow it.
        """
        if state not in TRANSITIONS[self.state]:
            raise InvalidTransition(f"{self.state} → {state} of request {self.request}")
        self.state = state


class Outbox:
    """All that is on its way out."""

    def __init__(self, line: Line, wake: Callable[[], None]) -> None:
        """Begin, empty.

        Args:
            line: Where frames go.
            wake: Called when the data unit's thread has an item to write.
        """
        self.changed = threading.Condition(threading.Lock())
        """Its lock guards the outbox, the counters of firings and the writing side of the connection."""
        self.bound_bytes = 0
        """What callers may leave here; set from WELCOME before the first activation."""
        self.largest_bytes: int | None = None
        """The largest value that the relay can ever take; None: unknown, it refuses what is too large."""
        self.throttled = False
        self._line = line
        self._wake = wake
        self._lanes: dict[tuple[int, str], deque[Item]] = {}
        self._waiting: deque[Item] = deque()
        self._reserved: dict[int, Item] = {}
        self._to_write: deque[Item] = deque()
        self._in_hand = 0
        self._uncommitted = 0
        self._requests = 0
        self._charged = 0
        self._holding: list[Firing] = []

    @property
    def queued_bytes(self) -> int:
        """Bytes that callers handed over and the relay does not have."""
        return self._charged + self._line.backlog_bytes

    def offer(self, firing: Firing, output: str, how: str, value: Encoded, own: bool = False) -> Item | None:
        """Take a value as the next item of an output.

        Blocks while the outbox is full. Values below the knee leave at once where they can.

        Args:
            firing: Whose.
            output: Of it.
            how: `emit`, `chunk`, `field`, `spread`, `whole`.
            value: Its bytes must not change later, unless `own`.
            own: A large value is written by the caller, who waits for `granted` and then calls `fill`.

        Returns:
            The item, if it is large; None if it left or is queued.

        Raises:
            OutputMisused: See `Firing.count`.
            OutputRefused: The relay can never take a value of that size, or refused an earlier one.
            NoActivation: The function returned meanwhile.
            PeerLost: The relay is gone.
        """
        size = value.head.size_bytes
        if self.largest_bytes is not None and size > self.largest_bytes:
            raise OutputRefused(output, size, _TOO_LARGE.format(self.largest_bytes))
        with self.changed:
            if firing.failure is not None:
                raise firing.failure
            if not own:
                self._wait_for_room(size)
            if firing.closed:
                raise NoActivation("emit")
            index = 0 if how == "whole" else firing.count(output, how)
            meta = {"f": firing.number, "o": output, "i": index, "how": how, **value.head.to_meta()}
            if size < KNEE_BYTES:
                self._offer_small(firing, output, meta, value.data)
                item = None
            else:
                item = self._offer_large(firing, output, meta, value.data, own)
            if self.throttled and not own:
                self.flush()
                self.changed.wait_for(lambda: not self.throttled or not self.queued_bytes)
        return item

    def flush(self) -> None:
        """Send what the connection keeps, and wake who waits for that room: nobody else may hear of it.

        The caller holds the lock.

        Raises:
            PeerLost: The relay is gone.
        """
        self._line.flush()
        self.changed.notify_all()

    def granted(self, item: Item) -> bool:
        """Return whether a large item of the caller's own can be filled, or is lost."""
        return item.state is not State.WAITING and item.state is not State.RESERVED

    def fill(self, item: Item) -> None:
        """Write a granted item into its segment and let it leave. Blocks for the copy, without the interpreter's lock.

        Raises:
            OutputRefused: The relay refused it, or the segment took less than it promised.
            PeerLost: The relay is gone.
        """
        if item.state is State.GRANTED:
            try:
                _write_all(item.descriptor, memoryview(item.data))
                state = State.READY
            except OSError as error:
                item.reason = str(error)
                state = State.LOST
            finally:
                os.close(item.descriptor)
            with self.changed:
                self._in_hand -= 1
                item.move(state)
                item.data = b""
                self._advance(item.firing, item.output)
        if item.state is State.LOST:
            raise OutputRefused(item.output, item.meta["n"], item.reason)

    def disown(self, items: Iterable[Item | None]) -> None:
        """Leave it to the data unit's thread to write what the caller, who was to, has not."""
        with self.changed:
            for item in items:
                if item is not None and item.own and item.state not in (State.READY, State.LOST):
                    item.own = False
                    if item.state is State.GRANTED:
                        self._hand_over(item)

    def fill_granted(self) -> None:
        """Write the granted items that nobody else writes. For the data unit's thread.

        Raises:
            PeerLost: The relay is gone.
        """
        while self._to_write:
            item = self._to_write.popleft()
            try:
                self.fill(item)
            except OutputRefused as refused:
                item.firing.failure = refused

    def on_grant(self, request: int, descriptor: int) -> None:
        """Take a GRANT; owns the descriptor."""
        with self.changed:
            item = self._reserved.pop(request, None)
            if item is None:
                os.close(descriptor)
                return
            item.descriptor = descriptor
            item.move(State.GRANTED)
            self._hand_over(item)

    def on_refuse(self, request: int, reason: str) -> None:
        """Take a REFUSE: the item is lost, the caller of `emit` hears of it now or at its next call."""
        with self.changed:
            item = self._reserved.pop(request, None)
            if item is None:
                return
            item.reason = reason
            item.move(State.LOST)
            self._in_hand -= 1
            item.data = b""
            if not item.own:
                item.firing.failure = OutputRefused(item.output, item.meta["n"], reason)
            self._advance(item.firing, item.output)

    def finish(self, firing: Firing, returned: bytes) -> None:
        """Send RETURNED, and DRAINED as soon as nothing of the firing is left.

        Raises:
            PeerLost: The relay is gone.
        """
        with self.changed:
            firing.returned = True
            self._line.write(returned)
            if not firing.pending:
                self._drained(firing)

    def tell_freed(self) -> None:
        """Send FREED for each drained firing whose inputs user code let go of. For the data unit's thread.

        Raises:
            PeerLost: The relay is gone.
        """
        with self.changed:
            for firing in self._holding:
                held = firing.holding.held_bytes
                if held < firing.holding.told_bytes:
                    firing.holding.told_bytes = held
                    self._line.write(encode(FrameKind.FREED, {"f": firing.number, "held_bytes": held}))
            self._holding = [firing for firing in self._holding if firing.holding.told_bytes]

    def _wait_for_room(self, size: int) -> None:
        """Wait until `size` more bytes fit; a value above the bound is taken when nothing else is here.

        Bounded by the action's time: the platform ends a container whose function runs longer.
        """
        if self.queued_bytes and self.queued_bytes + size > self.bound_bytes:
            self.flush()
            self.changed.wait_for(lambda: not self.queued_bytes or self.queued_bytes + size <= self.bound_bytes)

    def _offer_small(self, firing: Firing, output: str, meta: dict[str, Any], data: bytes | memoryview) -> None:
        frame = encode(FrameKind.EMIT, meta, bytes(data))
        lane = self._lanes.get((firing.number, output))
        if lane is None:
            self._line.write(frame)
            return
        item = Item(firing, output, meta)
        item.frame = frame
        self._queue(lane, item, len(frame))

    def _offer_large(
        self, firing: Firing, output: str, meta: dict[str, Any], data: bytes | memoryview, own: bool
    ) -> Item:
        item = Item(firing, output, meta)
        item.state = State.WAITING
        item.data = data
        item.own = own
        lane = self._lanes.setdefault((firing.number, output), deque())
        self._queue(lane, item, 0 if own else len(data))
        self._waiting.append(item)
        self._ask()
        return item

    def _queue(self, lane: deque[Item], item: Item, charged: int) -> None:
        lane.append(item)
        item.charged = charged
        item.firing.pending += 1
        self._charged += charged

    def _ask(self) -> None:
        while self._waiting and self._in_hand < MAX_RESERVES and self._uncommitted < MAX_UNCOMMITTED:
            item = self._waiting.popleft()
            self._in_hand += 1
            self._uncommitted += 1
            self._requests += 1
            item.request = self._requests
            item.move(State.RESERVED)
            self._reserved[item.request] = item
            meta = {"r": item.request, "n": item.meta["n"], "f": item.firing.number}
            self._line.write(encode(FrameKind.RESERVE, meta))

    def _hand_over(self, item: Item) -> None:
        if item.own:
            self.changed.notify_all()
        else:
            self._to_write.append(item)
            self._wake()

    def _advance(self, firing: Firing, output: str) -> None:
        """Let leave what is first in its lane and ready; then the next may ask."""
        lane = self._lanes.get((firing.number, output))
        while lane and lane[0].state in (State.READY, State.LOST):
            item = lane.popleft()
            self._charged -= item.charged
            firing.pending -= 1
            self._uncommitted -= bool(item.request)
            if item.state is State.READY:
                self._line.write(item.frame or encode(FrameKind.EMIT, {**item.meta, "r": item.request}))
        if not lane:
            self._lanes.pop((firing.number, output), None)
        self._ask()
        if firing.returned and not firing.pending:
            self._drained(firing)
        self.changed.notify_all()

    def _drained(self, firing: Firing) -> None:
        held = firing.holding.held_bytes
        firing.holding.told_bytes = held
        self._line.write(encode(FrameKind.DRAINED, {"f": firing.number, "held_bytes": held}))
        if held:
            self._holding.append(firing)
            self._wake()  # it may have been let go before `told_bytes` was set


def _write_all(descriptor: int, data: memoryview) -> None:
    at = 0
    while at < len(data):
        at += os.pwrite(descriptor, data[at:], at)
