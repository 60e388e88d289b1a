"""Any event that can happen to a run, in any order: its invariants hold, and its end is that of the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from invoker_ext.dataflow.attempts import LOSSES, MISSES
from invoker_ext.dataflow.commands import Command, Dispatch
from invoker_ext.dataflow.events import (
    Began,
    Brought,
    Cancelled,
    DeadlineReached,
    Drained,
    Evaluated,
    Event,
    Lost,
    Outcome,
    PlatformFailed,
    RetryDue,
    Squeezed,
)
from invoker_ext.dataflow.keys import Firing
from invoker_ext.dataflow.states import TERMINAL
from tests.support.graphs import Act, Workload, workloads
from tests.support.reference import RunFailed, evaluate
from tests.support.run_shell import Execution, RunShell, plain


@dataclass(eq=False)
class Live:
    """An attempt that has not drained.

    Attributes:
        execution: What the shell knows of it.
        act: What its function does, once all it reads is there.
        commits: Those still to come.
    """

    execution: Execution
    began: bool = False
    act: Act | None = None
    commits: list[Callable[[], Event]] = field(default_factory=list)
    returned: bool = False

    @property
    def firing(self) -> Firing:
        return self.execution.dispatch.firing

    @property
    def attempt(self) -> int:
        return self.execution.dispatch.attempt

    @property
    def acts(self) -> bool:
        return self.began and not self.execution.open_streams


class Shell(RunShell):
    """Leaves it to others what happens next."""

    def __init__(self, work: Workload, seed: int, *, spans: bool = False) -> None:
        super().__init__(work, seed, losses=False, spans=spans)
        self.live: list[Live] = []

    def carry_out(self, command: Command) -> None:
        super().carry_out(command)
        if isinstance(command, Dispatch):
            # The script stands for the report that must still come, so the shell keeps the execution until then.
            self.executions[-1].script = [lambda: Drained(command.firing, command.attempt, self.at)]
            self.live.append(Live(self.executions[-1]))

    def tell(self, event: Event) -> None:
        self.at += 1.0
        self.give(event)

    def begin(self, one: Live) -> None:
        one.began = True
        self.tell(Began(one.firing, one.attempt, self.at))

    def decide(self, one: Live) -> Act:
        """Have the function compute: what it does follows from what it reads."""
        if one.act is None:
            one.act = self.act(one.execution)
            one.commits = self.commits(one.execution, one.act)
        return one.act

    def finish(self, one: Live) -> None:
        act = self.decide(one)
        one.returned = True
        self.spent[one.firing] = self.spent.get(one.firing, 0) + 1
        self.tell(self.returned(one.execution, act))

    def leave(self, one: Live, event: Event) -> None:
        """Report the last thing of an attempt: it reads nothing any more."""
        self.live.remove(one)
        self.executions.remove(one.execution)
        self.tell(event)


class Runs(RuleBasedStateMachine):
    shell: Shell
    spans = False

    @initialize(
        work=workloads(max_steps=5), seed=st.integers(0, 2**16), stops=st.sampled_from([False, False, False, True])
    )
    def accept(self, work: Workload, seed: int, stops: bool) -> None:
        self.shell = Shell(work, seed, spans=self.spans)
        self.stops = stops
        self.started = False
        self.astray = False
        """It was stopped, or lost more than it can recover from: its result is not that of the reference."""
        self.said: list[Event] = []
        self.losses: dict[tuple[Firing, bool], int] = {}

    def those(self, which: Callable[[Live], bool]) -> list[Live]:
        return [one for one in self.shell.live if which(one)]

    def pick(self, data: st.DataObject, which: Callable[[Live], bool]) -> Live:
        return data.draw(st.sampled_from(self.those(which)))

    def answers(self, kind: type[Brought] | type[Evaluated] | type[RetryDue]) -> list[Event]:
        return [one for one in self.shell.answers if isinstance(one, kind)]

    # -- what the shell reports ------------------------------------------------------------------

    @rule()
    def start(self) -> None:
        """Only the first time counts."""
        self.started = True
        self.shell.tell(self.shell.started())

    @precondition(lambda self: self.those(lambda one: not one.began))
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        one = self.pick(data, lambda one: not one.began)
        self.said.append(Began(one.firing, one.attempt, 0.0))
        self.shell.begin(one)

    @precondition(lambda self: self.those(lambda one: one.acts and (one.act is None or one.commits)))
    @rule(data=st.data(), most=st.integers(1, 4))
    def emit(self, data: st.DataObject, most: int) -> None:
        one = self.pick(data, lambda one: one.acts and (one.act is None or bool(one.commits)))
        self.shell.decide(one)
        for commit in one.commits[:most]:
            self.shell.tell(commit())
        del one.commits[:most]

    @precondition(lambda self: self.those(lambda one: one.acts and not one.returned))
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        self.shell.finish(self.pick(data, lambda one: one.acts and not one.returned))

    @precondition(lambda self: self.those(lambda one: one.returned and not one.commits))
    @rule(data=st.data())
    def drain(self, data: st.DataObject) -> None:
        one = self.pick(data, lambda one: one.returned and not one.commits)
        self.said.append(Drained(one.firing, one.attempt, 0.0))
        self.shell.leave(one, self.said[-1])

    @precondition(lambda self: self.those(self.can_be_lost))
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        one = self.pick(data, self.can_be_lost)
        known = one.firing, one.began
        self.losses[known] = self.losses.get(known, 0) + 1
        self.astray |= self.losses[known] >= (LOSSES if one.began else MISSES)
        self.said.append(Lost(one.firing, one.attempt, one.began, 0.0))
        self.shell.leave(one, self.said[-1])

    @staticmethod
    def can_be_lost(one: Live) -> bool:
        # After a failure it would only be the outputs of the failed attempt that are lost, and what a stream had
        # handed over of those by then is a matter of chance.
        return not one.returned or (one.act is not None and one.act.error is None)

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Whatever was reported may be reported again."""
        self.shell.tell(data.draw(st.sampled_from(self.said)))

    # -- answers to commands ---------------------------------------------------------------------

    @precondition(lambda self: self.answers(Evaluated))
    @rule(data=st.data())
    def evaluated(self, data: st.DataObject) -> None:
        self.reply(data.draw(st.sampled_from(self.answers(Evaluated))))

    @precondition(lambda self: self.answers(RetryDue))
    @rule(data=st.data())
    def retry_due(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.answers(RetryDue)))
        self.said.append(event)
        self.reply(event)

    def reply(self, event: Event) -> None:
        self.shell.answers.remove(event)
        self.shell.tell(self.shell.brought(event) if isinstance(event, Brought) else event)

    # -- from outside ----------------------------------------------------------------------------

    @precondition(lambda self: self.stops)
    @rule(how=st.sampled_from([Cancelled("enough", 0.0), DeadlineReached(0.0), PlatformFailed("no room", 0.0)]))
    def stop(self, how: Event) -> None:
        self.astray |= self.shell.end is None
        self.shell.tell(how)

    # -- what must hold --------------------------------------------------------------------------

    @invariant()
    def counts_are_right(self) -> None:
        if hasattr(self, "shell"):
            self.shell.machine.validate()

    def teardown(self) -> None:
        if not hasattr(self, "shell"):
            return
        if not self.started:
            self.start()
        self.go_on_to_the_end()
        shell = self.shell
        assert shell.end is not None, "nothing is left to happen, but the run has not ended"
        for datum in shell.end.data:
            shell.release(datum)
        assert shell.machine.idle
        assert all(made.gone for made in shell.made)
        assert all(shell.machine.story(firing)[-1].after in TERMINAL for firing in shell.firings)
        if not self.astray:
            self.compare()

    def go_on_to_the_end(self) -> None:
        shell = self.shell
        while shell.live or shell.answers:
            able = [one for one in shell.live if one.returned or not one.execution.open_streams]
            if shell.answers and (not able or shell.random.random() < 0.5):
                self.reply(shell.random.choice(shell.answers))
                continue
            assert able, "every attempt waits for a stream that nobody ends"
            one = shell.random.choice(able)
            if not one.began:
                shell.begin(one)
            elif not one.returned:
                shell.finish(one)
            elif one.commits:
                shell.tell(one.commits.pop(0)())
            else:
                shell.leave(one, Drained(one.firing, one.attempt, shell.at))

    def compare(self) -> None:
        end = self.shell.end
        assert end is not None
        try:
            expected = evaluate(self.shell.work)
        except RunFailed:
            expected = None
        if isinstance(end.error, str) and "was lost with the host" in end.error:
            return  # what made it must not be executed again
        result = None
        if end.outcome is Outcome.SUCCESS:
            result = {bound.name: plain(bound.value) for bound in end.result}
        assert result == expected, end.error


class SpreadRuns(Runs):
    """The same over several hosts, of which some are lost with what they hold."""

    spans = True
    hosts_lost = 0

    @precondition(lambda self: self.hosts_lost < LOST_HOSTS and self.shell.elsewhere())
    @rule(data=st.data())
    def lose_data(self, data: st.DataObject) -> None:
        self.hosts_lost += 1
        there = self.shell.elsewhere()
        chosen = data.draw(st.lists(st.integers(0, len(there) - 1), min_size=1, max_size=len(there), unique=True))
        self.shell.tell(self.shell.lose([there[index] for index in chosen]))

    @precondition(lambda self: self.answers(Brought))
    @rule()
    def bring(self) -> None:
        self.reply(self.answers(Brought)[0])

    @rule()
    def squeeze(self) -> None:
        """What is kept in case of a loss may go at any time."""
        self.shell.tell(Squeezed(0.0))


LOST_HOSTS = 3
SETTINGS = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestRuns = Runs.TestCase
TestRuns.settings = SETTINGS
TestSpreadRuns = SpreadRuns.TestCase
TestSpreadRuns.settings = SETTINGS
