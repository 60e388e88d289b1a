"""The attempts of one run that are at work in containers."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from invoker_ext.contract.graph import ActionCall, GraphKind
from invoker_ext.dataflow.commands import Dispatch
from invoker_ext.dataflow.events import Drained, Outcome, Returned
from invoker_ext.dataflow.keys import Firing
from invoker_ext.owner.actions import ActionDoc, ActionGone, Program
from invoker_ext.owner.attempt import Attempt
from invoker_ext.owner.host import Ear
from invoker_ext.owner.jobs import make_attempt
from invoker_ext.owner.outcomes import error_of
from invoker_ext.owner.run_record import refused_firing

if TYPE_CHECKING:
    from invoker_ext.owner.run import Run


class Firings:
    """Those of its regions included. Lives on the loop."""

    def __init__(self, run: Run, program: Program) -> None:
        """Start without any."""
        self._run = run
        self._docs = program.docs
        self._live: dict[Firing, Attempt] = {}

    @property
    def live(self) -> Collection[Attempt]:
        """Attempts that will say more."""
        return self._live.values()

    def time_lines(self) -> list[dict[str, object]]:
        """Return what is at work now: its activation id and name, and its time line so far."""
        return [
            {"activationId": attempt.activation_id, "name": attempt.call.name, **attempt.time_line()}
            for attempt in self._live.values()
        ]

    def attempt(self, firing: Firing) -> Attempt | None:
        """Return the present attempt of a firing."""
        return self._live.get(firing)

    def call(self, command: Dispatch, call: ActionCall, ear: Ear, doc: ActionDoc | None = None) -> None:
        """Start an attempt.

        Args:
            command: That asks for it.
            call: Of the action.
            ear: Hears of it.
            doc: The action, if it is none of the graph's.
        """
        run = self._run
        doc = doc or self._docs.get((call.name, call.revision))
        if doc is None or call.refusal is not None:
            self._refuse(command, call.refusal or str(ActionGone()), ear)
            return
        attempt = make_attempt(run, command, call, doc, ear)
        self._live[command.firing] = attempt
        if run.graph.kind is not GraphKind.ACTION:
            run.own_tally.ids.append(attempt.activation_id)
        run.own_tally.memory_mb = max(run.own_tally.memory_mb, call.memory_mb)
        run.host.containers.submit(attempt.job)

    def _refuse(self, command: Dispatch, text: str, ear: Ear) -> None:
        """End a firing at once; stock records it all the same."""
        run = self._run
        now, judgement = run.host.clock.now(), error_of(text, Outcome.APPLICATION_ERROR)
        record = refused_firing(run.spec, run.graph, command, judgement, run.host.clock.epoch_ms(now))
        run.own_tally.ids.append(record.activation_id)
        run.host.keep([record], run.spec.user)
        error = run.put_json(judgement.error or b"null")
        ear.post(Returned(command.firing, command.attempt, judgement.outcome, {}, error, now))
        ear.post(Drained(command.firing, command.attempt, now))

    def over(self, attempt: Attempt) -> None:
        """Let go of an attempt that will say no more."""
        if self._live.get(attempt.dispatch.firing) is attempt:
            del self._live[attempt.dispatch.firing]

    def kill(self) -> None:
        """End them all."""
        for attempt in list(self._live.values()):
            self._run.host.containers.kill(attempt.job)
