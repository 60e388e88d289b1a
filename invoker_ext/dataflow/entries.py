"""What the wait-match memory of a run holds: firings, the groups above them, their outputs. State, no behaviour."""

from __future__ import annotations

from typing import Any, Final

from invoker_ext.dataflow.commands import Bound, Value
from invoker_ext.dataflow.events import Datum, How, Outcome
from invoker_ext.dataflow.keys import Firing, Tag
from invoker_ext.dataflow.plan import LeafPlan, OutputPlan, StepPlan
from invoker_ext.dataflow.release import Held
from invoker_ext.dataflow.states import State, Transition

_NO_CHOICES: Final[dict[int, int]] = {}
_NO_GATHERS: Final[dict[int, Gather]] = {}
# Shared by all firings whose step has no such edge, and so never written: a run may have ten thousand firings, and each
# container in one is work for the garbage collector.


class Output:
    """An output of one firing that somebody reads.

    Attributes:
        plan: Who reads it.
        items: What has been committed, by index.
        how: How it is produced; None: nothing came yet.
        count: Number of items once the function returned; None before.
        following: Index of the first item that has not been handed to streams.
        served: Readers of one value were served from elsewhere (a run's parameter that came whole and as items).
        closed: All is there and handed over.
        broken: The producer failed while the output was being streamed: what its readers are told.
    """

    __slots__ = ("broken", "closed", "count", "following", "how", "items", "plan", "served")

    def __init__(self, plan: OutputPlan) -> None:
        self.plan = plan
        self.items: dict[int, Held] = {}
        self.how: How | None = None
        self.count: int | None = None
        self.following = 0
        self.served = False
        self.closed = False
        self.broken: str | None = None

    def parts(self) -> tuple[Datum, ...]:
        """Return all items in order of their index."""
        return tuple(self.items[index].datum for index in sorted(self.items))


class Gather:
    """A list in the making: one value an item of the level it closes.

    Attributes:
        values: Of the live items, by index.
        resolved: Number of items that are live or dead.
        expected: Number of items; None: not known yet.
    """

    __slots__ = ("expected", "resolved", "values")

    def __init__(self) -> None:
        self.values: dict[int, Value] = {}
        self.resolved = 0
        self.expected: int | None = None


class Group:
    """All firings of a step below one tag that is shorter than theirs.

    Attributes:
        plan: The step.
        prefix: The tag.
        parent: The group one level out; None for the outermost.
        below: Firings in it that are known by now.
        arrived: Values that are the same for all of them, by leaf.
        gathers: Such values in the making.
        claims: Their data, kept until every firing in it is terminal.
        expected: Number of firings, or of groups one level in; None: not known yet.
        finished: How many of these are terminal.
    """

    __slots__ = ("arrived", "below", "claims", "expected", "finished", "gathers", "parent", "plan", "prefix")

    def __init__(self, plan: StepPlan, prefix: Tag, parent: Group | None) -> None:
        self.plan = plan
        self.prefix = prefix
        self.parent = parent
        self.below: list[Entry] = []
        self.arrived: dict[int, Any] = {}
        self.gathers = {} if plan.gathering else _NO_GATHERS
        self.claims: list[Held] = []
        self.expected: int | None = None
        self.finished = 0

    @property
    def takes(self) -> bool:
        """Data that arrive may still be read."""
        return self.expected is None or self.finished < self.expected


class Entry:
    """One firing: its slots, its attempts, its outputs.

    Attributes:
        plan: The step.
        firing: Its name.
        group: The innermost group it is in; None outside of any `each`.
        state: Where it is; changed by the machine alone.
        leaves: What arrived, by leaf: PENDING, DEAD, or a value (of a stream: the producer's Output).
        missing: Slots that are neither live nor dead.
        dead: A required slot is dead.
        takes: Arrivals still count: it has been neither matched nor skipped.
        chosen: For slots that are an `any`, the alternative taken; past the last one: all are dead.
        gathers: Lists in the making, by leaf.
        claims: Data it reads, kept until it is terminal.
        bound: Its inputs, once matched.
        outputs: By name; only those that somebody reads.
        again: It was over, and is executed again for what was lost.
        attempt: Number of the last dispatch.
        errors: Attempts that ended in an application error.
        losses: Attempts that were lost after their function began.
        misses: Attempts that were lost before.
        began: The function of the present attempt began.
        undrained: Attempts that still hold the inputs, one bit each.
        settled: Ended for the run: returned for good, or skipped.
        outcome: How, once settled.
        story: Every change of state.
    """

    __slots__ = (
        "again", "attempt", "began", "bound", "chosen", "claims", "dead", "errors", "firing", "gathers", "group",
        "leaves", "losses", "misses", "missing", "outcome", "outputs", "plan", "settled", "state", "story", "takes",
        "undrained",
    )  # fmt: skip

    def __init__(self, plan: StepPlan, firing: Firing, group: Group | None) -> None:
        self.plan = plan
        self.firing = firing
        self.group = group
        self.state = State.WAITING
        self.leaves = plan.initial.copy()
        self.missing = plan.missing
        self.dead = False
        self.takes = True
        self.chosen = {} if plan.choosing else _NO_CHOICES
        self.gathers = {} if plan.gathering else _NO_GATHERS
        self.claims: list[Held] = []
        self.bound: tuple[Bound, ...] = ()
        self.outputs: dict[str, Output] = {}
        self.again = False
        self.attempt = 0
        self.errors = 0
        self.losses = 0
        self.misses = 0
        self.began = False
        self.undrained = 0
        self.settled = False
        self.outcome: Outcome | None = None
        self.story: list[Transition] = []


Holder = Entry | Group
"""Where a value arrives: at one firing, or at all of a step below a tag."""


class Question:
    """A condition that the shell was asked to evaluate.

    Attributes:
        holder: Whose leaf waits.
        leaf: Which.
        value: What the condition is over, and what arrives if it holds.
        claims: Its data, kept until the answer is there.
    """

    __slots__ = ("claims", "holder", "leaf", "value")

    def __init__(self, holder: Holder, leaf: LeafPlan, value: Value) -> None:
        self.holder = holder
        self.leaf = leaf
        self.value = value
        self.claims: list[Held] = []
