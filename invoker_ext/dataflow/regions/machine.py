"""The machine of one region: events in, commands out; how its threads go on, wait and end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, assert_never

from invoker_ext.dataflow.commands import Dispatch
from invoker_ext.dataflow.events import Cancelled, Datum, Drained, Lost, Outcome, PlatformFailed, Returned
from invoker_ext.dataflow.keys import Tag
from invoker_ext.dataflow.regions import forks
from invoker_ext.dataflow.regions.commands import (
    Answered,
    Applied,
    Apply,
    Ask,
    Command,
    Entered,
    Event,
    Launch,
    Leave,
    Pause,
    Question,
    Resulted,
    Resumed,
)
from invoker_ext.dataflow.regions.flights import Flights, Landed
from invoker_ext.dataflow.regions.instructions import OPS, TOO_MANY
from invoker_ext.dataflow.regions.program import Instruction, Op, Program
from invoker_ext.dataflow.regions.threads import Account, FrameKind, State, Thread, framed
from invoker_ext.dataflow.regions.values import (
    Leaf,
    Shape,
    Text,
    Value,
    boxed,
    error_of,
    is_open,
    member,
    shape_of,
    text_of,
    too_large,
    truth,
    truthy,
)

BURST: Final = 256
"""Instructions in a row; then others get the loop."""
_TIME: Final = "The action exceeded its time limits of {} milliseconds."

_Then = Callable[[Answered], None]


class RegionMachine:
    """Runs one region once. Semantics are those of Composer's conductor, instruction by instruction.

    Give every event to `handle` and carry out the commands in order. The machine owns each datum that comes in, and
    gives it back exactly once, when neither it nor a command that it gave refers to it any more.

    Args:
        program: Of the region.
        free: Takes a datum back, in whatever thread the last reference goes.
        account: What it may use up.
        session: Activation id of the run.
        tag: Of the firing whose step runs the region; those of its own firings begin with it.
        limit_ms: How long functions may go on between two actions; None: no bound.
    """

    def __init__(
        self,
        program: Program,
        free: Callable[[Datum], None],
        account: Account,
        *,
        session: str = "",
        tag: Tag = (),
        limit_ms: int | None = None,
    ) -> None:
        self.session = session
        self.flights = Flights(tag)
        self._code = program.code
        self._any_error = program.python
        self._account = account
        self._limit_ms = limit_ms
        self._commands: list[Command] = []
        self._free = free
        self._ready: deque[Thread] = deque()
        self._paused: list[Thread] = []
        self._asked: dict[int, tuple[Thread, _Then, Value]] = {}
        self._applied: dict[int, tuple[Thread, Instruction]] = {}
        self._tickets = 0
        self._threads = 0
        self._at = 0.0
        self._ended = False

    @property
    def ended(self) -> bool:
        """Leave has been commanded, or the run was stopped."""
        return self._ended

    @property
    def idle(self) -> bool:
        """It has ended and nothing of it runs."""
        return self._ended and not self.flights

    def handle(self, event: Event) -> list[Command]:
        """Take one event and return what is to be done, in this order."""
        self._at = event.at
        self._take(event)
        while self._ready and not self._ended:
            self._run(self._ready.popleft())
        commands, self._commands = self._commands, []
        return commands

    def validate(self) -> None:
        """Check what must hold between any two events.

        Raises:
            AssertionError: An invariant is broken; the text says which.
        """
        asked = (*(one[0] for one in self._asked.values()), *(one[0] for one in self._applied.values()))
        waiting = [*self.flights.awaited, *asked]
        _must(not self._ready or self._ended, "what is ready goes on within the same event")
        _must(all(one.state is State.WAITING for one in waiting), "who is to be told something waits")
        _must(len({id(one) for one in waiting}) == len(waiting), "a thread waits for one thing")
        if self._ended:
            _must(not (waiting or self._paused), "nothing is awaited in a region that has ended")
        else:
            _must(bool(waiting or self._paused), "a region that has not ended waits for something")

    # -- events --------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        match event:
            case Entered():
                self._account.turn()
                frames = [framed(cells) for cells in event.cells]
                self.start(Thread(self.leaf(event.datum), self._account, event.at, frames=frames))
            case Resulted():
                self.flights.resulted(event.firing, event.attempt, self.leaf(event.datum, event.shape))
            case Returned():
                error = self.leaf(event.error) if event.error is not None else None
                self._landed(self.flights.returned(event, error))
            case Drained():
                self.flights.drained(event.firing, event.attempt)
            case Lost():
                self._landed(self.flights.lost(event))
            case Answered() | Applied():
                self._told(event)
            case Resumed():
                paused, self._paused = self._paused, []
                for thread in paused:
                    self.go_on(thread)
            case Cancelled() | PlatformFailed():
                self._give_up()
            case _:
                assert_never(event)

    def leaf(self, datum: Datum, shape: Shape = Shape.UNKNOWN) -> Leaf:
        """Take a datum over."""
        return Leaf(datum, shape, self._free)

    def _landed(self, landed: Landed | Dispatch | None) -> None:
        """Go on with what an action came to."""
        if isinstance(landed, Dispatch):
            self._commands.append(landed)
        elif landed is not None:
            thread = landed.thread
            thread.value, thread.since = landed.value, self._at
            thread.account.spend(landed.counts)
            thread.move(State.READY)
            if self.turn(thread) and self.check(thread):
                self._ready.append(thread)

    def _told(self, event: Answered | Applied) -> None:
        if isinstance(event, Applied):
            self._evaluated(event)
            return
        asked = self._asked.pop(event.ticket, None)
        if asked is not None:
            asked[1](event)
            return
        for datum in event.data:
            self.leaf(datum)

    def _evaluated(self, event: Applied) -> None:
        result = self.leaf(event.result, event.shape) if event.result is not None else None
        cells = {name: self.leaf(datum) for name, datum in event.cells.items()}
        applied = self._applied.pop(event.ticket, None)
        if applied is None:
            return
        thread, function = applied
        if event.done > 1:
            thread.place = function.more[event.done - 2].next
        for name, value in cells.items():
            holder = thread.cells_of(name)
            if holder is not None:
                holder[name] = value
        thread.move(State.READY)
        thread.since += event.waited_s
        if event.fatal:
            self.abort(thread, event.outcome, event.error or "")
            return
        if event.error is not None:
            thread.value = error_of(event.error)
        elif result is not None:
            thread.value = result
        if self.check(thread):
            self.resume(thread)

    def _give_up(self) -> None:
        """Let go of everything; what runs ends by itself."""
        self._ended = True
        self._ready.clear()
        self._paused.clear()
        self._asked.clear()
        self._applied.clear()
        self.flights.give_up()

    # -- how a thread goes on --------------------------------------------------------------------

    def start(self, thread: Thread) -> None:
        """Let one more thread run."""
        self._threads += 1
        self._ready.append(thread)

    def room_for(self, threads: int) -> bool:
        """Return whether so many more may run."""
        return self._threads + threads <= forks.MAX_THREADS

    def go_on(self, thread: Thread) -> None:
        """Let a thread that waited go on."""
        thread.move(State.READY)
        self.resume(thread)

    def resume(self, thread: Thread) -> None:
        """Let a thread go on after a while, unless its time is over."""
        if self._limit_ms is not None and self._at - thread.since > self._limit_ms / 1000:
            self.abort(thread, Outcome.DEVELOPER_ERROR, _TIME.format(self._limit_ms))
        else:
            self._ready.append(thread)

    def _run(self, thread: Thread) -> None:
        code = self._code
        for _ in range(BURST):
            if not 0 <= thread.place < len(code):
                self._over(thread)
                return
            instruction = code[thread.place]
            thread.place = instruction.next
            if instruction.op is not Op.PASS and not OPS[instruction.op](self, thread, instruction):
                return
        thread.move(State.WAITING)
        if not self._paused:
            self._commands.append(Pause())
        self._paused.append(thread)

    # -- how it waits ----------------------------------------------------------------------------

    def ask(
        self, thread: Thread, question: Question, then: _Then, value: Value | None = None, condition: str = ""
    ) -> bool:
        """Have a thread wait for the answer to a question about its value, or another one; returns False."""
        about = thread.value if value is None else value
        self._commands.append(Ask(self._await(thread, then, about), question, about, condition))
        return False

    def launch(self, thread: Thread, instruction: Instruction, then: _Then) -> bool:
        """Have a thread wait until a run of its own has been started; returns False."""
        cells = tuple(
            dict(frame.cells) if frame.kind is FrameKind.LET else None
            for frame in thread.frames
            if frame.kind in (FrameKind.LET, FrameKind.MASK)
        )
        ticket = self._await(thread, then, thread.value)
        self._commands.append(Launch(ticket, instruction.region, thread.value, cells))
        return False

    def _await(self, thread: Thread, then: _Then, about: Value) -> int:
        thread.move(State.WAITING)
        self._tickets += 1
        self._asked[self._tickets] = thread, then, about
        return self._tickets

    def evaluate(self, thread: Thread, instruction: Instruction) -> bool:
        """Have a thread wait for its function; returns False."""
        thread.move(State.WAITING)
        self._tickets += 1
        self._applied[self._tickets] = thread, instruction
        code, path = instruction.region.code, instruction.path
        more = tuple((one.region.code, one.path) for one in instruction.more)
        self._commands.append(Apply(self._tickets, code, path, thread.value, thread.environment(), more))
        return False

    def send(self, command: Dispatch) -> None:
        """Dispatch a firing that a thread waits for."""
        self._commands.append(command)

    # -- errors ----------------------------------------------------------------------------------

    def check(self, thread: Thread) -> bool:
        """Box what is no object, and take an error to its handler; return whether the thread goes on at once."""
        large = too_large(thread.value)
        if large is not None:
            thread.fault(text_of(large))
            return True
        shape = shape_of(thread.value)
        if shape is Shape.UNKNOWN or (shape is Shape.FAULTY and not is_open(thread.value)):
            return self.ask(thread, Question.SHAPE, lambda answer: self._shaped(thread, answer))
        if shape is Shape.OTHER:
            thread.value = boxed(thread.value)
        elif shape is Shape.FAULTY:
            thread.fault(member(thread.value, "error") or text_of(None))
        return True

    def _shaped(self, thread: Thread, answer: Answered) -> None:
        if isinstance(thread.value, Leaf):
            thread.value.shape = answer.shape
        if answer.shape is Shape.OTHER:
            thread.value = boxed(thread.value)
        elif answer.shape is Shape.FAULTY:
            thread.fault(Text(answer.error or "null"))
        self.go_on(thread)

    def turn(self, thread: Thread) -> bool:
        """Count that the composition is told something; return False if that was once too often."""
        if thread.account.turn():
            return True
        self.abort(thread, Outcome.APPLICATION_ERROR, TOO_MANY)
        return False

    def refuse(self, thread: Thread, text: str) -> bool:
        """Tell the composition of an action that cannot be run; return whether the thread goes on at once."""
        thread.value, thread.since = error_of(text), self._at
        return self.turn(thread) and self.check(thread)

    def abort(self, thread: Thread, outcome: Outcome, text: str) -> None:
        """End a thread with an error that no handler gets."""
        thread.value, thread.outcome, thread.place = error_of(text), outcome, -1
        thread.frames.clear()
        self._over(thread)

    # -- how it ends -----------------------------------------------------------------------------

    def _over(self, thread: Thread) -> None:
        fork = thread.fork
        if fork is None:
            self._finish(thread)
            return
        thread.move(State.OVER)
        self._threads -= 1
        fork.results[thread.position] = thread.value
        fork.left -= 1
        if fork.left == 0:
            parent = fork.parent
            parent.value = forks.joined(fork)
            parent.move(State.READY)
            if self._waited(parent) and self.check(parent):
                self.resume(parent)

    def _waited(self, thread: Thread) -> bool:
        """Count a turn, as stock does, each time that branches took as long as functions may; False: once too often."""
        while self._limit_ms is not None and self._at - thread.since > self._limit_ms / 1000:
            thread.since += self._limit_ms / 1000
            if not self.turn(thread):
                return False
        return True

    def _finish(self, thread: Thread) -> None:
        """End the region with the value of its first thread: an error that JavaScript takes for false is none there."""
        value = thread.value
        shape = shape_of(value)
        if shape is Shape.UNKNOWN or (shape is Shape.FAULTY and not is_open(value)):
            self.ask(thread, Question.SHAPE, lambda answer: self._finish_shaped(thread, answer))
            return
        error = member(value, "error") if shape is Shape.FAULTY else None
        holds = error is not None and (self._any_error or truth(error))
        if holds is None:
            self.ask(
                thread, Question.TRUE_ITSELF, lambda answer: self._leave(thread, error if answer.holds else None), error
            )
        else:
            self._leave(thread, error if holds else None)

    def _finish_shaped(self, thread: Thread, answer: Answered) -> None:
        error = Text(answer.error or "null") if answer.shape is Shape.FAULTY else None
        self._leave(thread, error if error is not None and (self._any_error or truthy(error.parsed)) else None)

    def _leave(self, thread: Thread, error: Value | None) -> None:
        thread.move(State.OVER)
        self._give_up()
        outcome = Outcome.SUCCESS if error is None else thread.outcome
        self._commands.append(Leave(outcome, thread.value if error is None else error))


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)
