"""The side that is asked: bytes go from segment or spill file to the socket by `sendfile`, or through TLS."""

from __future__ import annotations

import asyncio
import io
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from action_runtime.wire.codec import encode, encode_head
from action_runtime.wire.errors import DataflowError, ProtocolViolation
from action_runtime.wire.frames import Frame, FrameKind
from invoker_ext.door.connection import PeerConnection
from invoker_ext.door.errors import NotHeld
from invoker_ext.door.greeting import Accepting
from invoker_ext.peers.bounds import Bounds
from invoker_ext.peers.bulk.credit import Allowance
from invoker_ext.peers.bulk.thread import BulkThread

_log = logging.getLogger(__name__)

_TLS_BYTES: Final = 256 * 1024
"""Read at a time where the bytes must pass through this process."""
_COPIED_BYTES: Final = 128 * 1024
"""Up to here bytes go with the head of their frame in one write: cheaper than what surrounds a `sendfile`."""


@dataclass(slots=True, frozen=True)
class Loan:
    """A datum that a transfer uses.

    Attributes:
        descriptor: Readable; of the transfer, which closes it.
        size_bytes: Of the datum.
        back: Called on the invoker's loop when it is no longer used.
    """

    descriptor: int
    size_bytes: int
    back: Callable[[], None]


class Lender:
    """The way from the bulk thread to what this host offers."""

    def __init__(self, thread: BulkThread, lend: Callable[[str], Loan | None]) -> None:
        """Lend what `lend` finds on the invoker's loop."""
        self._thread = thread
        self._lend = lend

    async def borrow(self, name: str) -> Loan | None:
        """Return a datum by name; None: it is not offered. On the bulk thread's loop."""
        answer: asyncio.Future[Loan | None] = asyncio.get_running_loop().create_future()
        self._thread.call_home(self._ask, name, answer)
        return await answer

    def give_back(self, loan: Loan) -> None:
        """End a loan. On the bulk thread's loop."""
        os.close(loan.descriptor)
        self._thread.call_home(loan.back)

    def _ask(self, name: str, answer: asyncio.Future[Loan | None]) -> None:
        self._thread.call(self._answer, answer, self._lend(name))

    def _answer(self, answer: asyncio.Future[Loan | None], loan: Loan | None) -> None:
        if not answer.cancelled():
            answer.set_result(loan)
        elif loan is not None:
            self.give_back(loan)


class Sender(PeerConnection):
    """One bulk connection that a peer made; sends one datum at a time."""

    def __init__(
        self, greeting: Accepting, bounds: Bounds, lender: Lender, left: Callable[[Sender], None], tls: bool
    ) -> None:
        """Wait for the peer.

        Args:
            greeting: Our side of it.
            bounds: Of everything.
            lender: Has the data.
            left: Called when the peer is authenticated, or gone before, and when it is gone after.
            tls: The bytes must be encrypted in this process.
        """
        super().__init__(greeting, bounds.greeting_s)
        self._bounds = bounds
        self._lender = lender
        self._left = left
        self._tls = tls
        self._task: asyncio.Task[None] | None = None
        self._next: dict[str, Any] | None = None  # a fetch that came before the end of the last one was seen here
        self._allowance: Allowance | None = None
        self._granted = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    def on_greeted(self) -> None:
        """Hear that the peer is authenticated."""
        super().on_greeted()
        self._left(self)

    def on_message(self, frame: Frame) -> None:
        """Take a fetch, or credit for the one that is under way."""
        if frame.kind is FrameKind.FETCH and self._task is None:
            self._begin(frame.meta)
        elif frame.kind is FrameKind.FETCH and self._next is None:
            self._next = frame.meta
        elif frame.kind is FrameKind.CREDIT and self._allowance is not None:
            self._allowance.grant(frame.meta.get("bytes"))
            self._granted.set()
        else:
            raise ProtocolViolation(f"{frame.kind.name} is not allowed here on a bulk connection")

    def on_lost(self) -> None:
        """Hear the end."""
        super().on_lost()
        self._left(self)
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """Asyncio's call."""
        super().pause_writing()
        self._writable.clear()

    def on_resumed(self) -> None:
        """Go on."""
        self._writable.set()

    def _begin(self, meta: dict[str, Any]) -> None:
        self._task = self._loop.create_task(self._serve(meta), name="peer-send")
        self._task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._task = self._allowance = None
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, OSError | DataflowError):  # a TimeoutError is an OSError
            _log.info("transfer broke off", extra={"peer": self.peer, "error": str(error) or "too slow"})
        elif error is not None:
            _log.error("transfer failed", exc_info=error, extra={"peer": self.peer})
        if error is not None:
            self.abort()
        elif self._next is not None:
            meta, self._next = self._next, None
            self._begin(meta)

    async def _serve(self, meta: dict[str, Any]) -> None:
        name = meta.get("name")
        offset, credit = meta.get("offset"), meta.get("credit")
        if not isinstance(name, str) or type(offset) is not int or type(credit) is not int:
            raise ProtocolViolation("a fetch is malformed")
        loan = await self._lender.borrow(name)
        if loan is None:
            error = NotHeld(name)
            self.send(encode(FrameKind.HOLDS, {"code": error.code, "error": str(error)}))
            return
        try:
            allowance = self._allowance = Allowance(offset, loan.size_bytes, credit)
            self.send(encode(FrameKind.HOLDS, {"size": loan.size_bytes}))
            with io.FileIO(loan.descriptor, "rb", closefd=False) as file:
                while not allowance.over:
                    async with asyncio.timeout(self._bounds.lost_s):
                        count = await self._credit(allowance)
                        await self._send_part(file, allowance.at, count)
                    allowance.sent(count)
        finally:
            self._lender.give_back(loan)

    async def _credit(self, allowance: Allowance) -> int:
        while not (count := allowance.next_bytes()):
            self._granted.clear()
            await self._granted.wait()
        return count

    async def _send_part(self, file: io.FileIO, at: int, count: int) -> None:
        self.send(encode_head(FrameKind.PART, {}, count))
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the connection broke")
        if not self._tls and count > _COPIED_BYTES:
            self.flush()
            await self._loop.sendfile(transport, file, at, count, fallback=False)
            return
        end = at + count
        while at < end:
            await self._writable.wait()
            content = os.pread(file.fileno(), min(_TLS_BYTES, end - at), at)
            if not content:
                raise OSError("the datum is shorter than it was")
            self.send(content)
            self.flush()
            at += len(content)
