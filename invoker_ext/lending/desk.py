"""Both sides of lending in one invoker, and what they hear of others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Any, Final

from action_runtime.wire.errors import ProtocolViolation
from invoker_ext.contract.stock import PingMessage
from invoker_ext.contract.told import Told
from invoker_ext.lending.borrower import Borrower, Local, Sink
from invoker_ext.lending.hosts import Hosts
from invoker_ext.lending.lender import Actions, Lender
from invoker_ext.lending.placement import MostBytes, Policy
from invoker_ext.lending.transport import Transport

_log = logging.getLogger(__name__)

_REPORTS: Final = frozenset({"began", "committed", "returned", "logs", "drained", "failed", "refused"})
"""What a host tells an owner; all else is told to a host."""
_LOOKS: Final = 10
"""Looks for silent owners within one time to live."""


class Desk:
    """Lives on the loop.

    Attributes:
        borrower: Our runs on other hosts.
        lender: Runs of others here.
    """

    def __init__(
        self, hosts: Hosts, local: Local, transport: Transport, sink: Sink, actions: Actions, *, ttl_s: float
    ) -> None:
        """Use a transport that nobody else listens to.

        Args:
            hosts: Which others there are, and who we are.
            local: The own pool.
            transport: To the others.
            sink: Ours.
            actions: Code.
            ttl_s: An owner that was not heard of for so long is given up.
        """
        policy: Policy = MostBytes()
        self._hosts = hosts
        self._local = local
        self._transport = transport
        self._ttl_s = ttl_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._over: dict[int, int] = {}
        """Invoker → its life of which was said that it is passed over."""
        self.borrower = Borrower(hosts, local, transport, sink, policy)
        self.lender = Lender(local, transport, sink, actions, hosts.me)
        transport.heard = self._heard
        transport.lost = self._lost

    @property
    def hosts(self) -> Collection[int]:
        """Invokers that can be lent from now."""
        return self._hosts.room_mb(self._loop.time())

    def tag(self, address: str) -> str:
        """Return what a ping tells our peers; `address` is that of our pipe."""
        return Told(address, self._hosts.life, self._local.room_mb()).tag()

    def start(self) -> None:
        """Look for silent owners now, and again and again."""
        self.lender.expire(self._ttl_s)
        self._timer = self._loop.call_later(self._ttl_s / _LOOKS, self.start)

    def pinged(self, payload: bytes | memoryview) -> None:
        """Take a ping of any invoker; what is none, or of one that tells its peers nothing, changes nothing."""
        try:
            ping = PingMessage.decode(payload)
        except ValueError:
            return  # the controller says what is wrong with it
        number, told = ping.invoker.instance, Told.of(ping.invoker.tags)
        if told is None or number == self._hosts.me:
            return
        if self._hosts.outlived(number, told):
            self._passed_over(number, told)
            return
        try:
            self._transport.know(number, told.address)
        except ValueError as error:
            _log.warning("peer tells no address", extra={"peer": number, "error": str(error)})
            return
        self.lender.seen(number)
        if self._hosts.pinged(number, told, self._loop.time()):
            _log.warning("peer was started anew", extra={"peer": number})
            self.borrower.lost(number)
            self.lender.outlived(number, told.life)
            self._hosts.pinged(number, told, self._loop.time())
        if not ping.enabled:
            self._hosts.left(number)

    def _passed_over(self, number: int, told: Told) -> None:
        """Say once of a life that it is not listened to: a late ping of it does no harm, one that goes on is missed."""
        if self._over.get(number) != told.life:
            self._over[number] = told.life
            _log.warning(
                "ping of an earlier life of a peer passed over; if it is there, it has lost its data directory and its "
                "document in the store, and this invoker must be started anew to hear it",
                extra={"peer": number, "life": told.life},
            )

    async def close(self) -> None:
        """Stop looking, drop what others want."""
        if self._timer is not None:
            self._timer.cancel()
        await self.lender.close()
        await self.borrower.close()

    def _lost(self, peer: int) -> None:
        _log.warning("peer lost", extra={"peer": peer})
        self.borrower.lost(peer)
        self.lender.lost(peer)

    def _heard(self, peer: int, kind: str, meta: dict[str, Any], payload: bytes) -> None:
        try:
            if kind in _REPORTS:
                self.borrower.heard(peer, kind, meta, payload)
            else:
                self.lender.heard(peer, kind, meta, payload)
        except (ProtocolViolation, AttributeError, KeyError, TypeError, ValueError) as error:
            _log.error("message of a peer dropped", extra={"peer": peer, "kind": kind, "error": repr(error)})
