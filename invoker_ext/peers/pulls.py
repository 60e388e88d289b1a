"""Data that come from peers: one transfer each, however many wait for it."""

from __future__ import annotations

import asyncio
import os
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Final
from weakref import WeakValueDictionary

from action_runtime.wire.errors import PeerLost
from action_runtime.wire.frames import KNEE_BYTES
from invoker_ext.peers.bounds import Bounds
from invoker_ext.peers.bulk.reader import Order
from invoker_ext.peers.errors import PeerGone, TransferFailed
from invoker_ext.peers.ref import Ref
from invoker_ext.peers.transfer import Transfer
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.errors import SinkFull
from invoker_ext.sink.held import Inline, Kept
from invoker_ext.sink.reserve import Segment
from invoker_ext.sink.sink import Sink

Key = tuple[int, str]

_TRY_AGAIN_S: Final = 0.2
"""After a transfer was cut without a byte while the peer is there."""

_RESUMED_KEPT: Final = 32


class Pulls:
    """Lives on the invoker's loop."""

    def __init__(
        self,
        sink: Sink,
        bounds: Bounds,
        reached: Callable[[int], Awaitable[None]],
        fetch: Callable[[Order], Awaitable[None]],
        ask: Callable[[Ref], Awaitable[bytes]],
    ) -> None:
        """Begin without any.

        Args:
            sink: Takes them.
            bounds: Of everything.
            reached: Waits until a peer is connected; raises PeerGone.
            fetch: Brings the rest of a large datum, once; raises PeerLost if it was cut.
            ask: Brings a small one.
        """
        self._sink = sink
        self._bounds = bounds
        self._reached = reached
        self._fetch = fetch
        self._ask = ask
        self._under_way: dict[Key, _Pull] = {}
        self._here: WeakValueDictionary[Key, Inline | Kept] = WeakValueDictionary()
        self._slots: dict[int, asyncio.Semaphore] = {}
        self.moved_bytes: Counter[int] = Counter()
        """By peer; for metrics."""
        self.resumed_at: deque[int] = deque(maxlen=_RESUMED_KEPT)
        """At which byte the latest of those that were cut went on; for metrics and tests."""
        self.transfers = 0
        """That were begun; for metrics and tests."""

    async def pull(self, ref: Ref, owner: str) -> Stored:
        """Return a datum with a reference for the caller; see `Peers.pull`."""
        key = (ref.host, ref.name)
        while (pull := self._under_way.get(key)) is not None and pull.given_up:
            await asyncio.wait([pull.task])  # those who wanted it have left; it ends, and begins anew
        here = self._here.get(key)
        if here is not None and here.held:
            here.retain()
            return here
        if pull is None:
            task = asyncio.get_running_loop().create_task(self._bring(ref, owner), name="peer-pull")
            pull = self._under_way[key] = _Pull(task)
            task.add_done_callback(lambda _: self._ended(key))
        return await pull.wait()

    def fail(self, peer: int, error: PeerGone) -> None:
        """End all transfers from a peer that has begun anew: what it held is gone."""
        for (host, _), pull in self._under_way.items():
            if host == peer:
                pull.fail(error)

    async def close(self) -> None:
        """End all; idempotent."""
        pulls = list(self._under_way.values())
        for pull in pulls:
            pull.give_up()
        await asyncio.gather(*(pull.task for pull in pulls), return_exceptions=True)

    def _ended(self, key: Key) -> None:
        pull = self._under_way.pop(key)
        pull.settle(PeerGone(key[0], "this host leaves"))

    async def _bring(self, ref: Ref, owner: str) -> Stored:
        self.transfers += 1
        if ref.size_bytes < KNEE_BYTES:
            data = await self._ask(ref)
            stored = self._sink.put_inline(ref.head, data, owner)
        else:
            stored = await self._bring_large(ref, owner)
        self.moved_bytes[ref.host] += ref.size_bytes
        if isinstance(stored, Inline | Kept):
            self._here[ref.host, ref.name] = stored
        return stored

    async def _bring_large(self, ref: Ref, owner: str) -> Stored:
        transfer = Transfer(ref.size_bytes, self._bounds.tries)
        segment = await self._room(ref.size_bytes, owner)
        # A descriptor of its own: the sink may expire the segment while another thread writes.
        descriptor = os.dup(segment.descriptor)
        try:
            transfer.has_room()
            await self._move(ref, transfer, descriptor)
        except BaseException:
            transfer.fails()
            self._sink.give_back(segment)
            raise
        finally:
            os.close(descriptor)
        return self._sink.commit(segment, ref.head)

    async def _move(self, ref: Ref, transfer: Transfer, descriptor: int) -> None:
        order = Order(ref.host, ref.name, ref.size_bytes, descriptor)
        slots = self._slots.setdefault(ref.host, asyncio.Semaphore(self._bounds.bulk_connections))
        async with slots:
            while True:
                await self._reached(ref.host)
                transfer.begins()
                before = order.at
                try:
                    await self._fetch(order)
                except PeerLost as error:
                    if not transfer.was_cut(order.at):
                        raise TransferFailed(f"a datum does not come from invoker {ref.host}: {error}") from error
                    self.resumed_at.append(order.at)
                    if order.at == before:
                        await asyncio.sleep(_TRY_AGAIN_S)
                else:
                    transfer.is_whole()
                    return

    async def _room(self, size_bytes: int, owner: str) -> Segment:
        """Return room in the sink; raises SinkFull with the sink's reason."""
        answer: asyncio.Future[Segment] = asyncio.get_running_loop().create_future()

        def grant(segment: Segment) -> None:
            if answer.done():  # cancelled, and the ticket not withdrawn yet
                self._sink.give_back(segment)
            else:
                answer.set_result(segment)

        def refuse(reason: str) -> None:
            if not answer.done():
                answer.set_exception(SinkFull(reason))

        ticket = self._sink.reserve(size_bytes, owner, grant, refuse, pages_later=True)
        try:
            return await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                self._sink.give_back(answer.result())
            ticket.cancel()
            raise


class _Pull:
    """One datum on its way, and those who wait for it.

    Attributes:
        given_up: Its task was cancelled and has not ended yet.
    """

    def __init__(self, task: asyncio.Task[Stored]) -> None:
        self.task = task
        self.given_up = False
        self._waiters: set[asyncio.Future[Stored]] = set()

    async def wait(self) -> Stored:
        """Return the datum with a reference for this caller; with the last caller that gives up the transfer ends."""
        waiter: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().release()
            raise
        finally:
            self._waiters.discard(waiter)
            if not self._waiters:
                self.give_up()

    def fail(self, error: PeerGone) -> None:
        """End it."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(error)
        self.give_up()

    def settle(self, left: PeerGone) -> None:
        """Hand everybody what came of it; called once the task is done.

        Args:
            left: What they get who wait for one that was ended by `Pulls.close`.
        """
        task = self.task
        error = left if task.cancelled() else task.exception()
        waiters = [waiter for waiter in self._waiters if not waiter.done()]
        if error is not None:
            for waiter in waiters:
                waiter.set_exception(error)
            return
        stored = task.result()
        for waiter in waiters:
            stored.retain()
            waiter.set_result(stored)
        stored.release()

    def give_up(self) -> None:
        """End it, once."""
        if not self.given_up and not self.task.done():
            self.given_up = True
            self.task.cancel()
