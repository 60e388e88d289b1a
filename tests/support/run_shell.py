"""A shell around the machine of a run that does everything in a random order, and watches every datum."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from invoker_ext.contract.graph import WHOLE, Fault
from invoker_ext.dataflow.commands import (
    Bring,
    Chunks,
    Command,
    Constant,
    Dispatch,
    End,
    Evaluate,
    Feed,
    FeedEnd,
    Release,
    Retry,
    Streamed,
    Value,
)  # fmt: skip
from invoker_ext.dataflow.events import (
    Began,
    Brought,
    Committed,
    DataLost,
    Drained,
    Evaluated,
    Event,
    How,
    Lost,
    Outcome,
    RetryDue,
    Returned,
    Started,
)  # fmt: skip
from invoker_ext.dataflow.keys import DataKey, Firing
from invoker_ext.dataflow.machine import RunMachine
from invoker_ext.dataflow.wants import run_members, wants
from tests.support.graphs import CONDITIONS, Act, Workload, behave


@dataclass(eq=False)
class Thing:
    """A datum that knows whether it is still there."""

    value: Any
    gone: bool = False
    key: DataKey | None = None
    """Of one that another host holds."""
    lost: bool = False
    here: bool = False
    """Of one that another host holds: there is a copy here, so it cannot be lost."""

    @property
    def size_bytes(self) -> int:
        return len(json.dumps(self.value))


@dataclass(eq=False)
class Execution:
    """One attempt under way.

    Attributes:
        script: Events that are still to happen, in order; None: the function still reads streams.
    """

    dispatch: Dispatch
    open_streams: set[str]
    parts: dict[str, list[Thing]] = field(default_factory=dict)
    broken: dict[str, bool] = field(default_factory=dict)
    script: list[Callable[[], Event]] | None = None

    def reads(self) -> list[Thing]:
        found: list[Thing] = []
        for bound in self.dispatch.inputs:
            found += things(bound.value)
        for parts in self.parts.values():
            found += parts
        return found


MOST_LOST = 3
"""Hosts that are lost within one run."""


class RunShell:
    """Runs a workload to its end, one random event at a time.

    Attributes:
        end: The machine's End, once it came.
        made: Every datum handed to the machine.
    """

    def __init__(self, work: Workload, seed: int, *, losses: bool = True, spans: bool = False) -> None:
        self.spans = spans
        self.hosts_lost = 0
        self.bringing: list[Any] = []
        self.work = work
        self.random = random.Random(seed)
        self.machine = RunMachine(work.graph)
        self.wants = wants(work.graph)
        self.losses = losses
        self.end: End | None = None
        self.made: list[Thing] = []
        self.executions: list[Execution] = []
        self.answers: list[Event] = []
        self.flaws: dict[Firing, int] = {}
        self.spent: dict[Firing, int] = {}
        self.lost: dict[Firing, int] = {}
        self.firings: list[Firing] = []
        self.at = 0.0

    def thing(self, what: object) -> Thing:
        made = Thing(what)
        self.made.append(made)
        return made

    def run(self) -> None:
        """Go on until nothing is left to happen."""
        self.give(self.started())
        while (event := self.next_event()) is not None:
            self.give(event)
        assert self.end is not None, "nothing is left to happen, but the run has not ended"
        assert self.machine.idle
        for datum in self.end.data:
            self.release(datum)
        assert all(made.gone for made in self.made)

    def started(self) -> Started:
        members = run_members(self.work.graph)
        given = self.work.parameters
        parameters = {name: self.thing(given[name]) for name in members.values if name in given}
        if WHOLE in members.values:
            parameters[WHOLE] = self.thing(dict(given))
        items = {
            name: tuple(self.thing(one) for one in given[name])
            for name in members.items
            if isinstance(given.get(name), list)
        }
        return Started(parameters, items, 0.0, self.spans)

    def give(self, event: Event) -> None:
        ended = self.machine.ended
        commands = self.machine.handle(event)
        self.machine.validate()
        for command in commands:
            assert not ended or isinstance(command, Release), "only Release follows the End"
            self.carry_out(command)

    # -- commands ------------------------------------------------------------------------------

    def carry_out(self, command: Command) -> None:
        match command:
            case Dispatch(firing, _, step, inputs):
                assert not isinstance(step.call, Fault)
                self.check_there(value for bound in inputs for value in things(bound.value))
                open_streams = {bound.name for bound in inputs if isinstance(bound.value, Streamed)}
                self.executions = [one for one in self.executions if one.dispatch.firing != firing or one.script]
                self.executions.append(Execution(command, open_streams))
                self.firings.append(firing)
            case Feed(firing, name, datum):
                self.check_there([datum])
                self.execution(firing).parts.setdefault(name, []).append(datum)  # type: ignore[arg-type]
            case FeedEnd(firing, name, error):
                execution = self.execution(firing)
                assert name in execution.open_streams
                execution.open_streams.discard(name)
                execution.broken[name] = error is not None
            case Evaluate(ticket, condition, value):
                self.check_there(things(value))
                self.answers.append(Evaluated(ticket, CONDITIONS[condition](plain(value)), None, self.at))
            case Bring(data):
                self.check_there(data)
                self.bringing = list(data)
                self.answers.append(Brought(self.at))
            case Retry(firing, attempt, delay_s):
                assert delay_s > 0
                self.answers.append(RetryDue(firing, attempt, self.at))
            case Release(_, data):
                for datum in data:
                    self.release(datum)
            case End():
                assert self.end is None
                self.end = command
                result = [value for bound in command.result for value in things(bound.value)]
                self.check_there(result)
                assert not any(one.lost or (one.key is not None and not one.here) for one in result)

    def brought(self, answer: Brought) -> Brought:
        """Return the answer to Bring: whatever was lost meanwhile could not be had."""
        for datum in self.bringing:
            datum.here = not datum.lost
        return answer if all(one.here for one in self.bringing) else Brought(answer.at, "it is gone")

    def execution(self, firing: Firing) -> Execution:
        return next(one for one in reversed(self.executions) if one.dispatch.firing == firing)

    def release(self, datum: Any) -> None:
        assert not datum.gone, "released twice"
        for execution in self.executions:
            assert datum.lost or datum not in execution.reads(), f"released under {execution.dispatch.firing}"
        datum.gone = True

    @staticmethod
    def check_there(data: Any) -> None:
        for datum in data:
            assert not datum.gone, "handed out after its release"

    # -- what happens --------------------------------------------------------------------------

    def next_event(self) -> Event | None:
        self.at += 1.0
        able = [one for one in self.executions if one.script or (one.script is None and not one.open_streams)]
        choices = len(able) + len(self.answers)
        if self.spans and choices and self.hosts_lost < MOST_LOST and self.random.random() < 0.1 and self.elsewhere():
            self.hosts_lost += 1
            return self.lose([one for one in self.elsewhere() if self.random.random() < 0.7])
        if not choices:
            return None
        chosen = self.random.randrange(choices)
        if chosen >= len(able):
            answer = self.answers.pop(self.random.randrange(len(self.answers)))
            return self.brought(answer) if isinstance(answer, Brought) else answer
        execution = able[chosen]
        if execution.script is None:
            execution.script = self.script(execution)
        event = execution.script.pop(0)()
        if not execution.script:
            self.executions.remove(execution)
        return event

    def script(self, execution: Execution) -> list[Callable[[], Event]]:
        """Return the events of an attempt, in an order that could be."""
        dispatch = execution.dispatch
        firing, attempt = dispatch.firing, dispatch.attempt
        lost = self.lost.get(firing, 0)
        if self.losses and lost < 1 and self.random.random() < 0.2:
            self.lost[firing] = lost + 1
            began = self.random.random() < 0.5
            before = self.commits(execution, self.act(execution)) if began else []
            kept = before[: self.random.randrange(len(before) + 1)]
            return [*kept, lambda: Lost(firing, attempt, began, self.at)]
        act = self.act(execution)
        self.spent[firing] = self.spent.get(firing, 0) + 1
        commits = self.commits(execution, act)
        returned = self.random.randrange(len(commits) + 1)
        script = [*commits[:returned], lambda: self.returned(execution, act), *commits[returned:]]
        if act.error is None and self.losses and lost < 1 and self.random.random() < 0.1:
            # Dies with outputs on their way; it is executed again if any of them is needed.
            self.lost[firing] = lost + 1
            self.spent[firing] -= 1
            cut = self.random.randrange(returned + 1, len(script) + 1)
            return [*script[:cut], lambda: Lost(firing, attempt, True, self.at)]
        return [
            lambda: Began(firing, attempt, self.at), *script, lambda: Drained(firing, attempt, self.at)
        ]  # fmt: skip

    def act(self, execution: Execution) -> Act:
        args: dict[str, Any] = {}
        for bound in execution.dispatch.inputs:
            if isinstance(bound.value, Streamed):
                parts = [part.value for part in execution.parts.get(bound.name, ())]
                got: Any = {"parts": parts, "broken": execution.broken[bound.name]}
            else:
                got = plain(bound.value)
            args = args | got if bound.name == WHOLE else args | {bound.name: got}
        firing = execution.dispatch.firing
        return behave(self.work.specs[firing.step], args, self.spent.get(firing, 0) + 1)

    def commits(self, execution: Execution, act: Act) -> list[Callable[[], Event]]:
        """Return the commits in the order of each output, the outputs mixed; some twice."""
        lanes: list[list[tuple[str, int, How, Any]]] = []
        for name, items in act.emitted.items():
            lanes.append([(name, index, How.EMIT, one) for index, one in enumerate(items)])
        for name, parts in act.chunked.items():
            lanes.append([(name, index, How.CHUNK, one) for index, one in enumerate(parts)])
        wanted = self.wants[execution.dispatch.firing.step]
        for name, one in act.fields.items():
            if isinstance(one, list) and wanted.get(name) == "items":
                lanes.append([(name, index, How.SPREAD, item) for index, item in enumerate(one)])
            else:
                lanes.append([(name, 0, How.FIELD, one)])
        lanes.append([(WHOLE, 0, How.WHOLE, dict(act.fields))])
        lanes = [lane for lane in lanes if lane]
        mixed: list[Callable[[], Event]] = []
        while lanes:
            lane = self.random.choice(lanes)
            commit = lane.pop(0)
            mixed += [self.commit(execution, *commit)] * (2 if self.random.random() < 0.1 else 1)
            lanes = [lane for lane in lanes if lane]
        return mixed

    def commit(self, execution: Execution, name: str, index: int, how: How, what: object) -> Callable[[], Event]:
        firing, attempt = execution.dispatch.firing, execution.dispatch.attempt
        key = DataKey(firing.step, firing.tag, name, index)
        if self.spans and self.random.random() < 0.6:
            return lambda: Committed(key, attempt, how, self.thing_elsewhere(what, key), self.at, True)
        return lambda: Committed(key, attempt, how, self.thing(what), self.at)

    def thing_elsewhere(self, what: object, key: DataKey) -> Thing:
        made = self.thing(what)
        made.key = key
        return made

    def elsewhere(self) -> list[Thing]:
        """Return what the machine holds of other hosts."""
        return [one for one in self.made if one.key is not None and not (one.gone or one.lost or one.here)]

    def lose(self, lost: list[Thing]) -> DataLost:
        """Return the news that data are gone."""
        for one in lost:
            one.lost = True
        return DataLost(tuple(one.key for one in lost if one.key is not None), self.at)

    def returned(self, execution: Execution, act: Act) -> Returned:
        counts = {name: (How.EMIT, len(items)) for name, items in act.emitted.items()}
        counts |= {name: (How.CHUNK, len(parts)) for name, parts in act.chunked.items()}
        wanted = self.wants[execution.dispatch.firing.step]
        for name, one in act.fields.items():
            spread = isinstance(one, list) and wanted.get(name) == "items"
            counts[name] = (How.SPREAD, len(one)) if spread else (How.FIELD, 1)
        firing, attempt = execution.dispatch.firing, execution.dispatch.attempt
        if act.error is None:
            return Returned(firing, attempt, Outcome.SUCCESS, counts, None, self.at)
        return Returned(firing, attempt, Outcome.APPLICATION_ERROR, counts, self.thing(act.error), self.at)


def things(value: Value) -> list[Any]:
    """Return the data of a bound value."""
    if isinstance(value, tuple):
        return [thing for one in value for thing in things(one)]
    if isinstance(value, Chunks):
        return list(value.parts)
    return [] if isinstance(value, Constant | Streamed) else [value]


def plain(value: Any) -> Any:
    """Return what user code would see."""
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    if isinstance(value, Chunks):
        return "".join(part.value for part in value.parts)  # type: ignore[attr-defined]
    return json.loads(value.json) if isinstance(value, Constant) else value.value
