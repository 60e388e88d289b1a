"""Gives the sequences and workflows of invokers that stay away to others."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import partial

from controller_ext.balancer.fleet import Fleet
from controller_ext.balancer.following import Followed, State, Surroundings
from controller_ext.balancer.kept import Kept
from controller_ext.balancer.owners import farewell, under_next_epoch
from controller_ext.balancer.slots import Slots
from invoker_ext.bus import Message

logger = logging.getLogger(__name__)


class Succession:
    """Knows no sockets, as the dispatcher, of which it is a part.

    Args:
        around: The world.
        fleet: The dispatcher's.
        slots: The dispatcher's.
        run_ttl_s: How long the end of a run is awaited from its next owner.
    """

    def __init__(self, around: Surroundings, fleet: Fleet, slots: Slots, run_ttl_s: float) -> None:
        self._around = around
        self._fleet = fleet
        self._slots = slots
        self._run_ttl_s = run_ttl_s

    def look(self, runs: Iterable[Followed], now: float) -> None:
        """Give runs of those that are lost by now to others, if there are any."""
        lost = self._fleet.lost(now, self._around.owner_lost_s)
        usable = self._fleet.usable(runs=True)
        if not usable:
            return
        for run in runs:
            there = run.state is State.KEPT or (run.state is State.SENT and run.stored)
            if run.adrift or (there and run.invoker in lost and "run" in run.invoke.headers):
                self._pass_on(run, usable)

    def _pass_on(self, run: Followed, usable: Sequence[int]) -> None:
        try:
            invoke = under_next_epoch(run.invoke)
        except ValueError:
            logger.exception("run of a lost owner cannot be read")
            return
        chosen = self._slots.take(usable, invoke.charge)
        if chosen is None:
            return
        logger.warning(
            "owner lost", extra={"run": invoke.activation_id, "invoker": run.invoker, "next": chosen, "e": invoke.epoch}
        )
        self._around.bus.post(f"invoker{run.invoker}", farewell(invoke))
        self._slots.give_back(run.invoker, run.invoke.charge)
        run.invoke, run.invoker, run.adrift = invoke, chosen, False
        now = self._around.monotonic()
        run.over_at = now + self._run_ttl_s
        if run.state is State.SENT:
            run.began = now  # its next owner has as long to say that it has it
        # Before it is sent: two owners must never have it under one epoch, also if the next balancer decides anew.
        self._note(run, sent=False)
        self._around.bus.post(
            f"invoker{chosen}", Message(invoke.payload, invoke.headers), partial(self._passed_on, run, invoke.epoch)
        )

    def _passed_on(self, run: Followed, epoch: int, error: Exception | None) -> None:
        """Hear whether the bus has a run for its next owner; if it has not, the next look finds another."""
        if run.invoke.epoch != epoch or run.over:
            return
        if error is None:
            self._note(run, sent=True)
        else:
            logger.warning("next owner not told", extra={"run": run.invoke.activation_id, "error": str(error)})
            run.adrift = True

    def _note(self, run: Followed, *, sent: bool) -> None:
        if self._around.kept is not None:
            self._around.kept.note(Kept(run.invoke, run.invoker, sent))
