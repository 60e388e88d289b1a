"""Drives the machine of a run by hand, one report at a time, for tests about a single rule."""

from __future__ import annotations

from typing import Any

from invoker_ext.contract.graph import WHOLE, Graph
from invoker_ext.dataflow.commands import Bring, Command, Dispatch, End, Evaluate, Feed, FeedEnd, Release
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
    Returned,
    Started,
)
from invoker_ext.dataflow.keys import DataKey, Firing
from invoker_ext.dataflow.machine import RunMachine
from invoker_ext.dataflow.states import State
from invoker_ext.dataflow.wants import run_members
from tests.support.run_shell import Thing, plain


def named(text: str) -> Firing:
    """Read `step[1][0]`."""
    step, *indices = text.replace("]", "").split("[")
    return Firing(step, tuple(int(index) for index in indices))


class Play:
    """A run in the hands of a test.

    Attributes:
        commands: What the last event led to, but for Release.
        fired: Every dispatch so far, as `step[index]`, in order.
        released: Values of the data that were released, in order.
        end: Once the run has ended.
        questions: Evaluate commands that are not answered, in order.
        far: Data of the result are not brought here before the test says so (`brings`).
        asked: What is to be brought here.
    """

    def __init__(self, graph: Graph, start: bool = True, spans: bool = False, **parameters: Any) -> None:
        self.spans = spans
        self.machine = RunMachine(graph)
        self.graph = graph
        self.commands: list[Command] = []
        self.fired: list[str] = []
        self.dispatches: dict[str, Dispatch] = {}
        self.released: list[Any] = []
        self.end: Any = None
        self.questions: list[Any] = []
        self.far = False
        self.asked: list[Any] = []
        self.made: list[Thing] = []
        self._counts: dict[tuple[str, int], dict[str, tuple[How, int]]] = {}
        if start:
            self.starts(**parameters)

    # -- reports -------------------------------------------------------------------------------

    def starts(self, **parameters: Any) -> None:
        members = run_members(self.graph)
        whole = {WHOLE: self.thing(parameters)} if WHOLE in members.values else {}
        lists = {name for name in members.items if isinstance(parameters.get(name), list)}
        values = (members.values | members.items) - lists | (members.values & lists)
        single = {name: self.thing(parameters[name]) for name in values if name in parameters}
        items = {name: tuple(self.thing(one) for one in parameters[name]) for name in lists}
        self.give(Started(whole | single, items, 0.0, self.spans))

    def commits(self, name: str, output: str, *values: Any, how: How = How.EMIT, start: int = 0) -> None:
        """Report data of the present attempt, indexed from `start`."""
        firing, attempt = named(name), self.attempt(name)
        counts = self._counts.setdefault((name, attempt), {})
        for index, one in enumerate(values, start):
            counts[output] = (how, max(counts.get(output, (how, 0))[1], index + 1))
            key = DataKey(firing.step, firing.tag, output, index)
            self.give(Committed(key, attempt, how, self.thing(one), 1.0, self.spans))

    def returns(self, name: str, whole: object = None, drain: bool = True, **fields: Any) -> None:
        """Report success with these fields; what was committed before is counted as it was."""
        for output, one in fields.items():
            if isinstance(one, list):
                self.commits(name, output, *one, how=How.SPREAD)
                self._counts.setdefault((name, self.attempt(name)), {})[output] = (How.SPREAD, len(one))
            else:
                self.commits(name, output, one, how=How.FIELD)
        self.commits(name, WHOLE, whole if whole is not None else fields, how=How.WHOLE)
        self.reports(name, Outcome.SUCCESS)
        if drain:
            self.drains(name)

    def reports(
        self, name: str, outcome: Outcome, error: object = None, attempt: int | None = None, **more: Any
    ) -> None:
        """Report the return alone."""
        attempt = self.attempt(name) if attempt is None else attempt
        counts = dict(self._counts.get((name, attempt), {})) | more.pop("counts", {})
        datum = None if error is None else self.thing(error)
        self.give(Returned(named(name), attempt, outcome, counts, datum, 2.0, **more))

    def fails(self, name: str, error: object = "boom", outcome: Outcome = Outcome.APPLICATION_ERROR) -> None:
        attempt = self.attempt(name)
        self.reports(name, outcome, error)
        self.drains(name, attempt)

    def drains(self, name: str, attempt: int | None = None) -> None:
        self.give(Drained(named(name), self.attempt(name) if attempt is None else attempt, 3.0))

    def loses(self, name: str, began: bool = True, **more: Any) -> None:
        self.give(Lost(named(name), self.attempt(name), began, 3.0, **more))

    def loses_data(self, *outputs: str) -> None:
        """Report that outputs, `step.name` or `step.name/3`, are gone with their host."""
        keys = []
        for text in outputs:
            name, _, index = text.partition("/")
            step, _, output = name.rpartition(".")
            firing = named(step)
            keys.append(DataKey(firing.step, firing.tag, output, int(index or 0)))
        self.give(DataLost(tuple(keys), 3.0))

    def begins(self, name: str) -> None:
        self.give(Began(named(name), self.attempt(name), 1.0))

    def answers(self, holds: bool, error: str | None = None) -> None:
        """Answer the oldest question."""
        self.give(Evaluated(self.questions.pop(0).ticket, holds, error, 4.0))

    def brings(self, error: str | None = None) -> None:
        """Report that the result is here, or why it is not."""
        self.asked = []
        self.give(Brought(5.0, error))

    def give(self, event: Event) -> None:
        commands = self.machine.handle(event)
        self.machine.validate()
        self.commands = [one for one in commands if not isinstance(one, Release)]
        for command in commands:
            if isinstance(command, Dispatch):
                self.fired.append(str(command.firing))
                self.dispatches[str(command.firing)] = command
            elif isinstance(command, Evaluate):
                self.questions.append(command)
            elif isinstance(command, Bring):
                assert not self.asked, "asked for while it comes"
                self.asked = list(command.data)
            elif isinstance(command, Release):
                assert len(command.keys) == len(command.data)
                for datum in command.data:
                    assert isinstance(datum, Thing)
                    assert not datum.gone, "released twice"
                    datum.gone = True
                    self.released.append(datum.value)
            elif isinstance(command, End):
                assert self.end is None
                self.end = command
        if self.asked and not self.far:
            self.brings()

    # -- what came of it -----------------------------------------------------------------------

    def of(self, kind: type) -> list[Any]:
        return [one for one in self.commands if isinstance(one, kind)]

    def attempt(self, name: str) -> int:
        return self.dispatches[name].attempt

    def inputs(self, name: str) -> dict[str, Any]:
        return {bound.name: plain(bound.value) for bound in self.dispatches[name].inputs}

    def fed(self) -> list[Any]:
        """Return what the last event fed to streams; None for an end, a text for a broken one."""
        found: list[Any] = []
        for one in self.commands:
            if isinstance(one, Feed):
                assert isinstance(one.datum, Thing)
                found.append(one.datum.value)
            elif isinstance(one, FeedEnd):
                found.append(one.error)
        return found

    @property
    def result(self) -> dict[str, Any]:
        assert self.end is not None
        assert self.end.outcome is Outcome.SUCCESS, self.end.error
        return {bound.name: plain(bound.value) for bound in self.end.result}

    @property
    def failure(self) -> tuple[Outcome, Any]:
        assert self.end is not None
        error = self.end.error
        return self.end.outcome, error.value if isinstance(error, Thing) else error

    def state(self, name: str) -> State:
        return self.machine.story(named(name))[-1].after

    def thing(self, what: object) -> Thing:
        made = Thing(what)
        self.made.append(made)
        return made

    def leaves_nothing(self) -> bool:
        """Return whether the machine has given back every datum, by Release or with the End."""
        assert self.end is not None
        kept = {id(datum) for datum in self.end.data}
        assert len(kept) == len(self.end.data)
        assert all(made.gone != (id(made) in kept) for made in self.made)
        return self.machine.idle
