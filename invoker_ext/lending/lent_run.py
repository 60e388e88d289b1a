"""What a host does for one run of an owner elsewhere: jobs, data that it made, copies of data of others."""

from __future__ import annotations

import asyncio
from typing import Final

from action_runtime.wire.errors import DataflowError
from invoker_ext.lending.report import Lent
from invoker_ext.lending.transport import Transport
from invoker_ext.peers.ref import Ref
from invoker_ext.sink.datum import Stored

Epoch = tuple[int, int, int]
"""Of the run, which life of its owner asks, and how often that had lost this host; the greater counts."""


class DataGone(DataflowError):
    """A datum that was made here is wanted, and was let go of."""

    code = "datum-gone"


class LentRun:
    """Lives on the loop.

    Attributes:
        owner: Number of the invoker that owns the run.
        name: Of the run.
        account: In whose name the sink accounts its data: `namespace/run`.
        epoch: Under which it asks.
        jobs: By their number at the owner.
        here: Data that can be read here, by name: those that were made here, and copies.
        over: It is done with.
    """

    def __init__(self, owner: int, account: str, epoch: Epoch, me: int, transport: Transport) -> None:
        self.owner: Final = owner
        self.account: Final = account
        self.name: Final = account.rpartition("/")[2]
        self.epoch: Final = epoch
        self.jobs: dict[int, Lent] = {}
        self.here: dict[str, Stored] = {}
        self.over = False
        self._me = me
        self._transport = transport
        self._offered: set[str] = set()
        self._pulls: dict[str, asyncio.Task[Stored]] = {}
        self._unread: set[str] = set()
        """Of what is pulled: nobody reads it any more."""

    def offer(self, stored: Stored) -> str:
        """Take over a datum that was made here; return its name."""
        name = self._transport.offer(stored)
        if self.over:  # nobody will ask for it
            self._transport.withdraw(name)
            stored.release()
        else:
            self._offered.add(name)
            self.here[name] = stored
        return name

    async def bring(self, ref: Ref) -> Stored:
        """Return a datum with a reference of its own; one of another host is pulled once, and kept.

        Raises:
            DataflowError: It cannot be had.
        """
        here = self.here.get(ref.name)
        if here is None:
            if ref.host == self._me:
                raise DataGone(f"datum {ref.name} is not here any more")
            pull = self._pulls.get(ref.name)
            if pull is None:
                work = self._pull(ref)
                pull = self._pulls[ref.name] = asyncio.get_running_loop().create_task(work, name=f"pull {ref.name}")
            here = await asyncio.shield(pull)
            if self.here.get(ref.name) is not here:
                raise DataGone(f"datum {ref.name} was let go of")
        here.retain()
        return here

    async def _pull(self, ref: Ref) -> Stored:
        try:
            here = await self._transport.pull(ref, self.account)
        finally:
            del self._pulls[ref.name]
            unread = ref.name in self._unread
            self._unread.discard(ref.name)
        if self.over or unread:
            here.release()
        else:
            self.here[ref.name] = here
        return here

    def let_go(self, name: str) -> None:
        """The owner says that nobody reads a datum any more."""
        stored = self.here.pop(name, None)
        if stored is not None:
            if name in self._offered:
                self._offered.discard(name)
                self._transport.withdraw(name)
            stored.release()
        elif name in self._pulls:
            self._unread.add(name)

    def close(self) -> None:
        """Let go of all."""
        self.over = True
        for name in list(self.here):
            self.let_go(name)
