"""Follows every run from INVOKE to ENDED. Knows no sockets: waiters, bus and timers are passed in.

A run is HELD while no invoker can take it, SENT once it is on the bus, KEPT once its invoker has committed it, or says
so where the bus keeps messages by itself, ANSWERED once its result is told. From KEPT on it will end, whatever dies.
What ends without an entry here (the balancer was restarted) stays for a while, for the worker that will ask again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Final

from controller_ext.balancer.before import Before
from controller_ext.balancer.fleet import Fleet, Ping, Result
from controller_ext.balancer.following import UNANSWERED_S, Followed, State, Surroundings, Waiter
from controller_ext.balancer.health import health_test, transaction
from controller_ext.balancer.kept import Kept
from controller_ext.balancer.slots import Slots
from controller_ext.balancer.succession import Succession
from controller_ext.balancer.throttles import Throttles
from controller_ext.balancer.told import Told, told
from controller_ext.balancer.unclaimed import Unclaimed
from controller_ext.balancer.wire import Invoke, Limits
from controller_ext.runs.ports import BalancerUnavailable, MessageTooLarge, NoInvoker, OnlyStock, Throttled
from invoker_ext.bus import Message
from invoker_ext.contract.messages import DOOR

logger = logging.getLogger(__name__)

MAX_HELD: Final = 10_000
"""Runs that may wait for an invoker."""


class Dispatcher:
    """All runs under way."""

    def __init__(self, around: Surroundings, accept_wait_s: float, run_ttl_s: float) -> None:
        """Start with nothing.

        Args:
            around: The world.
            accept_wait_s: How long a run waits for an invoker to take it.
            run_ttl_s: When the slot of a sequence or workflow that does not end is given back.
        """
        self._around = around
        self._accept_wait_s = accept_wait_s
        self._run_ttl_s = run_ttl_s
        self._test = transaction(around.wall_ms())
        self._runs: dict[str, Followed] = {}
        self._held: dict[str, Followed] = {}
        self._before = Before()
        self._gathering = False
        self._unclaimed = Unclaimed()
        self._throttles = Throttles()
        self._slots = Slots(around.random_below)
        self.fleet = Fleet()
        self._succession = Succession(around, self.fleet, self._slots, run_ttl_s)
        self.fleet_changed: Callable[[], None] = lambda: None
        """Called whenever an invoker's health changed."""

    def divide(self, controllers: int) -> None:
        """Note how many controllers share invokers and limits, this one included."""
        self._slots.divide(controllers)
        self._throttles.divide(controllers)

    def recover(self, runs: Iterable[Kept]) -> None:
        """Follow runs that an earlier balancer accepted; call before anything is heard of them."""
        now = self._around.monotonic()
        for kept in runs:
            invoke = kept.invoke
            if not kept.accepted:
                self._before.note(invoke.activation_id, kept.invoker, now + self._around.unclaimed_s)
                continue
            run = self._runs[invoke.activation_id] = Followed(invoke, [], now, State.KEPT, kept.invoker)
            run.over_at, run.adrift = now + self._run_ttl_s, not kept.sent
            self._throttles.began(invoke.limits.namespace)
            self._slots.charge(kept.invoker, invoke.charge)
            self.fleet.expect(kept.invoker, now)

    def gather(self, for_s: float) -> None:
        """Hold runs for a while, so that all invokers that are there have pinged: else the first to do so gets all."""
        self._gathering = True
        self._around.call_later(for_s, self._gathered)

    def _gathered(self) -> None:
        self._gathering = False
        self._dispatch_held()

    def in_flight(self) -> int:
        """Return how many runs are under way."""
        return self._throttles.in_flight()

    def charge(self, limits: Limits) -> None:
        """Count an invocation that goes no further; raises Throttled."""
        wall_ms = self._around.wall_ms()
        self._judged(limits, self._throttles.check(limits.namespace, limits.per_minute, limits.concurrent, wall_ms))

    def charge_fire(self, limits: Limits) -> None:
        """Count a fire of a trigger; raises Throttled."""
        wall_ms = self._around.wall_ms()
        self._judged(limits, self._throttles.check_fire(limits.namespace, limits.per_minute, wall_ms))

    def _judged(self, limits: Limits, refusal: str | None) -> None:
        if self._around.metric is not None and self._throttles.metric is not None:
            self._around.metric(limits, *self._throttles.metric)
        if refusal is not None:
            raise Throttled(refusal)

    def invoke(self, waiter: Waiter, invoke: Invoke) -> None:
        """Start a run, or join the wait for it; the waiter hears exactly one answer unless it is detached."""
        run_id = invoke.activation_id
        now = self._around.monotonic()
        wait_until = None if invoke.wait_s is None else now + invoke.wait_s
        run = self._runs.get(run_id)
        if run is not None:
            if invoke.spool != run.invoke.spool:
                self._unspool(invoke)  # a repeat by a client, made ready anew, and not needed
            self._join(run, waiter, wait_until)
            return
        ended = self._unclaimed.claim(run_id)
        if ended is not None:
            self._unspool(invoke)
            waiter.ended(ended.headers, ended.payload)
            return
        try:
            self._check(invoke)
        except (Throttled, MessageTooLarge, NoInvoker) as error:
            self._unspool(invoke)
            waiter.rejected(run_id, error.code, str(error))
            return
        run = self._runs[run_id] = Followed(invoke, [(waiter, wait_until)], now)
        self._throttles.began(invoke.limits.namespace)
        self._arm(run)
        self._dispatch(run)

    def detach(self, waiter: Waiter) -> None:
        """Forget a worker that is gone: it loses its wait only. What no invoker was asked to take is dropped."""
        for run in [run for run in self._runs.values() if any(one is waiter for one, _ in run.waits)]:
            run.waits = [wait for wait in run.waits if wait[0] is not waiter]
            if run.state is State.HELD and not run.waits:
                self._forget(run)

    def completed(self, message: Message) -> None:
        """Take a completion from the bus."""
        try:
            said = told(message)
        except ValueError as error:
            logger.warning("completion dropped", extra={"error": str(error)})
            return
        run = self._runs.get(said.run)
        if said.kept:
            if run is not None and run.state is State.SENT:
                self._keep(run)
        elif run is None:
            self._told_of_another(said)
        elif said.epoch < run.invoke.epoch:
            logger.info("end told by an owner that was lost", extra={"run": said.run})
        else:
            self._told(run, said)

    def handed(self, message: Message) -> bool:
        """Take the result or the end of a run at the door; False: it is not waited for here, the bus must bring it."""
        try:
            said = told(message)
        except ValueError as error:
            logger.warning("result dropped", extra={"error": str(error)})
            return False
        run = self._runs.get(said.run)
        if run is None or said.kept or said.epoch < run.invoke.epoch:
            return False
        if not said.over and not (run.waits and said.whole):
            return False
        self._told(run, said)
        return True

    def _told_of_another(self, said: Told) -> None:
        """Hear of a run that an earlier balancer sent, or of a test."""
        if said.whole:
            self._unclaimed.keep(said.run, said.message, self._around.monotonic())
        if said.over:
            self._drop_note(said.run)
            self._around.unspool(said.run)  # the run's spool, if there is one, has its name
            if said.transid == self._test:
                self._judge(said.instance, said)

    def _told(self, run: Followed, said: Told) -> None:
        if said.over:
            self._forget(run)
            self._unspool(run.invoke)
        elif run.state is not State.ANSWERED:
            self._answer(run)
        # What is not whole names the activation only: who waits reads the store.
        waits, run.waits = run.waits, []
        for waiter, _ in waits:
            waiter.ended(said.message.headers, said.message.payload)
        if said.over:
            self._judge(run.invoker if run.invoker >= 0 else None, said)

    def _answer(self, run: Followed) -> None:
        """Await no more than the end of a run whose result is told: nobody begins it anew, whoever is lost now."""
        run.move(State.ANSWERED)
        self._disarm(run)
        if "run" in run.invoke.headers:  # a stock invoker may take its time over the log of an action
            run.over_at = min(run.over_at, self._around.monotonic() + UNANSWERED_S)
        if self._around.kept is not None:
            self._around.kept.drop(run.invoke.activation_id)

    def _judge(self, invoker: int | None, said: Told) -> None:
        if invoker is not None:
            result = Result.SYSTEM_ERROR if said.system_error else Result.SUCCESS
            self._changed(self.fleet.ended(invoker, result, self._around.monotonic()))

    def pinged(self, ping: Ping) -> None:
        """Take a ping; runs that were held go to an invoker that is new."""
        changed = self.fleet.pinged(ping, self._around.monotonic())
        self._slots.resize(ping.instance, ping.memory_mb)
        self._changed(changed)

    def tick(self, *, deaf: bool = False) -> None:
        """Look for silent invokers, lost runs and old completions; call about once a second.

        Args:
            deaf: The bus is away: that invokers are not heard says nothing of them.
        """
        now = self._around.monotonic()
        if deaf:
            self.fleet.excuse(now)
        self._changed(self.fleet.silent(now))
        for invoker in self.fleet.tests_due(now):
            test = health_test(self._around.controller, self._test)
            self._around.bus.post(f"invoker{invoker}", Message(test.encode()))
        self._unclaimed.expire(now)
        for run_id in self._before.expire(now):
            self._drop_note(run_id)
        self._succession.look(list(self._runs.values()), now)
        for run in [run for run in self._runs.values() if run.over_at <= now]:
            self._give_up(run)

    def _give_up(self, run: Followed) -> None:
        """End a run of whose end nobody tells: stock's forced completion. What is told later changes nothing."""
        logger.warning("run never ended", extra={"run": run.invoke.activation_id, "invoker": run.invoker})
        self._reject(run, BalancerUnavailable.code, "no invoker told of the end of the run in time")
        self._changed(self.fleet.ended(run.invoker, Result.TIMEOUT, self._around.monotonic()))

    def _check(self, invoke: Invoke) -> None:
        if invoke.stepwise and self.fleet.only_stock:
            raise OnlyStock("the healthy invokers take plain actions alone")
        bound = self._around.max_message_bytes
        if len(invoke.payload) > bound:
            raise MessageTooLarge(f"message of {len(invoke.payload)} bytes is above {bound} bytes")
        if invoke.counted:
            self.charge(invoke.limits)
        if len(self._held) >= MAX_HELD:
            raise NoInvoker("no invoker is there, and too many runs wait for one")

    def _join(self, run: Followed, waiter: Waiter, wait_until: float | None) -> None:
        if run.will_end and wait_until is None:
            waiter.accepted(run.invoke.activation_id)
            return
        # A connection that asks again takes over its own wait; others go on waiting.
        run.waits = [wait for wait in run.waits if wait[0] is not waiter]
        run.waits.append((waiter, wait_until))
        self._arm(run)

    def _dispatch(self, run: Followed) -> None:
        invoke = run.invoke
        chosen = self._choose(invoke)
        if chosen is None:
            self._held[invoke.activation_id] = run
            return
        if self._around.kept is not None:
            self._around.kept.note(Kept(replace(invoke, payload=b""), chosen, accepted=False))
        run.invoker = chosen
        run.over_at = self._around.monotonic() + (self._run_ttl_s if invoke.ends_s is None else invoke.ends_s)
        run.move(State.SENT)
        headers = invoke.headers
        if self._around.door and any(until is not None for _, until in run.waits):
            headers = {**headers, DOOR: self._around.door}
        message = Message(invoke.payload, headers)
        run.entry = self._around.bus.post(f"invoker{chosen}", message, partial(self._kept, run))
        if invoke.spool is not None and (door := self.fleet.door(chosen)) is not None:
            self._around.send(door, invoke.spool)

    def _choose(self, invoke: Invoke) -> int | None:
        before = self._before.claim(invoke.activation_id)
        if before is not None:
            self._slots.charge(before, invoke.charge)
            return before
        usable = () if self._gathering else self.fleet.usable(runs="run" in invoke.headers)
        return self._slots.take(usable, invoke.charge)

    def _kept(self, run: Followed, error: Exception | None) -> None:
        """Hear from the bus; a run that ended before its commit came is not there any more."""
        if self._runs.get(run.invoke.activation_id) is not run:
            return
        if error is not None and run.state is State.SENT:
            self._reject(run, NoInvoker.code, str(error))
            return
        run.entry = None
        if self._around.owners_say and "run" in run.invoke.headers:
            run.stored = True
        elif run.state is State.SENT:
            self._keep(run)

    def _keep(self, run: Followed) -> None:
        run.move(State.KEPT)
        around = self._around  # where owners say so they are on other hosts, and may be gone for good
        if around.kept is not None and around.owners_say and "run" in run.invoke.headers:
            around.kept.note(Kept(run.invoke, run.invoker))
        self._accept_waited(run)

    def _accept_waited(self, run: Followed) -> None:
        """Answer those whose wait for a run that is kept is over; go on waiting for the others."""
        now = self._around.monotonic()
        over = [waiter for waiter, until in run.waits if until is None or until <= now]
        run.waits = [(waiter, until) for waiter, until in run.waits if until is not None and until > now]
        if run.waits:
            self._arm(run)
        else:
            self._disarm(run)
        for waiter in over:
            waiter.accepted(run.invoke.activation_id)

    def _arm(self, run: Followed) -> None:
        """Set the run's one timer to whatever is due next."""
        self._disarm(run)
        now = self._around.monotonic()
        times = [until for _, until in run.waits if until is not None]
        if not run.will_end:
            times += [run.began + self._accept_wait_s, run.began + UNANSWERED_S]
        due = min((at for at in times if at > now), default=now)
        run.timer = self._around.call_later(due - now, self._due, run)

    def _disarm(self, run: Followed) -> None:
        timer, run.timer = run.timer, None
        if timer is not None:
            timer.cancel()

    def _due(self, run: Followed) -> None:
        run.timer = None
        now = self._around.monotonic()
        if run.will_end:
            self._accept_waited(run)
        elif now < run.began + self._accept_wait_s:
            self._arm(run)
        elif run.stored and run.invoke.spool is None:
            self._keep(run)  # its owner may be away: it will find the run on the bus
        elif run.state is State.HELD or self._withdrawn(run):
            self._reject(run, NoInvoker.code, f"no invoker took the run within {self._accept_wait_s:g} s")
        elif now < run.began + UNANSWERED_S:
            self._arm(run)
        else:
            waits, run.waits = run.waits, []
            text = "the invoker has seen the run and does not say that it keeps it"
            for waiter, _ in waits:
                waiter.rejected(run.invoke.activation_id, BalancerUnavailable.code, text)

    def _withdrawn(self, run: Followed) -> bool:
        return run.entry is not None and self._around.bus.withdraw(f"invoker{run.invoker}", run.entry)

    def _unspool(self, invoke: Invoke) -> None:
        if invoke.spool is not None:
            self._around.unspool(invoke.spool)

    def _reject(self, run: Followed, code: str, text: str) -> None:
        self._forget(run)
        self._unspool(run.invoke)
        for waiter, _ in run.waits:
            waiter.rejected(run.invoke.activation_id, code, text)

    def _forget(self, run: Followed) -> None:
        self._disarm(run)
        run.over = True
        self._drop_note(run.invoke.activation_id)
        self._held.pop(run.invoke.activation_id, None)
        del self._runs[run.invoke.activation_id]
        self._throttles.ended(run.invoke.limits.namespace)
        if run.invoker >= 0:
            self._slots.give_back(run.invoker, run.invoke.charge)

    def _drop_note(self, run: str) -> None:
        if self._around.kept is not None:
            self._around.kept.drop(run)

    def _changed(self, changed: bool) -> None:
        if not changed:
            return
        logger.info("invokers changed", extra={"invokers": self.fleet.states()})
        self.fleet_changed()
        self._dispatch_held()

    def _dispatch_held(self) -> None:
        held, self._held = self._held, {}
        for run in held.values():
            self._dispatch(run)
