"""The sink of a host: the shell that carries out what the ledger decides. Everything runs on the invoker's one loop."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final

from action_runtime.wire.frames import KNEE_BYTES
from action_runtime.wire.values import Head
from invoker_ext.sink import segments
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.errors import SegmentBusy, SegmentExpired, SegmentMismatch, SpillFailed
from invoker_ext.sink.held import Inline, Kept
from invoker_ext.sink.ledger import Ledger
from invoker_ext.sink.reserve import Segment, SinkSettings, Ticket
from invoker_ext.sink.spill import sweep
from invoker_ext.sink.supply import Supply
from invoker_ext.sink.terms import Command, Grant, Refuse, Spill, State, Stuck, Usage
from invoker_ext.sink.threads import Threads

logger = logging.getLogger(__name__)

_SPILL_RETRY_S: Final = 10.0
"""After the disk was full."""


class Sink:
    """Holds data. No locks: only the threads it starts (`threads.py`) run elsewhere.

    Callbacks (`grant`, `refuse`, `on_stuck`) are called on the loop, possibly before the call that caused them returns,
    and may call the sink again.
    """

    def __init__(
        self,
        settings: SinkSettings,
        loop: asyncio.AbstractEventLoop,
        on_stuck: Callable[[Stuck], None] | None = None,
    ) -> None:
        """Open an empty sink.

        Args:
            settings: Bounds.
            loop: The one everything is called on; must outlive the sink.
            on_stuck: Called when requests wait and the sink cannot make room by itself, and again after each release
                that was not enough. Only firings that let go of data can help then; if none is left that could, call
                `refuse_waiting`. None: the youngest request is refused.
        """
        if settings.spill_folder is not None:
            sweep(settings.spill_folder)
        self._settings = settings
        self._loop = loop
        self._on_stuck = on_stuck or self._refuse_youngest
        self._ledger = Ledger(settings.limits)
        self._keys = itertools.count(1)
        self._tickets: dict[int, Ticket] = {}
        self._segments: dict[int, Segment] = {}
        self._kept: dict[int, Kept] = {}
        self._todo: deque[Command] = deque()
        self._busy = False
        self._closed = False
        self._threads = Threads(loop)
        self._supply = Supply(self._threads, loop, settings.spare_bytes, lambda: self._ledger.room_bytes)
        self._spill_timer: asyncio.TimerHandle | None = None

    # --- data that are here already -----------------------------------------------------------------------------

    def put_inline(self, head: Head, data: bytes, owner: str = "") -> Stored:
        """Keep bytes as they are; does not copy, never waits. For values below the knee.

        Args:
            head: What they are; `size_bytes` must be their number.
            data: Kept by reference.
            owner: `namespace/run`.
        """
        if commands := self._ledger.hold_inline(owner, len(data)):
            self._carry_out(commands)
        return Inline(head, data, owner, self._free_inline)

    def put_bytes(self, head: Head, data: bytes | memoryview, owner: str = "") -> Stored:
        """Keep bytes that the invoker made itself: inline below the knee, else in a segment; copies once.

        Never waits, since the bytes are in memory already; blocks the loop for about 0.4 ms a MiB.

        Raises:
            SinkFull: The system has no memory or descriptor left.
        """
        if len(data) < KNEE_BYTES:
            return self.put_inline(head, bytes(data), owner)
        return self.put_segment(head, data, owner)

    def put_segment(self, head: Head, data: bytes | memoryview, owner: str = "") -> Stored:
        """Keep bytes in a segment, however few, one allocated ahead if there is one; as `put_bytes`.

        Raises:
            SinkFull: The system has no memory or descriptor left.
        """
        key = next(self._keys)
        spare = self._supply.take(len(data))
        kept = self._kept[key] = Kept(key, head, segments.from_bytes(data, spare), self._let_go)
        self._carry_out(self._ledger.hold(key, owner, len(data)))
        return kept

    # --- data that a container will write -----------------------------------------------------------------------

    def reserve(
        self,
        size_bytes: int,
        owner: str,
        grant: Callable[[Segment], None],
        refuse: Callable[[str], None],
        *,
        pages_later: bool = False,
    ) -> Ticket:
        """Ask for room for a value of `size_bytes` > 0. Exactly one of the callbacks is called, unless cancelled.

        Args:
            size_bytes: Of the value.
            owner: `namespace/run`; requests of a namespace above its share wait longer.
            grant: Takes a segment that must go to `commit` or `give_back`.
            refuse: Takes a sentence for the action's developer.
            pages_later: The invoker itself writes the segment, by `pwrite`: it need not wait for its pages.
        """
        answers = (grant, refuse)
        ticket = Ticket(next(self._keys), owner, size_bytes, answers, self._withdraw, pages_later=pages_later)
        self._tickets[ticket.key] = ticket
        self._carry_out(self._ledger.ask(ticket.key, owner, size_bytes))
        return ticket

    def commit(self, segment: Segment, head: Head) -> Stored:
        """Seal a written segment: from here on nobody can change it. The caller owns one reference. Copies nothing.

        Raises:
            SegmentBusy: The writer still maps it for writing; the segment was given back.
            SegmentMismatch: The value cannot be in it; the segment was given back.
            SegmentExpired: The segment was given back before, for its run is no more.
        """
        if segment.key not in self._segments:
            raise SegmentExpired(segment.size_bytes)
        try:
            if head.size_bytes > segment.size_bytes:
                raise SegmentMismatch(head.size_bytes, segment.size_bytes)
            reader = segments.seal(segment.descriptor, segment.size_bytes)
        except (SegmentBusy, SegmentMismatch):
            self.give_back(segment)
            raise
        del self._segments[segment.key]
        os.close(segment.descriptor)
        kept = self._kept[segment.key] = Kept(segment.key, head, reader, self._let_go)
        self._carry_out(self._ledger.commit(segment.key))
        return kept

    def give_back(self, segment: Segment) -> None:
        """Free a granted segment that will not be committed."""
        if self._segments.pop(segment.key, None) is not None:
            self._threads.shut(segment.descriptor, segment.size_bytes)
            self._carry_out(self._ledger.free(segment.key))

    def refuse_waiting(self, owner: str, reason: str) -> int:
        """Refuse every request of an owner that waits for room; returns how many. For runs that must fail."""
        waiting = [
            ticket
            for ticket in self._tickets.values()
            if ticket.owner == owner and self._ledger.state(ticket.key) is State.WAITING
        ]
        for ticket in waiting:
            self._turn_down(ticket.key, reason)
        return len(waiting)

    def expire(self, owner: str) -> None:
        """Free what an owner holds and no container maps; for runs that are no more (`orphans.py`).

        References to it are dead from here on: releasing one does nothing, using one raises InvalidTransition.
        """
        for key in self._ledger.unmapped_of(owner):
            if kept := self._kept.get(key):
                self._let_go(kept, kept.move_to(-1))
            elif segment := self._segments.get(key):
                self.give_back(segment)
            else:
                self._turn_down(key, "the run that asked for room has ended")
        self._carry_out(self._ledger.expire_inline(owner))

    # --- use ----------------------------------------------------------------------------------------------------

    def pin(self, stored: Stored) -> None:
        """Add a reference for a container that will map the datum; it stays where it is until `unpin`."""
        stored.retain()
        if isinstance(stored, Kept):
            self._ledger.pin(stored.key)

    def unpin(self, stored: Stored) -> None:
        """Drop the reference of a container that has let go of the datum."""
        if isinstance(stored, Kept) and not self._closed:
            self._carry_out(self._ledger.unpin(stored.key))
        stored.release()

    @property
    def largest_bytes(self) -> int:
        """The largest value that `reserve` can ever grant."""
        return self._ledger.largest_bytes

    @property
    def usage(self) -> Usage:
        """What is held now; for metrics, not for the path of a datum."""
        return self._ledger.usage

    def unmapped(self) -> Mapping[str, int]:
        """Return the bytes of each owner that no container maps; costs a walk over all data."""
        return self._ledger.unmapped()

    @property
    def spare_bytes(self) -> int:
        """Allocated ahead and not in use."""
        return self._supply.spare_bytes

    def stuck(self) -> Stuck | None:
        """Return who waits and why, if only firings that let go of data can make room."""
        return self._ledger.stuck()

    def close(self) -> None:
        """Free everything, also what is still referenced; requests are dropped unanswered. Idempotent.

        Blocks until the threads have ended: at most one stride of a spill and the allocations under way.
        """
        if self._closed:
            return
        self._closed = True
        if self._spill_timer is not None:
            self._spill_timer.cancel()
        self._threads.close()
        self._supply.close()
        for segment in self._segments.values():
            os.close(segment.descriptor)
        for kept in self._kept.values():
            os.close(kept.move_to(-1))
        for books in (self._segments, self._kept, self._tickets, self._todo):
            books.clear()

    # --- carrying out -------------------------------------------------------------------------------------------

    def _carry_out(self, commands: Sequence[Command]) -> None:
        """Do what the ledger asked for; what follows from callbacks is queued behind, so nothing recurses."""
        self._todo.extend(commands)
        if self._busy:
            return
        self._busy = True
        try:
            while self._todo:
                self._do(self._todo.popleft())
        finally:
            self._busy = False

    def _do(self, command: Command) -> None:
        match command:
            case Grant(key):
                self._provide(key)
            case Refuse(key, reason):
                if ticket := self._tickets.pop(key, None):
                    ticket.pending = False
                    ticket.refuse(reason)
            case Spill(key):
                self._spill(key)
            case Stuck():
                self._on_stuck(command)

    def _provide(self, key: int) -> None:
        """Find memory for a granted request."""
        ticket = self._tickets.get(key)
        if ticket is not None:
            found, failed = partial(self._hand_out, key), partial(self._turn_down, key)
            self._supply.find(ticket.size_bytes, found, failed, pages_later=ticket.pages_later)

    def _hand_out(self, key: int, descriptor: int, have_bytes: int) -> None:
        ticket = self._tickets.pop(key, None)
        if ticket is None:  # cancelled while its memory was being allocated
            self._threads.shut(descriptor, have_bytes)
            return
        ticket.pending = False
        segments.fix_size(descriptor, ticket.size_bytes, have_bytes)
        segment = self._segments[key] = Segment(key, ticket.size_bytes, descriptor)
        ticket.grant(segment)

    def _turn_down(self, key: int, reason: str) -> None:
        if ticket := self._tickets.pop(key, None):
            ticket.pending = False
            self._carry_out(self._ledger.free(key))
            ticket.refuse(reason)

    def _withdraw(self, ticket: Ticket) -> None:
        ticket.pending = False
        if self._tickets.pop(ticket.key, None) is not None and not self._closed:
            self._carry_out(self._ledger.free(ticket.key))

    def _refuse_youngest(self, stuck: Stuck) -> None:
        for key in reversed(self._tickets):
            if self._ledger.state(key) is State.WAITING:
                logger.warning("request refused", extra={"owner": stuck.owners[-1], "reason": stuck.reason})
                self._turn_down(key, f"the data sink cannot take this value: {stuck.reason}, and nothing frees it")
                return

    def _spill(self, key: int) -> None:
        kept = self._kept.get(key)
        folder = self._settings.spill_folder
        if kept is None or folder is None or self._ledger.state(key) is not State.SPILLING:
            self._carry_out(self._ledger.spilled(key)[1])
            return
        self._threads.spill(kept.descriptor(), kept.size_bytes, folder, partial(self._copied, key))

    def _copied(self, key: int, future: Future[int]) -> None:
        error = future.exception()
        if isinstance(error, SpillFailed):
            folder = str(self._settings.spill_folder)
            logger.warning("spilling failed", extra={"error": str(error), "folder": folder})
            if self._spill_timer is None:
                self._spill_timer = self._loop.call_later(_SPILL_RETRY_S, self._spill_again)
            self._carry_out(self._ledger.spill_failed(key, str(error)))
            return
        reader = future.result()
        wanted, commands = self._ledger.spilled(key)
        if wanted:
            kept = self._kept[key]
            self._threads.shut(kept.move_to(reader), kept.size_bytes)
        else:
            os.close(reader)
        self._carry_out(commands)

    def _spill_again(self) -> None:
        self._spill_timer = None
        self._carry_out(self._ledger.spill_again())

    def _let_go(self, kept: Kept, descriptor: int) -> None:
        if self._kept.pop(kept.key, None) is not None:
            self._threads.shut(descriptor, kept.size_bytes)
            self._carry_out(self._ledger.free(kept.key))

    def _free_inline(self, owner: str, size_bytes: int) -> None:
        if commands := self._ledger.free_inline(owner, size_bytes):
            self._carry_out(commands)
