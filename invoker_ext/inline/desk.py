"""Which call goes to which worker, how many workers there are, and who waits. Pure.

Namespaces take turns, so that the slow functions of one hold up another's for one call at most. What waits is bounded
in count and bytes; what is beyond is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
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
class _Worker:
    state: WorkerState = WorkerState.STARTING
    ticket: int | None = None
    used: bool = True
    """Since the last `tick`."""
    fault: Fault = Fault.CRASHED
    """What it means for its call if it goes."""


class Desk:
    """All workers of one invoker and the calls that wait for them.

    Args:
        workers: Most processes.
        waiting: Most calls that wait.
        waiting_bytes: Bound of what they hold.
    """

    def __init__(self, workers: int, waiting: int, waiting_bytes: int) -> None:
        self._most = workers
        self._most_waiting = waiting
        self._most_bytes = waiting_bytes
        self._waiting: dict[str, deque[_Waiting]] = {}
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
        """Take a call; it is sent, waits, or is refused."""
        if size_bytes > self._most_bytes:
            return [Fail(ticket, Fault.GIVEN)]
        if self.waiting >= self._most_waiting or self.waiting_bytes + size_bytes > self._most_bytes:
            return [Fail(ticket, Fault.BUSY)]
        self._waiting.setdefault(namespace, deque()).append(_Waiting(ticket, size_bytes))
        self.waiting += 1
        self.waiting_bytes += size_bytes
        return self._serve()

    def withdraw(self, ticket: int) -> None:
        """Forget a call that waits; one that is with a worker is left to it."""
        for namespace, line in self._waiting.items():
            for one in line:
                if one.ticket == ticket:
                    line.remove(one)
                    self._left(namespace, one)
                    return

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
            failed = [Fail(each.ticket, Fault.ABSENT) for line in self._waiting.values() for each in line]
            self._waiting.clear()
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
        while self.waiting and self._idle:
            worker = self._idle.popleft()  # the one that has had the longest time to make its context
            one = self._workers[worker]
            self._move(worker, WorkerState.BUSY)
            one.ticket, one.used = self._next(), True
            commands.append(Send(worker, one.ticket))
        starting = sum(one.state is WorkerState.STARTING for one in self._workers.values())
        for _ in range(min(self.waiting - starting, self._most - len(self._workers))):
            self._started += 1
            self._workers[self._started] = _Worker()
            commands.append(Start(self._started))
        return commands

    def _next(self) -> int:
        """Take the first call of the namespace whose turn it is; its next turn is after all others'."""
        namespace, line = next(iter(self._waiting.items()))
        one = line.popleft()
        del self._waiting[namespace]
        if line:
            self._waiting[namespace] = line
        self.waiting -= 1
        self.waiting_bytes -= one.size_bytes
        return one.ticket

    def _left(self, namespace: str, one: _Waiting) -> None:
        if not self._waiting[namespace]:
            del self._waiting[namespace]
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
