"""The owner's books of data on other hosts: which are held, and their copies here."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection

from action_runtime.wire.errors import DataflowError
from invoker_ext.lending.remote import Remote
from invoker_ext.lending.transport import Transport
from invoker_ext.peers.ref import Ref
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.errors import SinkFull


class Refs:
    """Lives on the loop."""

    def __init__(
        self,
        transport: Transport,
        lost: Callable[[Collection[Remote]], None],
        tell: Callable[[str, str, Collection[int]], None],
    ) -> None:
        """Know of none.

        Args:
            transport: Pulls.
            lost: Called with data that are gone, and of which no copy is here.
            tell: Called with run, name and hosts when those are to let go of a datum.
        """
        self._transport = transport
        self._lost = lost
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._held: dict[int, set[Remote]] = {}
        self._pulls: dict[Remote, asyncio.Task[Stored]] = {}
        self._waiting: Counter[Remote] = Counter()
        """How many wait for each pull, and own a reference to its copy."""

    @property
    def pulls(self) -> Collection[asyncio.Task[Stored]]:
        """What is under way."""
        return self._pulls.values()

    def found(self, ref: Ref, owner: str) -> Remote:
        """Take over a datum that was made on another host, with one reference.

        Args:
            ref: Where it is.
            owner: `namespace/run`.
        """
        remote = Remote(ref, owner, self._drop)
        self._held.setdefault(ref.host, set()).add(remote)
        return remote

    def missing(self, names: Collection[str]) -> None:
        """Data of these names are not where they were; a scan, for losses alone."""
        self._gone([remote for held in self._held.values() for remote in held if remote.ref.name in names])

    def lost(self, host: int) -> None:
        """A host is gone, and all that it held."""
        self._gone(self._held.pop(host, set()))

    def _gone(self, data: Collection[Remote]) -> None:
        for remote in data:
            remote.gone = True
        lost = [remote for remote in data if remote.here is None]
        if lost:
            self._lost(lost)

    async def copy(self, stored: Stored) -> Stored:
        """Return a datum that is here, with a reference of its own; one of another host is pulled, once.

        Raises:
            SinkFull: Our sink refuses to take it.
            DataflowError: It cannot be had; one of another host counts as lost.
        """
        if not isinstance(stored, Remote):
            stored.retain()
            return stored
        if stored.here is not None:
            stored.here.retain()
            return stored.here
        pull = self._pulls.get(stored)
        if pull is None:
            pull = self._pulls[stored] = self._loop.create_task(self._pull(stored), name="pull")
        self._waiting[stored] += 1
        try:
            return await asyncio.shield(pull)
        except asyncio.CancelledError:
            self._give_up(stored, pull)
            raise

    def _give_up(self, remote: Remote, pull: asyncio.Task[Stored]) -> None:
        """Drop the reference of one that waits no longer: that it would have got, or that it has got already."""
        if self._pulls.get(remote) is pull:
            self._waiting[remote] -= 1
        elif not pull.cancelled() and pull.exception() is None:
            pull.result().release()

    async def _pull(self, remote: Remote) -> Stored:
        try:
            here = await self._transport.pull(remote.ref, remote.owner)
        except SinkFull:
            raise  # it is where it was
        except DataflowError:
            if remote.held:
                self._loop.call_soon(self._lost, (remote,))
            raise
        finally:
            del self._pulls[remote]
            waiting = self._waiting.pop(remote)
        for _ in range(waiting):
            here.retain()
        if remote.held:
            remote.here = here
        else:
            here.release()
        return here

    def _drop(self, remote: Remote) -> None:
        held = self._held.get(remote.ref.host)
        if held is not None:
            held.discard(remote)
            self._tell(remote.run, remote.ref.name, {remote.ref.host, *remote.users})
