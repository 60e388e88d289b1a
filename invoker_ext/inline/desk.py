"""Which call goes to which worker, how many workers there are, and who waits. Pure.

Who has fewest workers is served first, and nobody has more than its share. A namespace that has none, as others have
held them all for a moment, gets another one started, up to a bound. What waits is bounded in count and bytes; what is
beyond is refused to who has most there.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from action_runtime.wire.errors import DataflowError
from invoker_ext.inline.call import Fault


class WorkerState(Enum):
    """Of a worker, while its process may exist."""

    STARTING = "starting"
    IDLE = "idle"
    """It has a fresh context, or makes one."""
    BUSY = "busy"
    """It has one call."""
    ENDING = "ending"
    """It is being killed; takes nothing."""
    GONE = "gone"


TRANSITIONS: Final[Mapping[WorkerState, frozenset[WorkerState]]] = {
    WorkerState.STARTING: frozenset({WorkerState.IDLE, WorkerState.ENDING, WorkerState.GONE}),
    WorkerState.IDLE: frozenset({WorkerState.BUSY, WorkerState.ENDING, WorkerState.GONE}),
    WorkerState.BUSY: frozenset({WorkerState.IDLE, WorkerState.ENDING, WorkerState.GONE}),
    WorkerState.ENDING: frozenset({WorkerState.GONE}),
    WorkerState.GONE: frozenset(),
}


class InvalidMove(DataflowError):
    """A worker was to go where it cannot go: a bug."""

    code = "inline-worker-move"


@dataclass(frozen=True, slots=True)
class Start:
    """Start a worker's process."""

    worker: int


@dataclass(frozen=True, slots=True)
class Send:
    """Give a call to a worker."""

    worker: int
    ticket: int


@dataclass(frozen=True, slots=True)
class Kill:
    """End a worker's process."""

    worker: int


@dataclass(frozen=True, slots=True)
class Fail:
    """Tell who asked that a call has no answer."""

    ticket: int
    fault: Fault


Command = Start | Send | Kill | Fail


@dataclass(frozen=True, slots=True)
class _Waiting:
    ticket: int
    size_bytes: int


@dataclass(slots=True)
class _Line:
    """What waits of a namespace."""

    calls: deque[_Waiting] = field(default_factory=deque)
    size_bytes: int = 0
    crowded: bool = False
    """It was there at the last look."""


@dataclass(slots=True)
class _Worker:
    state: WorkerState = WorkerState.STARTING
    ticket: int | None = None
    namespace: str = ""
    """Whose call it has."""
    used: bool = True
    """Since the last `tick`."""
    fault: Fault = Fault.CRASHED
    """What it means for its call if it goes."""


