"""Data of this host that others were told to read: offered once, until their run lets go of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from invoker_ext.lending.transport import Transport
from invoker_ext.sink.datum import Stored


@dataclass(slots=True)
class _Offer:
    stored: Stored
    run: str
    name: str
    hosts: set[int] = field(default_factory=set)


class Offers:
    """By datum. Each is transferred once to each host: it keeps its copy until it is told to let go of it."""

    def __init__(self, transport: Transport, tell: Callable[[str, str, Collection[int]], None]) -> None:
        """Offer nothing yet.

        Args:
            transport: Offers.
            tell: Called with run, name and hosts when those are to let go of their copies.
        """
        self._transport = transport
        self._tell = tell
        self._offers: dict[int, _Offer] = {}  # by id of the datum, which the offer keeps alive
        self._of_run: dict[str, set[int]] = {}

    def name(self, stored: Stored, run: str, host: int) -> str:
        """Return the name under which a host may pull a datum."""
        offer = self._offers.get(id(stored))
        if offer is None:
            offer = self._offers[id(stored)] = _Offer(stored, run, self._transport.offer(stored))
            self._of_run.setdefault(run, set()).add(id(stored))
        offer.hosts.add(host)
        return offer.name

    def drop(self, stored: Stored) -> None:
        """Offer a datum no longer, if it was."""
        offer = self._offers.pop(id(stored), None)
        if offer is not None:
            left = self._of_run[offer.run]
            left.discard(id(stored))
            if not left:
                del self._of_run[offer.run]
            self._transport.withdraw(offer.name)
            self._tell(offer.run, offer.name, offer.hosts)

    def release(self, run: str) -> None:
        """Offer nothing of a run any more; its hosts are told of its end."""
        for key in self._of_run.pop(run, set()):
            self._transport.withdraw(self._offers.pop(key).name)
