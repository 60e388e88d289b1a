"""All bulk connections of a host, as its invoker's loop sees them."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

from invoker_ext.door.connection import Address, accept
from invoker_ext.door.credentials import Credentials
from invoker_ext.door.errors import PeerRefused
from invoker_ext.door.greeting import Accepting, Name, Use
from invoker_ext.peers.bounds import Bounds
from invoker_ext.peers.bulk.reader import Order, Readers
from invoker_ext.peers.bulk.sender import Lender, Loan, Sender
from invoker_ext.peers.bulk.thread import BulkThread


class Bulk:
    """Fetches and serves; made on the invoker's loop, works in a thread of its own."""

    def __init__(
        self,
        me: int,
        credentials: Credentials,
        bounds: Bounds,
        lend: Callable[[str], Loan | None],
        left: Callable[[], None],
    ) -> None:
        """Make one that is not started.

        Args:
            me: Our number.
            credentials: Ours.
            bounds: Of everything.
            lend: Finds a datum that we offer; called on the invoker's loop.
            left: Called on the invoker's loop when a connection that was taken is authenticated, or gone before.
        """
        self._me = me
        self._credentials = credentials
        self._bounds = bounds
        self._stranger_left = left
        self._thread = BulkThread()
        self._lender = Lender(self._thread, lend)
        self._readers = Readers(me, credentials, bounds)
        self._strangers: set[Sender] = set()
        self._guests: set[Sender] = set()
        self._accepting: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def close(self) -> None:
        """Break off all transfers and end the thread; idempotent."""
        self._thread.call(self._abort_all)
        await self._thread.close()

    async def fetch(self, order: Order, address: Address) -> None:
        """Bring the rest of an order; raises as `Readers.fetch`. When it returns, nothing uses its descriptor."""
        await self._thread.run(lambda: self._readers.fetch(order, address))

    def take(self, sock: socket.socket) -> None:
        """Serve a connection that a peer made."""
        self._thread.call(self._welcome, sock)

    def drop(self, peer: int) -> None:
        """Close the idle connections to a peer that is gone."""
        self._thread.call(self._readers.drop, peer)

    # --- in the thread ------------------------------------------------------------------------------------------

    def _welcome(self, sock: socket.socket) -> None:
        greeting = Accepting(self._me, Use.BULK, secrets.token_hex(16), self._credentials, self._admit)
        tls = self._credentials.server
        sender = Sender(greeting, self._bounds, self._lender, self._left, tls is not None)
        self._strangers.add(sender)
        work = accept(sender, sock, self._credentials, self._bounds.greeting_s)
        task = asyncio.get_running_loop().create_task(work, name="peer-accept")
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    def _admit(self, peer: Name, terms: dict[str, Any]) -> dict[str, Any]:
        if Counter(guest.peer for guest in self._guests)[peer] >= self._bounds.guests:
            raise PeerRefused(f"invoker {peer} has too many bulk connections")
        return {}

    def _left(self, sender: Sender) -> None:
        if sender in self._strangers:
            self._strangers.remove(sender)
            self._thread.call_home(self._stranger_left)
            if sender.greeting.is_over():
                self._guests.add(sender)
                return
        self._guests.discard(sender)

    def _abort_all(self) -> None:
        self._readers.close()
        for sender in [*self._strangers, *self._guests]:
            sender.abort()
