"""The pipe between relays in the memory of one process: implements `lending.transport.Transport`."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from action_runtime.wire.errors import FrameTooLarge
from invoker_ext.door.places import read_address
from invoker_ext.peers.errors import PeerGone, PeerUnknown
from invoker_ext.peers.ref import Ref
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.errors import SinkFull
from invoker_ext.sink.sink import Sink


class Network:
    """All hosts of a test.

    Attributes:
        said: Every message: from, to, kind, meta, payload.
        pulls: Every transfer: by whom, of what.
    """

    def __init__(self) -> None:
        self.hosts: dict[int, MemoryPeers] = {}
        self.said: list[tuple[int, int, str, dict[str, Any], bytes]] = []
        self.pulls: list[tuple[int, Ref]] = []
        self.names = itertools.count(1)
        self.dead: set[int] = set()
        self.full: set[int] = set()
        """Hosts whose sinks refuse what is pulled."""
        self.largest_meta: int | None = None
        """Characters of meta that a message may have; None: any."""
        self.flows = asyncio.Event()
        """While it is cleared, data stay on their way."""
        self.flows.set()

    def host(self, number: int, sink: Sink) -> MemoryPeers:
        """Add a host."""
        made = self.hosts[number] = MemoryPeers(self, number, sink)
        return made

    def kill(self, number: int) -> None:
        """Have a host vanish; the others hear of it at once."""
        self.dead.add(number)
        for other, peers in self.hosts.items():
            if other not in self.dead:
                peers.lost(number)

    def kinds(self, to: int) -> list[str]:
        """Return the kinds of the messages that a host got."""
        return [kind for _, receiver, kind, _, _ in self.said if receiver == to]


class MemoryPeers:
    """One host. Messages arrive in the next turn of the loop; data are copied from sink to sink."""

    def __init__(self, network: Network, me: int, sink: Sink) -> None:
        self.heard: Callable[[int, str, dict[str, Any], bytes], None] = lambda *message: None
        self.lost: Callable[[int], None] = lambda peer: None
        self.offered: dict[str, Stored] = {}
        self.known: dict[int, str] = {}
        self._network = network
        self._me = me
        self._sink = sink

    def know(self, number: int, address: str) -> None:
        read_address(address)
        self.known[number] = address

    def send(self, peer: int, kind: str, meta: dict[str, Any], payload: bytes = b"") -> None:
        self._network.said.append((self._me, peer, kind, meta, payload))
        if peer not in self._network.hosts:
            raise PeerUnknown(peer)
        if peer in self._network.dead:
            raise PeerGone(peer, "it was killed")
        most = self._network.largest_meta
        if most is not None and len(str(meta)) > most:
            raise FrameTooLarge(len(str(meta)), most)
        asyncio.get_running_loop().call_soon(self._arrive, peer, kind, meta, payload)

    def _arrive(self, peer: int, kind: str, meta: dict[str, Any], payload: bytes) -> None:
        if not self._network.dead & {peer, self._me}:
            self._network.hosts[peer].heard(self._me, kind, meta, payload)

    def offer(self, stored: Stored) -> str:
        stored.retain()
        name = f"{self._me}-{next(self._network.names)}"
        self.offered[name] = stored
        return name

    def withdraw(self, name: str) -> None:
        self.offered.pop(name).release()

    async def pull(self, ref: Ref, owner: str) -> Stored:
        self._network.pulls.append((self._me, ref))
        await asyncio.sleep(0)
        if ref.host in self._network.dead:
            raise PeerGone(ref.host, "it was killed")
        stored = self._network.hosts[ref.host].offered.get(ref.name)
        if stored is None:
            raise PeerGone(ref.host, f"it does not hold {ref.name}")
        if self._me in self._network.full:
            raise SinkFull("a value can never fit the data sink")
        data = stored.read()
        await self._network.flows.wait()
        if ref.host in self._network.dead:
            raise PeerGone(ref.host, "it was killed amid a transfer")
        return self._sink.put_bytes(ref.head, data, owner)