class Desk:
    """All workers of one invoker and the calls that wait for them.

    Args:
        workers: That are started because calls wait, and that one namespace may hold.
        most: Started because a namespace has none.
        waiting: Most calls that wait.
        waiting_bytes: Bound of what they hold.
    """

    def __init__(self, workers: int, most: int, waiting: int, waiting_bytes: int) -> None:
        self._share = workers
        self._most = most
        self._most_waiting = waiting
        self._most_bytes = waiting_bytes
        self._lines: dict[str, _Line] = {}
        self.waiting = 0
        self.waiting_bytes = 0
        self._workers: dict[int, _Worker] = {}
        self._idle: deque[int] = deque()
        self._started = 0

    @property
    def workers(self) -> Mapping[int, WorkerState]:
        """State of each worker that is not gone."""
        return {number: worker.state for number, worker in self._workers.items()}

    def ask(self, ticket: int, namespace: str, size_bytes: int) -> list[Command]:
        """Take a call; it is sent, waits, or is refused. At the bounds, the last calls of who has more make room."""
        if size_bytes > self._most_bytes:
            return [Fail(ticket, Fault.GIVEN)]
        line = self._lines.get(namespace) or _Line()
        commands: list[Command] = []
        while self.waiting >= self._most_waiting or self.waiting_bytes + size_bytes > self._most_bytes:
            last = self._in_the_way(line, size_bytes)
            if last is None:
                return [*commands, Fail(ticket, Fault.BUSY)]
            self._take(*last)
            commands.append(Fail(last[1].ticket, Fault.BUSY))
        self._lines[namespace] = line
        line.calls.append(_Waiting(ticket, size_bytes))
        line.size_bytes += size_bytes
        self.waiting += 1
        self.waiting_bytes += size_bytes
        return [*commands, *self._serve()]

    def _in_the_way(self, line: _Line, size_bytes: int) -> tuple[str, _Waiting] | None:
        """Return the last call of who has most of what is short, if that is more than a line would have with a call."""
        if self.waiting >= self._most_waiting:
            name, most = max(self._lines.items(), key=lambda one: len(one[1].calls))
            more = len(most.calls) > len(line.calls) + 1
        else:
            name, most = max(self._lines.items(), key=lambda one: one[1].size_bytes)
            more = most.size_bytes > line.size_bytes + size_bytes
        return (name, most.calls[-1]) if more else None

    def withdraw(self, ticket: int) -> None:
        """Forget a call that waits; one that is with a worker is left to it."""
        for namespace, line in self._lines.items():
            for one in line.calls:
                if one.ticket == ticket:
                    self._take(namespace, one)
                    return

    def look(self) -> list[Command]:
        """Start a worker for a namespace that has waited since the last look, and has none. Call it while any waits."""
        starting = any(one.state is WorkerState.STARTING for one in self._workers.values())
        held = self._held()
        needs = any(line.crowded and not held[namespace] for namespace, line in self._lines.items())
        for line in self._lines.values():
            line.crowded = True
        if not needs or starting or len(self._workers) >= self._most:
            return []
        return [self._start()]

    def started(self, worker: int) -> list[Command]:
        """A worker is ready for its first call."""
        if self._workers[worker].state is WorkerState.STARTING:
            self._rest(worker)
        return self._serve()

    def answered(self, worker: int, *, spent: bool) -> list[Command]:
        """A worker has answered its call.

        Args:
            worker: Which.
            spent: It has used so much memory that a new one is better.
        """
        one = self._workers[worker]
        one.ticket = None
        if one.state is not WorkerState.BUSY:
            return []
        if spent:
            self._move(worker, WorkerState.ENDING)
            return [Kill(worker), *self._serve()]
        self._rest(worker)
        return self._serve()

    def overdue(self, worker: int) -> list[Command]:
        """A worker has been busy with one call for longer than anybody should wait."""
        one = self._workers.get(worker)
        if one is None or one.state is not WorkerState.BUSY:
            return []
        one.fault = Fault.TIME
        self._move(worker, WorkerState.ENDING)
        return [Kill(worker)]

    def gone(self, worker: int) -> list[Command]:
        """A worker's process has ended. One that never came up ends all calls that wait: the next would not, either."""
        one = self._workers.pop(worker)
        before = one.state
        self._check(before, WorkerState.GONE)
        if before is WorkerState.IDLE:
            self._idle.remove(worker)
        if before is WorkerState.STARTING:
            if self._workers:
                return []  # the others go on; who is free next may have another one started
            failed = [Fail(each.ticket, Fault.ABSENT) for line in self._lines.values() for each in line.calls]
            self._lines.clear()
            self.waiting = self.waiting_bytes = 0
            return [*failed]
        lost: list[Command] = [] if one.ticket is None else [Fail(one.ticket, one.fault)]
        return [*lost, *self._serve()]

    def tick(self) -> list[Command]:
        """End the workers that had nothing to do since the last tick."""
        commands: list[Command] = []
        for number, worker in self._workers.items():
            if worker.state is WorkerState.IDLE and not worker.used:
                self._idle.remove(number)
                self._move(number, WorkerState.ENDING)
                commands.append(Kill(number))
            worker.used = False
        return commands

    def _serve(self) -> list[Command]:
        """Give what waits to who is idle; start workers for the rest."""
        commands: list[Command] = []
        while self._idle and (namespace := self._next()) is not None:
            worker = self._idle.popleft()  # the one that has had the longest time to make its context
            one = self._workers[worker]
            self._move(worker, WorkerState.BUSY)
            line = self._lines.pop(namespace)
            line.crowded = False
            self._lines[namespace] = line  # its next turn is after all others'
            call = line.calls[0]
            self._take(namespace, call)
            one.ticket, one.namespace, one.used = call.ticket, namespace, True
            commands.append(Send(worker, call.ticket))
        starting = sum(one.state is WorkerState.STARTING for one in self._workers.values())
        for _ in range(min(self.waiting - starting, self._share - len(self._workers))):
            commands.append(self._start())
        return commands

    def _start(self) -> Start:
        self._started += 1
        self._workers[self._started] = _Worker()
        return Start(self._started)

    def _held(self) -> Counter[str]:
        """Return how many workers each namespace has."""
        return Counter(one.namespace for one in self._workers.values() if one.ticket is not None)

    def _next(self) -> str | None:
        """Return the namespace whose turn it is: of those with the fewest workers the one that waits longest."""
        held = self._held()
        namespace = min(self._lines, key=lambda name: held[name], default=None)
        return None if namespace is None or held[namespace] >= self._share else namespace

    def _take(self, namespace: str, one: _Waiting) -> None:
        """Take a call out of its line."""
        line = self._lines[namespace]
        line.calls.remove(one)
        line.size_bytes -= one.size_bytes
        if not line.calls:
            del self._lines[namespace]
        self.waiting -= 1
        self.waiting_bytes -= one.size_bytes

    def _rest(self, worker: int) -> None:
        self._move(worker, WorkerState.IDLE)
        self._idle.append(worker)

    def _move(self, worker: int, state: WorkerState) -> None:
        self._check(self._workers[worker].state, state)
        self._workers[worker].state = state

    def _check(self, before: WorkerState, after: WorkerState) -> None:
        if after not in TRANSITIONS[before]:
            raise InvalidMove(f"a worker that is {before.value} cannot become {after.value}")
