"""Everything about other hosts, as the rest of the invoker sees it. Lives on the invoker's loop."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import secrets
import socket
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakSet

from action_runtime.wire.errors import ProtocolViolation
from action_runtime.wire.frames import KNEE_BYTES
from invoker_ext.door.connection import accept
from invoker_ext.door.credentials import Credentials
from invoker_ext.door.errors import CannotListen, NotHeld
from invoker_ext.door.greeting import Accepting, Name, Use
from invoker_ext.door.listener import Listener
from invoker_ext.door.places import read_address
from invoker_ext.peers.bounds import Bounds
from invoker_ext.peers.bulk.bulk import Bulk
from invoker_ext.peers.bulk.reader import Order
from invoker_ext.peers.bulk.sender import Loan
from invoker_ext.peers.errors import PeerGone, PeerUnknown, TransferFailed
from invoker_ext.peers.link import Control, Link
from invoker_ext.peers.pulls import Pulls
from invoker_ext.peers.ref import Ref
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.sink import Sink

_log = logging.getLogger(__name__)

_ASK: Final = "$ask"
_ANSWER: Final = "$answer"
"""Messages for small data; all others are passed on."""
_ANSWER_S: Final = 60.0
"""For a small datum from a peer that is there but busy."""


def _nobody_hears(peer: int, kind: str, meta: dict[str, Any], payload: bytes) -> None:
    raise ProtocolViolation(f"nobody takes messages of kind {kind[:40]!r}")


def _shut(sock: socket.socket, left: Callable[[], None]) -> None:
    sock.close()
    left()


def _nobody_cares(peer: int) -> None:
    """Do nothing."""


class Peers:
    """The pipe between hosts.

    Attributes:
        heard: Set by the owner's side: takes number of the peer, kind, meta and payload of a message. Called on the
            loop, in the order in which the peer sent them. A DataflowError that it raises breaks the connection.
        lost: Set by the owner's side: takes the number of a peer. What was sent to it since it was last connected may
            not have arrived, what it offered is gone, and it has forgotten what was said to it, or will. Called when it
            stayed away beyond the bound, when it takes no messages, and when it was started again in between.
        knocked: Set by who has a door for other hosts: takes a connection to it, and what to call when its caller is
            authenticated or gone.
        address: `HOST:PORT` that others reach us by; right once started.
    """

    def __init__(
        self, me: int, listen: str, credentials: Credentials, sink: Sink, bounds: Bounds | None = None
    ) -> None:
        """Make one that neither listens nor connects.

        Args:
            me: Our number.
            listen: `HOST:PORT`; an address that peers reach us by; port 0: any.
            credentials: That all hosts share.
            sink: Where pulled data go.
            bounds: Of everything that waits or is kept.

        Raises:
            ValueError: `listen` is malformed.
        """
        self.me: Final = me
        self.credentials: Final = credentials
        self.bounds: Final = bounds or Bounds()
        self.address = listen
        self.heard: Callable[[int, str, dict[str, Any], bytes], None] = _nobody_hears
        self.lost: Callable[[int], None] = _nobody_cares
        self.knocked: Callable[[socket.socket, Callable[[], None]], None] = _shut
        self._sink = sink
        self._links: dict[int, Link] = {}
        self._life = secrets.token_hex(6)
        self._numbers = itertools.count(1)
        self._lent_bytes = 0
        self._offers: dict[str, Stored] = {}
        self._asked: dict[str, asyncio.Future[bytes]] = {}
        self._accepting: set[asyncio.Task[None]] = set()
        self._strangers: WeakSet[Control] = WeakSet()  # control connections that others made, greeted or not
        bounds = self.bounds
        self._listener = Listener(read_address(listen), self._take, bounds.strangers, bounds.greeting_s)
        self._bulk = Bulk(me, credentials, bounds, self._lend, self._listener.left)
        self._pulls = Pulls(sink, bounds, self._reached, self._fetch, self._ask)

    async def start(self) -> None:
        """Listen; raises CannotListen."""
        try:
            host, port = self._listener.start()
        except OSError as error:
            raise CannotListen(self.address, error.strerror or str(error)) from error
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._bulk.start()
        _log.info("peers are listened for", extra={"address": self.address, "tls": self.credentials.server is not None})

    async def close(self) -> None:
        """Break off all transfers, disconnect and withdraw all offers; idempotent. Before the sink is closed."""
        await self._listener.close()
        for task in self._accepting:
            task.cancel()
        await self._pulls.close()
        for connection in self._strangers:
            connection.abort()
        for link in self._links.values():
            link.close()
        await self._bulk.close()
        for name in list(self._offers):
            self.withdraw(name)

    # --- messages -----------------------------------------------------------------------------------------------

    def know(self, number: int, address: str) -> None:
        """Take note of a peer that was seen; a changed address replaces the old one. Nothing is connected yet.

        A peer that was lost may be sent to again from here on.

        Raises:
            ValueError: The address is malformed.
        """
        if number != self.me:
            self.link(number).know(read_address(address))

    def send(self, peer: int, kind: str, meta: dict[str, Any], payload: bytes = b"") -> None:
        """Send a message; never waits. It arrives once and in order, through breaks, unless `lost` is called.

        Args:
            peer: Number of the invoker.
            kind: For `heard`; must not begin with `$`.
            meta: A JSON object.
            payload: Passed on as it is.

        Raises:
            PeerUnknown: It was never seen.
            PeerGone: It was lost and not seen again, or takes nothing, which has made it lost.
            FrameTooLarge: All together is above 4 MiB.
        """
        if peer not in self._links:
            raise PeerUnknown(peer)
        self._links[peer].say(kind, meta, payload)

    # --- data ---------------------------------------------------------------------------------------------------

    def offer(self, stored: Stored) -> str:
        """Return a name under which peers may pull a datum; one reference to it is held until `withdraw`."""
        stored.retain()
        name = f"{self.me}-{self._life}-{next(self._numbers)}"
        self._offers[name] = stored
        return name

    def withdraw(self, name: str) -> None:
        """End an offer; transfers under way are finished. Nothing happens if there is none of that name."""
        stored = self._offers.pop(name, None)
        if stored is not None:
            stored.release()

    async def pull(self, ref: Ref, owner: str) -> Stored:
        """Bring a datum into the sink; returns it with a reference for the caller.

        One transfer however many call; a datum that was pulled and is still referenced is not pulled again.

        Args:
            ref: What, and where it is.
            owner: `namespace/run`, for the sink.

        Raises:
            PeerUnknown: The host was never seen.
            PeerGone: The host is lost.
            NotHeld: It does not offer that datum, or not any more.
            TransferFailed: It does not come, however often it is tried.
            SinkFull: The sink refuses to take it.
        """
        if ref.host not in self._links:
            raise PeerUnknown(ref.host)
        return await self._pulls.pull(ref, owner)

    @property
    def pulled_bytes(self) -> int:
        """Bytes that came from all peers since the start; for metrics."""
        return self._pulls.moved_bytes.total()

    @property
    def lent_bytes(self) -> int:
        """Bytes of data of which peers have begun transfers, each time counted whole; for metrics and tests."""
        return self._lent_bytes

    @property
    def transfers(self) -> int:
        """Pulls that were begun, those of many callers counted once; for metrics."""
        return self._pulls.transfers

    @property
    def resumed_at(self) -> list[int]:
        """At which byte the latest transfers that were cut went on; for metrics and tests."""
        return list(self._pulls.resumed_at)

    @property
    def offers(self) -> int:
        """Data that are offered; for metrics and tests."""
        return len(self._offers)

    # --- for links ----------------------------------------------------------------------------------------------

    def link(self, peer: int) -> Link:
        """Return the link to a peer, known or not."""
        found = self._links.get(peer)
        if found is None:
            found = self._links[peer] = Link(peer, self)
        return found

    def arrived(self, peer: int, kind: str, meta: dict[str, Any], payload: bytes) -> None:
        """Take a message."""
        if kind == _ASK:
            self._tell(peer, meta.get("name"))
        elif kind == _ANSWER:
            self._told(meta, payload)
        else:
            self.heard(peer, kind, meta, payload)

    def gone(self, peer: int) -> None:
        """Take a loss."""
        self._bulk.drop(peer)
        self._pulls.fail(peer, PeerGone(peer, "it was lost, or has begun anew"))
        self.lost(peer)

    # --- connections --------------------------------------------------------------------------------------------

    def _take(self, sock: socket.socket, use: Use) -> None:
        """Serve a connection whose first bytes were right."""
        if use is Use.BULK:
            self._bulk.take(sock)
            return
        if use is Use.DOOR:
            self.knocked(sock, self._listener.left)
            return
        greeting = Accepting(self.me, Use.CONTROL, secrets.token_hex(16), self.credentials, self._admit)
        connection = Control(greeting, self, self._listener.left)
        self._strangers.add(connection)
        work = accept(connection, sock, self.credentials, self.bounds.greeting_s)
        task = asyncio.get_running_loop().create_task(work, name="peer-accept")
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    def _admit(self, peer: Name, terms: dict[str, Any]) -> dict[str, Any]:
        return self.link(int(peer)).admit(terms)

    # --- data, inside -------------------------------------------------------------------------------------------

    async def _reached(self, peer: int) -> None:
        await self._links[peer].reached()

    async def _fetch(self, order: Order) -> None:
        address = self._links[order.peer].address
        if address is None:
            raise PeerGone(order.peer, "its address is not known")
        await self._bulk.fetch(order, address)

    def _lend(self, name: str) -> Loan | None:
        stored = self._offers.get(name)
        if stored is None or stored.inline is not None:
            return None
        self._lent_bytes += stored.size_bytes
        self._sink.pin(stored)
        return Loan(os.dup(stored.descriptor()), stored.size_bytes, lambda: self._sink.unpin(stored))

    async def _ask(self, ref: Ref) -> bytes:
        """Return the bytes of a small datum; raises NotHeld, PeerGone."""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked[ref.name] = answer
        try:
            self._links[ref.host].say(_ASK, {"name": ref.name}, b"")
            async with asyncio.timeout(_ANSWER_S):
                data = await answer
        except TimeoutError as error:
            raise TransferFailed(f"invoker {ref.host} does not answer") from error
        finally:
            del self._asked[ref.name]
        if len(data) != ref.size_bytes:
            raise ProtocolViolation(f"invoker {ref.host} sent {len(data)} bytes, not {ref.size_bytes}")
        return data

    def _tell(self, peer: int, name: object) -> None:
        stored = self._offers.get(name) if isinstance(name, str) else None
        if stored is None or stored.size_bytes >= KNEE_BYTES:
            self._links[peer].say(_ANSWER, {"name": name, "held": False}, b"")
        else:
            self._links[peer].say(_ANSWER, {"name": name, "held": True}, stored.read())

    def _told(self, meta: dict[str, Any], payload: bytes) -> None:
        answer = self._asked.get(str(meta.get("name")))
        if answer is None or answer.done():
            return  # nobody wants it any more
        if meta.get("held") is True:
            answer.set_result(payload)
        else:
            answer.set_exception(NotHeld(meta.get("name")))
