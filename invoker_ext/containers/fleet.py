"""The pool's shell: tells the pool what happens, does what it says, and keeps the containers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, assert_never

from invoker_ext.containers.assignment import Assignment, StreamEnd
from invoker_ext.containers.commands import (
    Command,
    Initialise,
    Refuse,
    Remove,
    Run,
    Start,
    Throttle,
    WakeAt,
)
from invoker_ext.containers.container import Container
from invoker_ext.containers.driver import ContainerSpec, Driver, Exit, UnknownKind
from invoker_ext.containers.events import (
    ActionKey,
    Drained,
    Event,
    Freed,
    Gone,
    Hinted,
    Initialised,
    Need,
    Returned,
    SinkBlocked,
    Started,
    Submitted,
    Tick,
    Withdrawn,
)
from invoker_ext.containers.hint import hint_job
from invoker_ext.containers.job import Failure, Job
from invoker_ext.containers.limits import PoolLimits
from invoker_ext.containers.local.door import LocalDoor
from invoker_ext.containers.pool import Pool
from invoker_ext.containers.pressure import reuse_delay_s
from invoker_ext.containers.refusals import refuse, refuse_kind, refuse_unstarted
from invoker_ext.containers.register import Register
from invoker_ext.containers.runtime import RuntimeContainer
from invoker_ext.containers.shared import SharedContainer
from invoker_ext.containers.states import Progress, State
from invoker_ext.containers.stock import StockContainer
from invoker_ext.contract.graph import ActionCall
from invoker_ext.contract.messages import Identity
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.sink import Sink

logger = logging.getLogger(__name__)

_ON_THE_WAY: Final = frozenset({State.STARTING, State.INITIALISING})
_FAREWELL_S: Final = 2.0
"""How long a killed function goes on so that outputs of others can leave its container: many times what they take."""


class Fleet:
    """All containers of an invoker; implements `job.Containers`. Used on the loop only.

    Args:
        driver: Starts containers; opened and closed by the fleet.
        sink: Where their data are.
        limits: Of the pool.
        environment: Of every container; `__OW_API_HOST` and what the operator adds.
        outbox_bytes: Bound of each container's DLU queue.
        prefix: Of the containers' names; tells invokers of one host apart.
    """

    def __init__(
        self,
        driver: Driver,
        sink: Sink,
        limits: PoolLimits,
        *,
        environment: Mapping[str, str],
        outbox_bytes: int,
        prefix: str = "wsk0",
    ) -> None:
        self._driver = driver
        self._sink = sink
        self._limits = limits
        self._environment = environment
        self._outbox_bytes = outbox_bytes
        self._prefix = prefix
        self._loop = asyncio.get_running_loop()
        self._door = LocalDoor(self._loop)
        self._pool = Pool(limits)
        self._containers: dict[int, Container] = {}
        self._jobs = Register()
        self._hints: dict[ActionKey, Job] = {}
        self._todo: deque[Command] = deque()
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def open(self) -> None:
        """Open the driver and start the stem cells."""
        await self._driver.open()
        stems, reactive = {}, {}
        for stem in self._limits.stem_cells:
            if stem.kind in self._driver.kinds:
                kind = self._driver.runtime_of(stem.kind), stem.memory_mb
                stems[kind] = stem.count
                if stem.reactive is not None:
                    reactive[kind] = stem.reactive
        self._pool = Pool(self._limits, stems, reactive)
        self._do(self._pool.open(time.monotonic()))

    # -- job.Containers ---------------------------------------------------------------------------

    def submit(self, job: Job) -> None:
        """See Containers."""
        try:
            need = self._need(job.call, job.code, job.user)
        except UnknownKind as error:
            self._loop.call_soon(refuse_kind, job, error)
            return
        if self._closed:
            self._loop.call_soon(refuse, job, "The invoker takes no more work.")
            return
        assignment = self._jobs.enter(job, need)
        self._tell(Submitted(assignment.ticket, need, job.run, time.monotonic()))

    def feed(self, job: Job, name: str, value: Stored) -> None:
        """See Containers. Keeps a reference of its own as long as it needs the part."""
        self._feed(job, name, value)

    def feed_end(self, job: Job, name: str, error: str | None) -> None:
        """See Containers."""
        self._feed(job, name, StreamEnd(error))

    def kill(self, job: Job) -> None:
        """See Containers."""
        assignment = self._jobs.of(job)
        if assignment is None:
            return
        container = assignment.container
        if container is not None:
            container.kill(assignment, _FAREWELL_S)
            return
        self._jobs.forget(assignment)
        self._tell(Withdrawn(assignment.ticket, assignment.need.key, time.monotonic()))
        self._loop.call_soon(_fail, assignment, Failure.RUN_DIED, None)

    def prewarm(self, calls: Sequence[tuple[ActionCall, Mapping[str, Any], Identity]]) -> None:
        """See Containers."""
        for call, code, user in calls:
            if call.init_names:
                continue  # its code may read them while it loads, and they come with the first job only
            try:
                need = self._need(call, code, user)
            except UnknownKind:
                continue  # the step itself will say so
            if need.key in self._pool.lanes or self._closed:
                continue
            self._hints[need.key] = hint_job(call, code, user)
            self._tell(Hinted(need, time.monotonic()))
            if need.key not in self._pool.lanes:
                del self._hints[need.key]

    # -- what the rest of the invoker may do -------------------------------------------------------

    def sink_blocked(self, runs: Iterable[str]) -> None:
        """Say which runs have producers that are blocked in `emit`; none: no longer any."""
        self._tell(SinkBlocked(frozenset(runs), time.monotonic()))

    def progress(self) -> Progress:
        """Return whether some container can go on although the sink has no room."""
        found = Progress.NONE
        for container in self._containers.values():
            if container.state in _ON_THE_WAY:
                return Progress.SURE
            if container.current is None or container.waits_for_room:
                continue
            if not container.waits_for_parts:
                return Progress.SURE
            found = Progress.DOUBTFUL
        return found

    def room_mb(self) -> int:
        """Return the memory for containers that is left; see `Pool.room_mb`."""
        return self._pool.room_mb

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of actions that this host runs."""
        return self._driver.kinds

    def snapshot(self) -> dict[str, int]:
        """Return figures for metrics: containers by place, jobs that wait, memory in MB."""
        counts = {place.value: count for place, count in self._pool.counts().items()}
        yard = self._pool.yard
        undrained = sum(slot.undrained for slot in yard.slots.values())
        return {**counts, "waiting": self._pool.waiting, "undrained": undrained, "memory_mb": yard.used_mb}

    async def drain(self) -> None:
        """Take no more jobs, and wait until those that were taken are done. The caller bounds the wait."""
        self._closed = True
        await self._jobs.until_empty()

    async def close(self) -> None:
        """End all containers; what still runs fails. Idempotent."""
        self._closed = True
        self._do(self._pool.close(time.monotonic()))
        for assignment in self._jobs.all():
            if assignment.container is None:
                self.kill(assignment.job)
        for container in list(self._containers.values()):
            container.end()
        await self._driver.close()
        await self._door.close()
        if self._timer is not None:
            self._timer.cancel()

    # -- container.Host ---------------------------------------------------------------------------

    def is_up(self, container: Container) -> None:
        """See Host."""
        self._tell(Started(container.number, time.monotonic()))

    def is_initialised(self, container: Container) -> None:
        """See Host."""
        self._tell(Initialised(container.number, time.monotonic()))

    def has_returned(self, container: Container, *, keep: bool, busy_s: float) -> None:
        """See Host."""
        delay_s = self._reuse_delay_s(container, busy_s) if self._limits.pressure else 0.0
        self._tell(Returned(container.number, keep, delay_s, time.monotonic()))

    def _reuse_delay_s(self, container: Container, busy_s: float) -> float:
        """Return how far a data unit stays behind; one that has measured nothing is as fast as others of its action."""
        backlog_bytes, measured = container.outflow()
        lane = self._pool.yard.slots[container.number].lane
        if not backlog_bytes or lane is None:
            return 0.0
        if measured is not None:
            lane.bandwidth_bytes_per_s = measured
        return reuse_delay_s(backlog_bytes, lane.bandwidth_bytes_per_s, busy_s)

    def has_drained(self, container: Container, done: Assignment) -> None:
        """See Host."""
        self._jobs.forget(done)
        self._tell(Drained(container.number, container.held_bytes, time.monotonic()))

    def has_freed(self, container: Container) -> None:
        """See Host."""
        self._tell(Freed(container.number, container.held_bytes))

    def is_gone(self, container: Container, error: str | None, failure: Failure) -> None:
        """See Host."""
        del self._containers[container.number]
        for assignment in self._jobs.all():
            if assignment.container is container:
                self._jobs.forget(assignment)
        self._tell(Gone(container.number, time.monotonic(), error, failure))
        for key in [key for key in self._hints if key not in self._pool.lanes]:
            del self._hints[key]

    # -- commands ---------------------------------------------------------------------------------

    def _tell(self, event: Event) -> None:
        self._do(self._pool.handle(event))

    def _do(self, commands: list[Command]) -> None:
        """Carry out commands in order, also those that come up on the way."""
        if self._busy:
            self._todo.extend(commands)
            return
        if not commands:
            return
        self._busy = True
        todo = self._todo
        todo.extend(commands)
        try:
            while todo:
                self._carry_out(todo.popleft())
        finally:
            self._busy = False

    def _carry_out(self, command: Command) -> None:
        match command:
            case Run():
                self._run(command)
            case Start():
                self._start(command)
            case Remove():
                self._remove(command)
            case WakeAt():
                self._wake_at(command.at)
            case Initialise():
                self._initialise(command)
            case Throttle():
                self._throttle(command)
            case Refuse():
                assignment = self._jobs.with_ticket(command.ticket)
                self._jobs.forget(assignment)
                failure, reason = command.failure, command.reason
                self._loop.call_soon(refuse_unstarted, assignment, self._driver, failure, reason)
            case _:
                assert_never(command)

    def _run(self, command: Run) -> None:
        assignment = self._jobs.with_ticket(command.ticket)
        assignment.warmth = command.warmth
        self._hints.pop(assignment.need.key, None)
        self._containers[command.container].run(assignment)

    def _start(self, command: Start) -> None:
        number = command.container
        name = f"{self._prefix}_{number}_{command.namespace or 'prewarm'}"
        spec = ContainerSpec(
            name=name, runtime=command.runtime, memory_mb=command.memory_mb, environment=self._environment
        )
        try:
            handle = self._driver.start(spec, partial(self._gone, number))
        except OSError as error:
            reason = f"The host could not start a container: {error.strerror or error}."
            logger.warning("container not started", extra={"container": name, "reason": reason})
            self._loop.call_soon(self._tell, Gone(number, time.monotonic(), reason))
            return
        container: Container
        if handle.relayed:
            container = RuntimeContainer(number, name, self, self._loop, self._sink, self._outbox_bytes)
        else:
            made = SharedContainer if self._driver.shares(command.runtime) else StockContainer
            container = made(number, name, self, self._loop, self._sink, self._door)
        self._containers[number] = container
        container.start(handle, self._limits.start_timeout_s + handle.extra_start_s)

    def _gone(self, number: int, how: Exit) -> None:
        container = self._containers.get(number)
        if container is not None:
            container.gone(how)

    def _initialise(self, command: Initialise) -> None:
        job = self._hints.pop(command.key, None)
        container = self._containers[command.container]
        if job is None:
            container.end()
        else:
            container.initialise(job)

    def _remove(self, command: Remove) -> None:
        container = self._containers.get(command.container)
        if container is not None:
            container.end()

    def _throttle(self, command: Throttle) -> None:
        container = self._containers.get(command.container)
        if container is not None:
            container.throttle(on=command.on)

    def _wake_at(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(max(0.0, at - time.monotonic()), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._tell(Tick(time.monotonic()))

    # -- jobs -------------------------------------------------------------------------------------

    def _need(self, call: ActionCall, code: Mapping[str, Any], user: Identity) -> Need:
        key = ActionKey(user.namespace, call.name, call.revision, call.version, call.binding)
        lane = self._pool.lanes.get(key)
        if lane is not None:
            return lane.need
        runtime = self._driver.runtime_of(call.kind, code.get("image"))
        return Need(key, runtime, call.memory_mb, call.concurrency if self._driver.shares(runtime) else 1)

    def _feed(self, job: Job, name: str, part: Stored | StreamEnd) -> None:
        assignment = self._jobs.of(job)
        if assignment is None or assignment.returned:
            return
        assignment.queue_part(name, part)
        if assignment.container is not None:
            assignment.container.feed(assignment, name)


def _fail(assignment: Assignment, failure: Failure, detail: object) -> None:
    assignment.fail(failure, detail, time.monotonic(), [], truncated=False)
