"""Hosts that pull from each other: a sink and a pipe each, on the running loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from action_runtime.wire.values import Head, Media
from invoker_ext.door.credentials import Credentials
from invoker_ext.peers.bounds import Bounds
from invoker_ext.peers.peers import Peers
from invoker_ext.peers.ref import Ref
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.reserve import SinkSettings
from invoker_ext.sink.sink import Sink
from invoker_ext.sink.terms import Limits

MIB: Final = 1 << 20
SECRET: Final = b"sixteen bytes or more"
QUICK: Final = Bounds(lost_s=2.0, pulse_s=0.1, greeting_s=1.0, stall_s=0.5)
"""For tests in which something breaks."""
SHORT: Final = Bounds(lost_s=0.5, pulse_s=0.1, greeting_s=0.5, stall_s=0.5)
"""For tests in which a peer is to be lost."""


def told(caplog: pytest.LogCaptureFixture) -> str:
    """Return the errors that were logged as fields."""
    return "\n".join(str(vars(record).get("error", "")) for record in caplog.records)


class Host:
    """One host.

    Attributes:
        heard: Messages that came: number of the peer, kind, meta, payload.
        lost: Peers that were lost.
    """

    def __init__(
        self,
        number: int,
        spill: Path,
        *,
        credentials: Credentials | None = None,
        bounds: Bounds | None = None,
        listen: str = "127.0.0.1:0",
        **limits: Any,
    ) -> None:
        chosen = Limits(**{"budget_bytes": 256 * MIB, "segments": 500, "spill_bytes": 256 * MIB, **limits})
        settings = SinkSettings(limits=chosen, spare_bytes=0, spill_folder=spill / str(number))
        self.number = number
        self.sink = Sink(settings, asyncio.get_running_loop())
        self.peers = Peers(number, listen, credentials or Credentials(SECRET), self.sink, bounds or QUICK)
        self.heard: list[tuple[int, str, Mapping[str, Any], bytes]] = []
        self.lost: list[int] = []
        self.peers.heard = lambda *message: self.heard.append(message)
        self.peers.lost = self.lost.append

    async def start(self) -> Host:
        await self.peers.start()
        return self

    def knows(self, *others: Host) -> Host:
        for other in others:
            self.peers.know(other.number, other.peers.address)
        return self

    def offer(self, data: bytes) -> tuple[Stored, Ref]:
        """Keep bytes and offer them; the caller owns the reference."""
        head = Head(Media.BYTES, len(data))
        stored = self.sink.put_bytes(head, data, "guest/run")
        return stored, Ref(self.number, self.peers.offer(stored), head)

    async def close(self) -> None:
        await self.peers.close()
        self.sink.close()
