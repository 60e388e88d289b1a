"""A thread: where it is in the program, with which value, inside of what.

| state | means | found in | moved by |
| --- | --- | --- | --- |
| ready | it can go on | `RegionMachine._ready`, or paused | an answer, a start |
| waiting | for a firing, answer, function or branches | `flights`, `_asked`, `_applied`, a `Fork` | an instruction |
| over | it has ended; nobody refers to it | nowhere | `RegionMachine._over` |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from invoker_ext.dataflow.events import Outcome
from invoker_ext.dataflow.keys import Tag
from invoker_ext.dataflow.regions.values import Members, Value


class State(Enum):
    """Of a thread."""

    READY = "ready"
    WAITING = "waiting"
    OVER = "over"


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.READY: frozenset({State.READY, State.WAITING, State.OVER}),
    State.WAITING: frozenset({State.READY, State.OVER}),
    State.OVER: frozenset(),
}


class FrameKind(Enum):
    """What a frame is for."""

    LET = "let"
    MASK = "mask"
    CATCH = "catch"
    """An error goes on at `target`."""
    LOOP = "loop"
    """`index`: iterations so far."""
    BRANCH = "branch"
    """Below are copies of the frames of the thread that started this one; `index`: which branch it is."""


@dataclass(slots=True)
class Frame:
    """What a thread is inside of."""

    kind: FrameKind
    cells: dict[str, Value] = field(default_factory=dict)
    target: int = 0
    index: int = 0

    def copy(self) -> Frame:
        """Return one whose cells change apart from these."""
        return Frame(self.kind, dict(self.cells), self.target, self.index)


def framed(cells: Mapping[str, Value] | None) -> Frame:
    """Return a frame of cells; None: a mask."""
    return Frame(FrameKind.MASK) if cells is None else Frame(FrameKind.LET, dict(cells))


IN_ALL: Final = 2000
"""Times what one line of control may run, all branches of a run together may."""


@dataclass(slots=True)
class Count:
    """Actions that have run in all branches of a run."""

    actions: int = 0


@dataclass(slots=True)
class Account:
    """What has been used up of what a composition may: those that it calls use the same.

    Attributes:
        most: Actions; as many returns to the composition and one more are twice that.
        actions: That have run.
        turns: Times that the composition was told something.
        run: Of all branches.
    """

    most: int
    actions: int = 0
    turns: int = 0
    run: Count = field(default_factory=Count)

    @property
    def exhausted(self) -> bool:
        """No action is left."""
        return self.actions >= self.most or self.run.actions >= IN_ALL * self.most

    def spend(self, actions: int) -> None:
        """Count actions that have run."""
        self.actions += actions
        self.run.actions += actions

    def branch(self) -> Account:
        """Return that of a branch: in stock it is a composition of its own, which has been told of its beginning."""
        return Account(self.most, turns=1, run=self.run)

    def turn(self) -> bool:
        """Count a turn; return whether it was allowed."""
        if self.turns >= 2 * self.most + 1:
            return False
        self.turns += 1
        return True


@dataclass(slots=True, eq=False)
class Thread:
    """One line of control.

    Attributes:
        value: What the next part gets.
        account: Shared with calls; of its own in a branch.
        since: When it began or heard of its last action, monotonic seconds.
        place: Next instruction; out of the program: it is over.
        frames: Innermost last.
        fork: Whose branch it is; None: of nobody.
        position: Among the branches.
        outcome: Of the last firing that failed.
        state: See above.
    """

    value: Value
    account: Account
    since: float
    place: int = 0
    frames: list[Frame] = field(default_factory=list)
    fork: Fork | None = None
    position: int = 0
    outcome: Outcome = Outcome.APPLICATION_ERROR
    state: State = State.READY

    @property
    def tag(self) -> Tag:
        """Of its firings: the iteration of each loop and the branch of each fork around, outermost first."""
        return tuple(frame.index for frame in self.frames if frame.kind in (FrameKind.LOOP, FrameKind.BRANCH))

    def move(self, state: State) -> None:
        """Change the state.

        Raises:
            ValueError: The table does not have it.
        """
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"a thread that is {self.state.value} cannot become {state.value}")
        self.state = state

    def fault(self, error: Value) -> None:
        """Go on with an error at the nearest handler of this thread, or end."""
        self.value = Members({"error": error})
        self.place = -1
        while self.frames and self.frames[-1].kind is not FrameKind.BRANCH:
            frame = self.frames.pop()
            if frame.kind is FrameKind.CATCH:
                self.place = frame.target
                return

    def view(self) -> Iterator[dict[str, Value]]:
        """Yield the cells in view, innermost first: each mask hides the nearest LET that is not hidden yet."""
        hidden = 0
        for frame in reversed(self.frames):
            if frame.kind is FrameKind.MASK:
                hidden += 1
            elif frame.kind is FrameKind.LET:
                if hidden:
                    hidden -= 1
                else:
                    yield frame.cells

    def cells_of(self, name: str) -> dict[str, Value] | None:
        """Return the cells that hold the variable of this name."""
        return next((cells for cells in self.view() if name in cells), None)

    def environment(self) -> dict[str, Value]:
        """Return all variables in view."""
        found: dict[str, Value] = {}
        for cells in self.view():
            found = {**cells, **found}
        return found


@dataclass(slots=True, eq=False)
class Fork:
    """Threads that run side by side for one that waits for them.

    Attributes:
        parent: That waits.
        results: What each came to.
        left: How many have not ended.
    """

    parent: Thread
    results: list[Value | None]
    left: int
