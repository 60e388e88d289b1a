"""One container, whatever runs in it: its life, its timers, its logs, and how the jobs on it end when it does."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Protocol

from action_runtime.wire.errors import DataflowError
from invoker_ext.containers.assignment import Assignment
from invoker_ext.containers.deadline import Deadline
from invoker_ext.containers.driver import Exit, Handle
from invoker_ext.containers.job import Failure, Job, Report, Timing
from invoker_ext.containers.logs import Pipes
from invoker_ext.containers.pausing import Pausing
from invoker_ext.containers.states import State, check

logger = logging.getLogger(__name__)

_MIB: Final = 1024 * 1024
_DEATH_S: Final = 10.0
"""A container that was killed is taken for gone after this, so that those who wait for its jobs hear of it."""
DRAIN_S: Final = 600.0
"""Bound of the time from a return to the last output; the sink ends waits that cannot end long before."""
_NEVER_UP: Final = frozenset({Failure.NOT_STARTED, Failure.IMAGE_NOT_PULLED, Failure.NOTHING_TO_RUN})
_KEPT: Final = frozenset({"ok", "error"})
"""After these a container is as good as before; after the others stock destroys it (statusCode 2 and 3)."""


class Host(Protocol):
    """Who owns the containers: the shell of the pool. Called on the loop."""

    def is_up(self, container: Container) -> None:
        """It has said hello."""

    def is_initialised(self, container: Container) -> None:
        """Its action's code is loaded."""

    def has_returned(self, container: Container, *, keep: bool, busy_s: float) -> None:
        """A function returned; may give it the next job before this returns."""

    def has_drained(self, container: Container, done: Assignment) -> None:
        """All outputs of a firing have left."""

    def has_freed(self, container: Container) -> None:
        """User code let go of inputs it had kept."""

    def is_gone(self, container: Container, error: str | None, failure: Failure) -> None:
        """Nothing of it is left; its jobs have failed. `error`: it never came up, as which failure."""


