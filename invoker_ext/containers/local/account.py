"""What one function hands over at the local door, and what it may read there."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final

from action_runtime.wire.errors import DataflowError
from action_runtime.wire.values import WHOLE, Head
from invoker_ext.containers.assignment import Assignment, StreamEnd
from invoker_ext.containers.local.items import Refused
from invoker_ext.dataflow.commands import Value
from invoker_ext.relay.json_form import as_json
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.reserve import Segment, Ticket
from invoker_ext.sink.sink import Sink

AT_ONCE: Final = 16
"""Items of one function that may be on their way; the bodies of others are left unread until one of them is there."""
WHOLE_BYTES: Final = 16 * 1024 * 1024
"""Of all items of a function whose whole result is wanted: they become members of it, in the invoker's memory."""
_OVER: Final = "the function has returned: wait for the answer to each request before it does"


class Account:
    """One running function. Used on the loop.

    Args:
        sink: Where its outputs go.
        assignment: The function.

    Attributes:
        sink: As given.
        counts: Output → items so far.
        refusal: Why the sink refused one; None: it refused none.
        turn: Held while an item is taken.
    """

    def __init__(self, sink: Sink, assignment: Assignment) -> None:
        self.sink = sink
        self.counts: dict[str, int] = {}
        self.refusal: str | None = None
        self.turn = asyncio.Semaphore(AT_ONCE)
        self._assignment = assignment
        self._job = assignment.job
        self._owner = f"{self._job.user.namespace}/{self._job.run}"
        self._waiting: dict[asyncio.Future[Segment], Ticket] = {}
        self._kept: dict[str, list[Stored]] | None = {} if WHOLE in self._job.wants else None
        self._kept_bytes = 0
        self._fed = asyncio.Event()
        self._hungry = 0
        self._over = False

    # -- outputs ------------------------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Some item of it waits for room in the sink."""
        return bool(self._waiting)

    async def room(self, name: str, size_bytes: int) -> Segment:
        """Return a segment for an item, which must go to `commit` or be given back; waits until there is room.

        An item that the sink refuses fails the run once the function has returned, as it is missed there: a client
        that does not look at the answer must not lose it in silence.

        Raises:
            Refused: There never will be, or the function has returned.
        """
        self._admit(name, size_bytes)
        found: asyncio.Future[Segment] = asyncio.get_running_loop().create_future()
        ticket = self.sink.reserve(
            size_bytes, self._owner, partial(self._grant, found), partial(self._refuse, found, name)
        )
        if ticket.pending:
            self._waiting[found] = ticket
        try:
            return await found
        except asyncio.CancelledError:
            self._withdraw(found)
            raise

    def put(self, name: str, head: Head, data: bytes) -> None:
        """Hand over an item that is here; raises Refused as `room`."""
        self._admit(name, len(data))
        self._hand_over(name, partial(self.sink.put_bytes, head, data, self._owner))

    def commit(self, name: str, segment: Segment, head: Head) -> None:
        """Hand over an item that was written to a segment.

        Raises:
            Refused: As `room`; the segment was given back.
        """
        if self._over:
            self.sink.give_back(segment)
        self.check()
        self._hand_over(name, partial(self.sink.commit, segment, head))

    def _hand_over(self, name: str, store: Callable[[], Stored]) -> None:
        try:
            stored = store()
        except DataflowError as error:
            self._lose(name, str(error))
            raise Refused(507, str(error)) from error
        index = self.counts.get(name, 0)
        self.counts[name] = index + 1
        if self._kept is not None:
            stored.retain()
            self._kept.setdefault(name, []).append(stored)
        self._job.listener.emitted(name, index, "emit", stored)

    def _admit(self, name: str, size_bytes: int) -> None:
        self.check()
        if self._kept is None:
            return
        self._kept_bytes += size_bytes
        if self._kept_bytes > WHOLE_BYTES:
            text = (
                f"items of a function whose whole result somebody reads have at most {WHOLE_BYTES} bytes together: read"
                " outputs by their names, in a workflow"
            )
            raise self.refuse(name, 413, text)

    def refuse(self, name: str, status: int, text: str) -> Refused:
        """Return the answer to an item that is not taken, and have it missed at the end."""
        self._lose(name, text)
        return Refused(status, text)

    def check(self) -> None:
        """Raise Refused if the function has returned."""
        if self._over:
            raise Refused(409, _OVER)

    def _grant(self, found: asyncio.Future[Segment], segment: Segment) -> None:
        self._waiting.pop(found, None)
        if found.done():
            self.sink.give_back(segment)
        else:
            found.set_result(segment)

    def _refuse(self, found: asyncio.Future[Segment], name: str, reason: str) -> None:
        self._waiting.pop(found, None)
        self._lose(name, reason)
        if not found.done():
            found.set_exception(Refused(507, reason))

    def _lose(self, name: str, reason: str) -> None:
        self.refusal = reason
        self.counts[name] = self.counts.get(name, 0) + 1

    def _withdraw(self, found: asyncio.Future[Segment]) -> None:
        ticket = self._waiting.pop(found, None)
        if ticket is not None:
            ticket.cancel()
        elif found.done() and not found.cancelled() and found.exception() is None:
            self.sink.give_back(found.result())

    # -- inputs -------------------------------------------------------------------------------------

    def input(self, name: str) -> Value:
        """Return what is bound to a parameter; raises Refused if nothing is."""
        self.check()
        names = [bound.name for bound in self._job.inputs if bound.name != WHOLE]
        for bound in self._job.inputs:
            if bound.name == name and name in names:
                return bound.value
        raise Refused(404, f"no edge leads to an input {name!r}; those there are: {', '.join(names) or 'none'}")

    async def parts(self, name: str) -> AsyncIterator[Stored]:
        """Give the parts of a streamed input as they come; each is good until the next is asked for.

        They are gone then, if the function began before they came; else they are among its arguments, too.

        Raises:
            Refused: The stream broke off, or the function has returned.
        """
        queue = self._assignment.streams.setdefault(name, deque())
        stays = not self._job.opens_streams
        at = 0
        while True:
            await self._come(queue, at)
            part = queue[at]
            if isinstance(part, StreamEnd):
                if part.error is not None:
                    raise Refused(502, part.error)
                return
            if stays:
                at += 1
                yield part
                continue
            queue.popleft()
            try:
                yield part
            finally:
                part.release()
            self._job.listener.taken(name, 1)

    async def _come(self, queue: deque[Stored | StreamEnd], at: int) -> None:
        self.check()
        self._hungry += 1
        try:
            while len(queue) <= at:
                self._fed.clear()
                await self._fed.wait()
                self.check()
        finally:
            self._hungry -= 1

    @property
    def waits_for_parts(self) -> bool:
        """It has read all that came of a streamed input, and wants more."""
        return self._hungry > 0

    def fed(self) -> None:
        """Take note that parts have come."""
        self._fed.set()

    # -- the end ------------------------------------------------------------------------------------

    def members(self) -> dict[str, bytes]:
        """Return the items by output as JSON texts for the whole result: one as it is, several as a list.

        Raises:
            OSError: Spilled bytes cannot be read back.
        """
        members = {}
        for name, items in (self._kept or {}).items():
            texts = [as_json(one.head, one.read()) for one in items]
            members[name] = texts[0] if len(texts) == 1 else b"[" + b", ".join(texts) + b"]"
        return members

    def stop(self) -> None:
        """The function is over: nothing more is taken or given. Idempotent."""
        self._over = True
        self._fed.set()
        waiting, self._waiting = self._waiting, {}
        for found, ticket in waiting.items():
            ticket.cancel()
            if not found.done():
                found.set_exception(Refused(409, _OVER))

    def close(self) -> None:
        """Let go of everything. Idempotent."""
        self.stop()
        kept, self._kept = self._kept, None
        for items in (kept or {}).values():
            for one in items:
                one.release()
