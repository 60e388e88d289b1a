"""The other side of lending: does jobs of owners elsewhere in the own pool."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from functools import partial
from typing import Final, Protocol

from action_runtime.wire.errors import DataflowError, ProtocolViolation
from action_runtime.wire.values import Head
from invoker_ext.containers.job import Containers, Failure, Job
from invoker_ext.contract.graph import ActionCall
from invoker_ext.lending.borrower import Sink
from invoker_ext.lending.forms import Unpacked, call_of, refs_of, user_of
from invoker_ext.lending.inflow import Inflow
from invoker_ext.lending.lent_run import Epoch, LentRun
from invoker_ext.lending.report import Form, Lent
from invoker_ext.lending.transport import Transport
from invoker_ext.owner.actions import ActionDoc
from invoker_ext.peers.ref import Ref
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.errors import SinkFull
from invoker_ext.tasks import Tasks

_log = logging.getLogger(__name__)

REMEMBERED: Final = 10_000
"""Runs whose greatest epoch is known after they have left. What an outlived owner wants of one that left before those
is done, as for any run: what it comes to changes nothing, as the balancer listens to the greater epoch alone."""


class Actions(Protocol):
    """Code of actions, which each host reads from the store itself (`owner.actions.Actions`)."""

    def cached(self, name: str, revision: str | None) -> ActionDoc | None:
        """Return an action if it is here."""

    def fetch(self, name: str, revision: str | None) -> ActionDoc:
        """Return an action, from the store if need be; blocks; raises DataflowError."""


class Lender:
    """Lives on the loop.

    Attributes:
        draining: It takes no more jobs.
    """

    def __init__(self, local: Containers, transport: Transport, sink: Sink, actions: Actions, me: int) -> None:
        """Lend nothing yet.

        Args:
            local: The own pool.
            transport: To the others.
            sink: Ours.
            actions: Code.
            me: Number of this invoker.
        """
        self._local = local
        self._transport = transport
        self._sink = sink
        self._actions = actions
        self._me = me
        self._loop = asyncio.get_running_loop()
        self._runs: dict[str, LentRun] = {}
        self._epochs: OrderedDict[str, Epoch] = OrderedDict()
        """Of runs that have left."""
        self._heard: dict[int, float] = {}
        self._tasks = Tasks()
        self.draining = False
        self._empty = asyncio.Event()
        self._empty.set()

    def holds(self, run: str) -> bool:
        """Return whether a run of an owner elsewhere may hold data here."""
        return run in self._runs

    @property
    def runs(self) -> int:
        """How many."""
        return len(self._runs)

    # -- messages ------------------------------------------------------------------------------

    def heard(self, owner: int, kind: str, meta: Form, payload: bytes) -> None:
        """Take a message of an owner; one of an older epoch changes nothing.

        Raises:
            ProtocolViolation: It is none.
        """
        self.seen(owner)
        name, epoch = str(meta["r"]), _epoch(meta["e"])
        if kind == "dispatch":
            self._dispatch(owner, name, epoch, meta, payload)
            return
        run = self._runs.get(name)
        if run is None or (run.owner, run.epoch) != (owner, epoch):
            return
        if kind == "let-go":
            for datum in meta["names"]:
                run.let_go(str(datum))
        elif kind == "release":
            self._drop(run)
        else:
            lent = run.jobs.get(meta["j"])
            if lent is not None:
                self._about(run, lent, kind, meta, payload)

    def _about(self, run: LentRun, lent: Lent, kind: str, meta: Form, payload: bytes) -> None:
        if kind == "feed":
            self._stream(run, lent, str(meta["name"])).put({**meta["part"], "payload": payload})
        elif kind == "feed-end":
            self._stream(run, lent, str(meta["name"])).close(meta["error"])
        elif kind == "kill":
            self._kill(lent)
        else:
            raise ProtocolViolation(f"an owner asks for {kind!r} of a lent job")

    def seen(self, owner: int) -> None:
        """Note that an owner is there."""
        self._heard[owner] = self._loop.time()

    def lost(self, owner: int) -> None:
        """An owner is gone: drop all that was done for it."""
        for run in [run for run in self._runs.values() if run.owner == owner]:
            self._drop(run)

    def outlived(self, owner: int, life: int) -> None:
        """An owner was started again: drop what its earlier lives want. The present one may have asked already."""
        for run in [run for run in self._runs.values() if run.owner == owner and run.epoch[1] < life]:
            self._drop(run)

    def expire(self, ttl_s: float) -> None:
        """Drop the runs of owners that were not heard of for a time."""
        before = self._loop.time() - ttl_s
        for owner in {run.owner for run in self._runs.values()}:
            if self._heard.get(owner, 0.0) < before:
                _log.warning("runs of an owner that is silent dropped", extra={"peer": owner})
                self.lost(owner)

    # -- jobs ----------------------------------------------------------------------------------

    def _dispatch(self, owner: int, name: str, epoch: Epoch, meta: Form, payload: bytes) -> None:
        tell = partial(self._tell, owner, {"r": name, "e": list(epoch), "j": meta["j"]})
        if self.draining:
            tell("refused", {"reason": "the invoker takes no more work"}, b"")
            return
        if epoch < self._greatest(name, epoch):
            tell("failed", {"failure": Failure.NOT_STARTED.value, "detail": STALE, "began": False}, b"")
            tell("logs", {"lines": [], "joins": False, "truncated": False, "more": False}, b"")
            return
        run = self._run(owner, f"{meta['job']['user']['namespace']['name']}/{name}", epoch)
        ticket = meta["j"]
        lent = run.jobs[ticket] = Lent(tell, run.offer, partial(self._over, run, ticket))
        form = meta["job"]
        try:
            call = call_of(form)
            doc = self._actions.cached(call.name, call.revision)
            refs = refs_of([meta["inputs"], meta.get("packed", [])])
            if doc is not None and all(ref.name in run.here for ref in refs.values()):
                self._submit(run, lent, doc, call, meta, payload)
                return
        except DataflowError as error:
            lent.break_off(Failure.NOT_STARTED, str(error))
            return
        except (AttributeError, KeyError, TypeError, ValueError):
            _log.exception("lent job cannot be read", extra={"run": name, "peer": owner})
            lent.break_off(Failure.NOT_STARTED, UNPREPARED)
            return
        work = self._prepare(run, lent, refs, call, meta, payload)
        self._tasks.spawn(work, f"lent job of {name}")

    async def _prepare(
        self, run: LentRun, lent: Lent, refs: dict[str, Ref], call: ActionCall, meta: Form, payload: bytes
    ) -> None:
        try:
            (doc,), held = await asyncio.gather(
                asyncio.gather(
                    asyncio.to_thread(self._actions.fetch, call.name, call.revision), return_exceptions=True
                ),
                asyncio.gather(*map(run.bring, refs.values()), return_exceptions=True),
            )
            lent.owns([one for one in held if not isinstance(one, BaseException)])
            if isinstance(doc, BaseException):
                raise doc
            errors = {name: one for name, one in zip(refs, held, strict=True) if isinstance(one, BaseException)}
            lost = [name for name, one in errors.items() if not isinstance(one, SinkFull)]
            if errors and not lost:
                lent.break_off(Failure.NOT_STARTED, str(next(iter(errors.values()))))
            elif lost:
                # What it reads is not to be had: its owner has it made again, and dispatches anew.
                lent.break_off(Failure.RUN_DIED, None, lost)
            elif lent.killed or run.over:
                lent.break_off(Failure.RUN_DIED, None)
            else:
                self._submit(run, lent, doc, call, meta, payload)
        except DataflowError as error:
            lent.break_off(Failure.NOT_STARTED, str(error))
        except Exception:  # noqa: BLE001 - the supervisor of what was dispatched: its owner hears an end of each
            _log.exception("lent job cannot be prepared", extra={"run": run.name})
            lent.break_off(Failure.NOT_STARTED, UNPREPARED)

    def _submit(self, run: LentRun, lent: Lent, doc: ActionDoc, call: ActionCall, meta: Form, payload: bytes) -> None:
        form = meta["job"]
        if "packed" in meta:
            payload = run.here[meta["packed"]["name"]].read()
        user = user_of(form)
        unpacked = Unpacked(payload, partial(self._put, run), run.here)
        try:
            inputs = unpacked.inputs(meta["inputs"])
        finally:
            lent.owns(unpacked.made)
        lent.job = Job(
            call=call,
            code=doc.code,
            user=user,
            activation_id=form["id"],
            env=form["env"],
            init_env=form["init"],
            inputs=inputs,
            wants=form["wants"],
            plain=form["plain"],
            timeout_s=form["timeout"],
            run=run.name,
            listener=lent,
            queued=time.monotonic(),
            opens_streams=doc.opens_streams,
        )
        self._local.submit(lent.job)
        for stream in lent.streams.values():
            stream.open()

    def _kill(self, lent: Lent) -> None:
        lent.killed = True
        if lent.job is not None:
            self._local.kill(lent.job)

    def _over(self, run: LentRun, ticket: int, lent: Lent) -> None:
        run.jobs.pop(ticket, None)
        self._maybe_empty()

    # -- streams -------------------------------------------------------------------------------

    def _stream(self, run: LentRun, lent: Lent, name: str) -> Inflow[Form]:
        stream = lent.streams.get(name)
        if stream is None:
            stream = lent.streams[name] = Inflow(
                partial(self._bring_part, run),
                partial(self._give, lent, name),
                partial(self._give_end, lent, name),
                partial(self._broke, lent),
                open_now=lent.job is not None,
            )
        return stream

    async def _bring_part(self, run: LentRun, form: Form) -> Stored:
        if "at" not in form:
            return await run.bring(Ref.from_meta(form))
        return Unpacked(form["payload"], partial(self._put, run), {}).stored(form)

    def _put(self, run: LentRun, head: Head, data: bytes) -> Stored:
        return self._sink.put_bytes(head, data, run.account)

    def _give(self, lent: Lent, name: str, part: Stored) -> None:
        if lent.job is not None:
            self._local.feed(lent.job, name, part)

    def _give_end(self, lent: Lent, name: str, error: str | None) -> None:
        if lent.job is not None:
            self._local.feed_end(lent.job, name, error)

    def _broke(self, lent: Lent, error: DataflowError) -> None:
        _log.warning("part of a stream cannot be had", extra={"error": str(error)})
        self._kill(lent)

    # -- runs ----------------------------------------------------------------------------------

    def _run(self, owner: int, account: str, epoch: Epoch) -> LentRun:
        name = account.rpartition("/")[2]
        run = self._runs.get(name)
        if run is not None and (run.owner, run.epoch) != (owner, epoch):
            self._drop(run)
            run = None
        if run is None:
            run = self._runs[name] = LentRun(owner, account, epoch, self._me, self._transport)
            self._empty.clear()
        return run

    def _greatest(self, name: str, epoch: Epoch) -> Epoch:
        """Return the greatest epoch of a run that is known, this one included."""
        run = self._runs.get(name)
        return max(epoch, self._epochs.get(name, epoch), epoch if run is None else run.epoch)

    def _drop(self, run: LentRun) -> None:
        self._runs.pop(run.name, None)
        self._epochs[run.name] = self._greatest(run.name, run.epoch)
        self._epochs.move_to_end(run.name)
        while len(self._epochs) > REMEMBERED:
            self._epochs.popitem(last=False)
        for lent in list(run.jobs.values()):
            self._kill(lent)
        run.close()
        self._maybe_empty()

    # -- stop ----------------------------------------------------------------------------------

    async def drain(self, within_s: float) -> None:
        """Take no more jobs; wait until nobody needs what is here. What is not over then is broken off."""
        self.draining = True
        try:
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        except TimeoutError:
            _log.warning("stopped with lent jobs or data that others need", extra={"runs": len(self._runs)})

    async def close(self) -> None:
        """Drop everything."""
        self.draining = True
        for run in list(self._runs.values()):
            self._drop(run)
        await self._tasks.close()

    def _maybe_empty(self) -> None:
        if not self._runs:
            self._empty.set()

    def _tell(self, owner: int, about: Form, kind: str, meta: Form, payload: bytes) -> None:
        try:
            self._transport.send(owner, kind, {**about, **meta}, payload)
        except DataflowError as error:
            _log.warning("owner takes no messages", extra={"peer": owner, "error": str(error)})
            self._loop.call_soon(self.lost, owner)


def _epoch(told: list[int]) -> Epoch:
    run, life, losses = told
    return int(run), int(life), int(losses)


UNPREPARED: Final = "The action could not be prepared by the invoker that was to execute it; its log says why."
STALE: Final = "The run was given to another owner."
"""Told to an owner that a run has outlived."""