class Container(ABC):
    """One container of the pool.

    Attributes:
        number: The pool's.
        name: For people and records.
        state: Where it is.
        held_bytes: Inputs that user code keeps alive.
        current: The job whose function runs, or waits for its code to be loaded.
        firings: All jobs whose listeners have not heard the last, by ticket.
    """

    _last_words: ClassVar[Mapping[Failure, str]] = {}
    """What a proxy beside the function would have said of its death; none if the connection just breaks."""

    def __init__(self, number: int, name: str, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        self.number = number
        self.name = name
        self.state = State.STARTING
        self.held_bytes = 0
        self.current: Assignment | None = None
        self.firings: dict[int, Assignment] = {}
        self._host = host
        self._loop = loop
        self._handle: Handle | None = None
        self._pipes: Pipes | None = None
        self._pausing: Pausing | None = None
        self._doom: tuple[Failure, Any, float] | None = None
        self._deadline = Deadline(loop, self.end)
        self._mourning: asyncio.TimerHandle | None = None
        self._init_began = 0.0
        self._broken = False
        self._breach: str | None = None
        self._farewell: asyncio.TimerHandle | None = None

    # -- what the pool's shell may do --------------------------------------------------------------

    def start(self, handle: Handle, start_timeout_s: float) -> None:
        """Take over a container that is starting."""
        self._handle = handle
        self._pausing = Pausing(self._loop, handle)
        self._pipes = Pipes(self._loop, handle.outputs)
        self._deadline.set(start_timeout_s, Failure.NOT_STARTED)

    def run(self, assignment: Assignment) -> None:
        """Run a job; load its code first if none is loaded."""
        self.current = assignment
        self.firings[assignment.ticket] = assignment
        assignment.container = self
        if self._pipes is not None:
            self._pipes.lines.limit_bytes = assignment.job.call.logs_mb * _MIB
        if self.state is State.STARTED and not self._broken:
            self.initialise(assignment.job)
        elif self._pausing is None:
            self._begin(assignment)
        else:
            self._pausing.wake(lambda: self._begin(assignment), self.end)

    def initialise(self, job: Job) -> None:
        """Load an action's code, for a job or ahead of any."""
        timeout_s = job.call.timeout_ms / 1000
        self._move(State.INITIALISING)
        self._init_began = time.monotonic()
        self._deadline.set(timeout_s, Failure.INIT_TIMED_OUT)
        self._send_init(job, timeout_s)

    @abstractmethod
    def feed(self, assignment: Assignment, name: str) -> None:
        """Send what is queued of a streamed input, as far as the container can take it."""

    @abstractmethod
    def throttle(self, *, on: bool) -> None:
        """Let `emit` wait for an empty outbox, or no longer."""

    @property
    def waits_for_parts(self) -> bool:
        """Its function has taken all that came of a streamed input that is not at its end: it probably wants more."""
        return False

    @property
    def waits_for_room(self) -> bool:
        """Some output of it waits for room in the sink; a container without a data unit never does."""
        return False

    def outflow(self) -> tuple[int, float | None]:
        """Return bytes that are still to leave, and how many left a second of late; None: nothing was measured."""
        return 0, None

    def end(self, failure: Failure = Failure.RUN_DIED, detail: Any = None) -> None:
        """End it; whatever runs on it fails with this once nothing of it is left. Idempotent."""
        if self.state in (State.REMOVING, State.GONE):
            return
        self._stay()
        self._keep_awake()
        self._doom = (failure, detail, time.monotonic())
        self._move(State.REMOVING)
        self._disconnect()
        if self._handle is not None:
            self._handle.kill()
        self._await_death()

    def end_alone(self, within_s: float) -> None:
        """End it for what runs on it, once the outputs of earlier functions have left, or when that takes too long.

        Nothing happens any more if the function returns first. Idempotent.

        Args:
            within_s: That they may take.
        """
        if self._is_alone:
            self.end()
        elif self._farewell is None:
            self._farewell = self._loop.call_later(within_s, self.end)

    def kill(self, assignment: Assignment, within_s: float) -> None:
        """End a job that was given to this container; neither another job's function nor its outputs are ended for it.

        Args:
            assignment: One that has returned ends by itself.
            within_s: As in `end_alone`.
        """
        if self.current is None and all(one is assignment for one in self.firings.values()):
            self.end(Failure.RUN_DIED, None)
        elif self.current is assignment:
            self.end_alone(within_s)

    @property
    def _is_alone(self) -> bool:
        return all(one is self.current for one in self.firings.values())

    def _stay(self) -> None:
        farewell, self._farewell = self._farewell, None
        if farewell is not None:
            farewell.cancel()

    def gone(self, how: Exit) -> None:
        """Take note that nothing of it is left; called by the driver. Idempotent."""
        if self.state is State.GONE:
            return
        self._deadline.close()
        if self._mourning is not None:
            self._mourning.cancel()
        self._stay()
        self._keep_awake()
        self._disconnect()
        failure, detail, at = self._doom or self._death(how)
        lines, truncated = self._pipes.collect() if self._pipes is not None else ([], False)
        if self._pipes is not None:
            self._pipes.close()
        self.state = State.GONE
        current, self.current = self.current, None
        firings, self.firings = self.firings, {}
        error = how.unpulled or how.unrunnable or how.error or _start_error(lines)
        self._host.is_gone(self, error if failure in _NEVER_UP else None, failure)
        for assignment in firings.values():
            if assignment is current or self._shares_fate(assignment):
                assignment.fail(failure, detail, at, lines, truncated=truncated)
            else:
                assignment.fail(Failure.RUN_DIED, None, at, [], truncated=False)

    # -- what the kinds of containers share --------------------------------------------------------

    @abstractmethod
    def _send_init(self, job: Job, timeout_s: float) -> None:
        """Send the code; `_inited` or the timer answers."""

    @abstractmethod
    def _send_run(self, assignment: Assignment) -> None:
        """Call `_announce`, then send the inputs; `_returned` or the timer answers.

        Raises:
            DataflowError: The function must not begin, or its inputs cannot be sent; the container is as before.
            OSError: Spilled inputs cannot be read.
        """

    @abstractmethod
    def _disconnect(self) -> None:
        """Close the connection to what runs inside. Idempotent."""

    def _is_up(self) -> None:
        self._deadline.clear()
        self._move(State.STARTED)
        self._host.is_up(self)

    def _inited(self, error: Any, *, ok: bool) -> None:
        self._deadline.clear()
        if not ok:
            self.end(Failure.INIT_FAILED, error)
            return
        now = time.monotonic()
        self._move(State.READY)
        first = self.current  # the pool may now give a shared container more jobs
        self._host.is_initialised(self)
        if first is not None and first.began is None:
            first.init_s = now - self._init_began
            self._begin(first)
        elif self._pausing is not None and self.current is None:
            self._pausing.idle()

    def _begin(self, assignment: Assignment) -> None:
        """Tell the listener and send the inputs, or fail the job without harm to the container."""
        if self._broken or assignment.ticket not in self.firings or self.state is State.REMOVING:
            return  # its function never begins, and the job fails as such once the container is gone
        try:
            self._send_run(assignment)
        except (DataflowError, OSError) as error:
            self._could_not_begin(assignment, str(error))
            return
        for name in tuple(assignment.streams):
            self.feed(assignment, name)

    def _announce(self, assignment: Assignment) -> None:
        """Tell the listener that the function begins, before it can: it may have to write that down first.

        Raises:
            DataflowError: It must not begin; nothing has changed.
        """
        job, now = assignment.job, time.monotonic()
        job.listener.began(Timing(job.queued, now, assignment.init_s), assignment.warmth, self.name)
        assignment.began = now
        self._enter(assignment)

    def _could_not_begin(self, assignment: Assignment, reason: str) -> None:
        """The inputs could not be sent: the job fails, the container is as before."""
        if self.state is not State.RUNNING:
            self._move(State.RUNNING)
        self._leave(assignment)
        del self.firings[assignment.ticket]
        self._settle()
        self._host.has_returned(self, keep=True, busy_s=0.0)
        self._host.has_drained(self, assignment)
        assignment.fail(Failure.NOT_STARTED, reason, time.monotonic(), [], truncated=False)

    def _returned(self, assignment: Assignment, report: Report, answered_at: float | None = None) -> None:
        """Take a function for over, and its log for whole.

        Args:
            assignment: Whose.
            report: What it returned.
            answered_at: When the listener was told of that ahead of the log; None: it was not.
        """
        now = answered_at or time.monotonic()
        self._deadline.clear()
        self._stay()
        if answered_at is None and self._pipes is not None and self._pipes.lines.are_many:
            assignment.job.listener.answered(report, now)
        lines, truncated = self._pipes.collect() if self._pipes is not None else ([], False)
        self._leave(assignment)
        # The container gets its next job first: what the listeners do meanwhile does not keep it waiting.
        self._host.has_returned(self, keep=report.status in _KEPT, busy_s=now - (assignment.began or now))
        listener = assignment.job.listener
        listener.returned(report, now)
        listener.logs(lines, truncated)

    def _enter(self, assignment: Assignment) -> None:
        """A function begins."""
        self._move(State.RUNNING)
        self._deadline.set(assignment.job.timeout_s, Failure.RUN_TIMED_OUT)

    def _leave(self, assignment: Assignment) -> None:
        """A function is over."""
        assignment.returned = True
        self.current = None
        self._rest()

    def _rest(self) -> None:
        """No function runs any more."""
        self._move(State.DRAINING)
        self._deadline.set(DRAIN_S, Failure.RUN_DIED)

    def _shares_fate(self, assignment: Assignment) -> bool:
        """Say whether another firing than the current one fails of what ended the container."""
        return False

    def _drained(self, assignment: Assignment, refusal: str | None = None) -> None:
        del self.firings[assignment.ticket]
        assignment.drop_streams()
        self._settle()
        self._host.has_drained(self, assignment)
        assignment.job.listener.drained(time.monotonic(), refusal)
        if self._farewell is not None and self._is_alone:
            self.end()

    def _settle(self) -> None:
        if self.state is State.DRAINING and not self.firings:
            self._deadline.clear()
            self._move(State.READY)
            if self._pausing is not None:
                self._pausing.idle()

    def _keep_awake(self) -> None:
        if self._pausing is not None:
            self._pausing.stay()

    def _lost(self, breach: str | None = None) -> None:
        """The connection broke: what runs inside is dead or of no use. Whoever is in it fails once it is gone.

        Args:
            breach: What it did that it must not; None: it just went.
        """
        if self._broken or self.state in (State.REMOVING, State.GONE):
            return
        self._broken = True
        self._breach = breach
        logger.info("container lost", extra={"container": self.name, "state": self.state.value})
        if self._handle is not None:
            self._handle.kill(ending=breach is None)
        self._await_death()

    def _await_death(self) -> None:
        self._deadline.close()
        if self._mourning is not None:
            self._mourning.cancel()
        self._mourning = self._loop.call_later(_DEATH_S, self.gone, Exit())

    def _death(self, how: Exit) -> tuple[Failure, Any, float]:
        """Return what an end that nobody asked for means, with what a stock proxy would say of it."""
        failure = Failure.INIT_DIED if self.state is State.INITIALISING else Failure.RUN_DIED
        if self.state is State.STARTING:
            failure = Failure.NOT_STARTED if how.unpulled is None else Failure.IMAGE_NOT_PULLED
            failure = failure if how.unrunnable is None else Failure.NOTHING_TO_RUN
        elif how.out_of_memory:
            failure = Failure.OUT_OF_MEMORY
        return failure, self._breach or self._last_words.get(failure), time.monotonic()

    def _move(self, state: State) -> None:
        self.state = check(self.state, state, self.name)


def _start_error(lines: list[str]) -> str:
    """Return why a container never came up, from what it last said."""
    said = lines[-1].partition(": ")[2] if lines else ""
    return f"The container ended before it was up: {said}" if said else "The container ended before it was up."
