"""A stock container that runs several functions at a time (an action's limit `concurrency`)."""

from __future__ import annotations

import asyncio
import time

from invoker_ext.containers.assignment import Assignment
from invoker_ext.containers.container import Host
from invoker_ext.containers.driver import Exit
from invoker_ext.containers.job import Failure
from invoker_ext.containers.local.door import LocalDoor
from invoker_ext.containers.states import State
from invoker_ext.containers.stock import StockContainer
from invoker_ext.sink.sink import Sink


class SharedContainer(StockContainer):
    """Each function has a request and a deadline of its own; `current` is one of those that run.

    Logs are told apart as in stock, by the order of the sentinels: what was printed until a function ended, by
    whomever, is its log. A function that exceeds its time is given up alone; the container goes, with what that
    function left running, when the others have returned.
    """

    def __init__(
        self, number: int, name: str, host: Host, loop: asyncio.AbstractEventLoop, sink: Sink, door: LocalDoor
    ) -> None:
        super().__init__(number, name, host, loop, sink, door)
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def kill(self, assignment: Assignment, within_s: float) -> None:
        """See Container."""
        if assignment.returned or self._is_last(assignment):
            super().kill(assignment, within_s)
        else:
            self._give_up(assignment, Failure.RUN_DIED)

    def gone(self, how: Exit) -> None:
        """See Container."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        super().gone(how)

    def _shares_fate(self, assignment: Assignment) -> bool:
        return not assignment.returned

    def _is_last(self, assignment: Assignment) -> bool:
        return all(one is assignment or one.returned for one in self.firings.values())

    def _enter(self, assignment: Assignment) -> None:
        if self.state is not State.RUNNING:
            self._move(State.RUNNING)
        self._deadline.clear()
        due = self._loop.call_later(assignment.job.timeout_s, self._too_late, assignment)
        self._timers[assignment.ticket] = due

    def _leave(self, assignment: Assignment) -> None:
        self._let_go(assignment)
        timer = self._timers.pop(assignment.ticket, None)
        if timer is not None:
            timer.cancel()
        assignment.returned = True
        self.current = next((one for one in self.firings.values() if not one.returned), None)
        if self.current is None:
            self._rest()

    def _too_late(self, assignment: Assignment) -> None:
        if self.state is State.RUNNING and not assignment.returned:
            self._fail(assignment, Failure.RUN_TIMED_OUT, None)

    def _fail(self, assignment: Assignment, failure: Failure, detail: str | None) -> None:
        if self._is_last(assignment):
            self.end(failure, detail)
        else:
            self._give_up(assignment, failure, detail)

    def _give_up(self, assignment: Assignment, failure: Failure, detail: str | None = None) -> None:
        """End a job while others go on: its function may too, but nobody hears of it."""
        now = time.monotonic()
        self._leave(assignment)
        self._host.has_returned(self, keep=False, busy_s=now - (assignment.began or now))
        del self.firings[assignment.ticket]
        self._settle()
        self._host.has_drained(self, assignment)
        assignment.fail(failure, detail, now, [], truncated=False)
