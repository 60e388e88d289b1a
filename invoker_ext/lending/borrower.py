"""The owner's side of lending: places each job, and keeps the books of data that lie elsewhere or are offered."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

from action_runtime.wire.errors import DataflowError, FrameTooLarge
from action_runtime.wire.values import Head, Media
from invoker_ext.containers.job import Containers, Failure, Job
from invoker_ext.contract.graph import ActionCall
from invoker_ext.contract.messages import Identity
from invoker_ext.dataflow.commands import Streamed
from invoker_ext.lending.away import Away
from invoker_ext.lending.forms import Packed, job_form
from invoker_ext.lending.here import Here
from invoker_ext.lending.hosts import Hosts
from invoker_ext.lending.inflow import Inflow
from invoker_ext.lending.offers import Offers
from invoker_ext.lending.placement import Ask, Policy
from invoker_ext.lending.refs import Refs
from invoker_ext.lending.remote import Remote
from invoker_ext.lending.transport import Transport
from invoker_ext.peers.ref import Ref
from invoker_ext.relay.json_form import data_of
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.errors import SinkFull
from invoker_ext.tasks import Tasks

_log = logging.getLogger(__name__)

PAYLOAD_BYTES: Final = 1024 * 1024
"""Small inputs above this, together, are offered as one datum: messages stay small."""


class Local(Containers, Protocol):
    """The own pool."""

    def room_mb(self) -> int:
        """Return the memory for containers that is left."""


class Sink(Protocol):
    """The part of the sink that lending uses."""

    def put_bytes(self, head: Head, data: bytes | memoryview, owner: str = "") -> Stored:
        """Hold bytes that came in a message."""


class Borrower:
    """Implements `containers.job.Containers`. Lives on the loop.

    Attributes:
        data_lost: Called with data whose host is gone; set by the owner.
    """

    def __init__(self, hosts: Hosts, local: Local, transport: Transport, sink: Sink, policy: Policy) -> None:
        """Lend nothing yet.

        Args:
            hosts: Which others there are, and who we are.
            local: The own pool.
            transport: To the others.
            sink: Ours.
            policy: Places jobs.
        """
        self.data_lost: Callable[[Collection[Stored]], None] = lambda data: None
        self._hosts = hosts
        self._me = hosts.me
        self._losses: dict[int, int] = {}
        self._local = local
        self._transport = transport
        self._sink = sink
        self._policy = policy
        self._loop = asyncio.get_running_loop()
        self._tickets = itertools.count(1)
        self._here: dict[int, Here] = {}
        self._away: dict[int, Away] = {}  # by id of the job, which it keeps alive
        self._by_ticket: dict[int, Away] = {}
        self._packed: dict[int, Stored] = {}
        self._touched: dict[str, dict[int, list[int]]] = {}
        """Run → host → the epoch under which it was asked."""
        self._refs = Refs(transport, self._lost_data, self._tell_let_go)
        self._offers = Offers(transport, self._tell_let_go)
        self._tasks = Tasks()

    # -- job.Containers ------------------------------------------------------------------------

    def submit(self, job: Job) -> None:
        """See Containers."""
        host = self._choose(job)
        job.host = host
        if host == self._me:
            self._do_here(job)
        else:
            self._send_away(job, host)

    def feed(self, job: Job, name: str, value: Stored) -> None:
        """See Containers."""
        if isinstance(value, Remote) and value.ref.host != job.host and value.here is None:
            job.pulled_bytes += value.size_bytes
        here = self._here.get(id(job))
        if here is not None:
            self._stream(here, name).put(value)
            return
        away = self._away.get(id(job))
        if away is None:
            self._local.feed(job, name, value)
            return
        away.fed.append((name, value, None))
        packed = Packed(partial(self._ref_for, away.host, job.run))
        form = packed.stored(value)
        self._tell(away, "feed", {"name": name, "part": form}, b"".join(packed.parts))

    def feed_end(self, job: Job, name: str, error: str | None) -> None:
        """See Containers."""
        here, away = self._here.get(id(job)), self._away.get(id(job))
        if here is not None:
            self._stream(here, name).close(error)
        elif away is not None:
            away.fed.append((name, None, error))
            self._tell(away, "feed-end", {"name": name, "error": error})
        else:
            self._local.feed_end(job, name, error)

    def kill(self, job: Job) -> None:
        """See Containers."""
        here, away = self._here.get(id(job)), self._away.get(id(job))
        if away is not None:
            away.killed = True
            self._tell(away, "kill", {})
        elif here is None:
            self._local.kill(job)
        elif here.inner is not None:
            self._local.kill(here.inner)
        else:
            self._loop.call_soon(here.break_off, Failure.RUN_DIED, None, self.now())

    def prewarm(self, calls: Sequence[tuple[ActionCall, Mapping[str, Any], Identity]]) -> None:
        """See Containers; on this host, where a firing is placed if nothing speaks against it."""
        self._local.prewarm(calls)

    # -- placing -------------------------------------------------------------------------------

    def _choose(self, job: Job) -> int:
        room_mb = self._hosts.room_mb(self.now())
        if not room_mb:
            return self._me
        bytes_at: dict[int, int] = {}
        for datum in _data(job):
            if datum.inline is None:
                for host in self._hosts_of(datum):
                    bytes_at[host] = bytes_at.get(host, 0) + datum.size_bytes
        room_mb[self._me] = self._local.room_mb()
        return self._policy.choose(Ask(job.call.memory_mb, bytes_at), self._me, room_mb)

    def _hosts_of(self, datum: Stored) -> list[int]:
        """Return which hosts have the bytes of a datum."""
        if not isinstance(datum, Remote):
            return [self._me]
        hosts = [] if datum.gone else [datum.ref.host]
        return hosts if datum.here is None else [self._me, *hosts]

    def _do_here(self, job: Job) -> None:
        remotes = {id(datum): datum for datum in _data(job) if isinstance(datum, Remote)}
        streams = any(isinstance(bound.value, Streamed) for bound in job.inputs)
        if not remotes and not streams:
            self._local.submit(job)
            return
        here = self._here[id(job)] = Here(job, self._forget_here)
        if remotes:
            job.pulled_bytes += sum(remote.size_bytes for remote in remotes.values() if remote.here is None)
            self._tasks.spawn(self._pull_and_submit(here, remotes), f"inputs of {job.activation_id}")
        else:
            self._local.submit(here.ready({}))

    async def _pull_and_submit(self, here: Here, remotes: Mapping[int, Remote]) -> None:
        made = await asyncio.gather(*map(self._refs.copy, remotes.values()), return_exceptions=True)
        copies = {key: one for key, one in zip(remotes, made, strict=True) if not isinstance(one, BaseException)}
        errors = [one for one in made if isinstance(one, BaseException)]
        if errors or here.ended:
            for copy in copies.values():
                copy.release()
            if errors and all(isinstance(one, SinkFull) for one in errors):
                here.break_off(Failure.NOT_STARTED, str(errors[0]), self.now())
            elif errors:
                here.break_off(Failure.RUN_DIED, None, self.now())
            return
        self._local.submit(here.ready(copies))

    def _stream(self, here: Here, name: str) -> Inflow[Stored]:
        stream = here.streams.get(name)
        if stream is None:
            stream = here.streams[name] = Inflow(
                self._refs.copy,
                partial(self._give, here, name),
                partial(self._give_end, here, name),
                partial(self._broke, here),
                open_now=here.inner is not None,
            )
        return stream

    def _give(self, here: Here, name: str, part: Stored) -> None:
        if here.inner is not None:
            self._local.feed(here.inner, name, part)

    def _give_end(self, here: Here, name: str, error: str | None) -> None:
        if here.inner is not None:
            self._local.feed_end(here.inner, name, error)

    def _broke(self, here: Here, error: DataflowError) -> None:
        _log.warning("part of a stream cannot be had", extra={"run": here.job.run, "error": str(error)})
        self.kill(here.job)

    def _forget_here(self, here: Here) -> None:
        self._here.pop(id(here.job), None)

    def _send_away(self, job: Job, host: int) -> None:
        away = Away(job, host, next(self._tickets), self)
        try:
            job.before()
        except DataflowError as error:
            self._loop.call_soon(away.refuse, error)
            return
        self._away[id(job)] = self._by_ticket[away.ticket] = away
        # A host that was lost drops what it still has of ours when it hears the greater epoch.
        epoch = [job.epoch, self._hosts.life, self._losses.get(host, 0)]
        self._touched.setdefault(job.run, {})[host] = epoch
        packed = Packed(partial(self._ref_for, host, job.run))
        form = {"job": job_form(job), "inputs": packed.inputs(job.inputs)}
        payload = b"".join(packed.parts)
        if len(payload) > PAYLOAD_BYTES:
            stored = self._packed[away.ticket] = self._sink.put_bytes(
                Head(Media.BYTES, len(payload)), payload, away.owner
            )
            form["packed"] = self._ref_for(host, job.run, stored).to_meta()
            payload = b""
        for datum in {id(datum): datum for datum in _data(job)}.values():
            if datum.inline is None and not (isinstance(datum, Remote) and datum.ref.host == host):
                job.pulled_bytes += datum.size_bytes
        self._hosts.took(host, job.call.memory_mb)
        self._tell(away, "dispatch", form, payload)

    def _ref_for(self, host: int, run: str, stored: Stored) -> Ref:
        """Return where a datum is that a host is told to read."""
        if isinstance(stored, Remote):
            if not stored.gone or stored.here is None:
                if stored.ref.host != host:
                    stored.users.add(host)
                return stored.ref
            stored = stored.here
        return Ref(self._me, self._offers.name(stored, run, host), stored.head)

    # -- messages ------------------------------------------------------------------------------

    def _tell(self, away: Away, kind: str, meta: dict[str, Any], payload: bytes = b"") -> None:
        """Send a message about a job; a host that takes none is lost, which ends the job."""
        epoch = self._touched[away.job.run][away.host]
        try:
            self._transport.send(away.host, kind, {"r": away.job.run, "e": epoch, "j": away.ticket, **meta}, payload)
        except FrameTooLarge:
            self._loop.call_soon(self.take_back, away)  # too many inputs for a message
        except DataflowError as error:
            _log.warning("peer takes no messages", extra={"peer": away.host, "error": str(error)})
            self._loop.call_soon(self.lost, away.host)

    def heard(self, peer: int, kind: str, meta: dict[str, Any], payload: bytes) -> None:
        """Take a report of a host about a job; one that is not known any more was given up.

        Raises:
            ProtocolViolation: It is none.
        """
        away = self._by_ticket.get(meta["j"])
        if away is not None and away.host == peer and meta["e"] == self._touched[away.job.run][peer]:
            away.heard(kind, meta, payload)

    def lost(self, peer: int) -> None:
        """A host is gone: what it did for us has died, its data are lost."""
        self._hosts.left(peer)
        self._losses[peer] = self._losses.get(peer, 0) + 1
        self._refs.lost(peer)
        for away in [one for one in self._away.values() if one.host == peer]:
            away.lost()

    def _lost_data(self, data: Collection[Remote]) -> None:
        self.data_lost(data)

    def release(self, run: str) -> None:
        """A run has ended: tell every host that it touched, and offer nothing of it any more."""
        self._offers.release(run)
        for host, epoch in self._touched.pop(run, {}).items():
            self._send_quietly(host, "release", {"r": run, "e": epoch})

    def let_go(self, stored: Stored) -> None:
        """Nobody of its run reads a datum any more: drop the run's reference, and have hosts drop theirs."""
        self._offers.drop(stored)
        if isinstance(stored, Remote) and stored.here is not None:
            self._offers.drop(stored.here)
        stored.release()

    def _tell_let_go(self, run: str, name: str, hosts: Collection[int]) -> None:
        epochs = self._touched.get(run, {})
        for host in hosts:
            if host in epochs:
                self._send_quietly(host, "let-go", {"r": run, "e": epochs[host], "names": [name]})

    def _send_quietly(self, host: int, kind: str, meta: dict[str, Any]) -> None:
        try:
            self._transport.send(host, kind, meta)
        except DataflowError:
            _log.debug("a host that is gone lets go by itself", extra={"peer": host})

    async def copy(self, stored: Stored) -> Stored:
        """Return a datum that is here, with a reference of its own; raises as `Refs.copy`."""
        return await self._refs.copy(stored)

    # -- away.Around ---------------------------------------------------------------------------

    def now(self) -> float:
        """See Around."""
        return self._loop.time()

    def put(self, head: Head, data: bytes, owner: str) -> Stored:
        """See Around."""
        return self._sink.put_bytes(head, data, owner)

    def found(self, ref: Ref, owner: str) -> Remote:
        """See Around."""
        return self._refs.found(ref, owner)

    def fetch(self, remote: Remote, then: Callable[[Stored], None], broke: Callable[[DataflowError], None]) -> None:
        """See Around."""
        self._tasks.spawn(self._fetch(remote, then, broke), f"result of {remote.run}")

    async def _fetch(
        self, remote: Remote, then: Callable[[Stored], None], broke: Callable[[DataflowError], None]
    ) -> None:
        try:
            here = await self._refs.copy(remote)
        except DataflowError as error:
            broke(error)
        else:
            then(here)

    def missing(self, names: Collection[str]) -> None:
        """See Around: before its reader is told to have failed, or it would be dispatched again for nothing."""
        self._refs.missing(names)

    def over(self, away: Away) -> None:
        """See Around."""
        if self._by_ticket.pop(away.ticket, None) is None:
            return
        self._away.pop(id(away.job), None)
        packed = self._packed.pop(away.ticket, None)
        if packed is not None:
            self.let_go(packed)

    def elsewhere(self, away: Away) -> None:
        """See Around."""
        self._hosts.left(away.host)
        self.take_back(away)

    def take_back(self, away: Away) -> None:
        """Do a job here that another host has not begun."""
        self.over(away)
        job = away.job
        job.host, job.pulled_bytes = self._me, 0
        self._do_here(job)
        for name, part, error in away.fed:
            if part is not None:
                self.feed(job, name, part)
            else:
                self.feed_end(job, name, error)

    async def close(self) -> None:
        """Stop what is under way; no host need go on with it, for what is not done begins anew in the next life."""
        for run in list(self._touched):
            self.release(run)
        pulls = list(self._refs.pulls)
        for pull in pulls:
            pull.cancel()
        await asyncio.gather(*pulls, return_exceptions=True)
        await self._tasks.close()


def _data(job: Job) -> list[Stored]:
    return [datum for bound in job.inputs for datum in data_of(bound.value)]
