"""Inline functions for the runs of an invoker: asked for on the loop, evaluated in processes, answered on the loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, assert_never

from invoker_ext.inline.call import MIB, Bounds, Call, Evaluated, Fault, failed
from invoker_ext.inline.desk import Command, Desk, Fail, Kill, Send, Start, WorkerState
from invoker_ext.inline.frames import call_parts, read_answer
from invoker_ext.inline.process import Process

logger = logging.getLogger(__name__)

WORKERS: Final = 2
LOOK_S: Final = 0.25
"""Between two looks for such."""
WAITING: Final = 1000
WAITING_BYTES: Final = 64 * MIB
"""Of codes, parameters and variables. A single call above it is refused."""
IDLE_S: Final = 300.0
"""A worker that had nothing to do for so long, or up to twice that, is ended; it holds about 20 MB."""

START_S: Final = 30.0
"""For a process to come up, on a machine that has other things to do; then it is ended."""

_UNKNOWN: Final = frozenset({Fault.CRASHED, Fault.TIME})
"""How a call may end of which nobody knows at which of its functions. None of them has done anything outside: they are
evaluated again, one at a time."""

Answered = Callable[[Evaluated], None]


@dataclass(slots=True)
class _Asked:
    call: Call
    done: Answered


class Functions:
    """The workers of one invoker. The first call starts the first one.

    Args:
        loop: The invoker's; everything is called on it.
        bounds: Of each call.
        workers: Processes, and those of one namespace; twice as many with those for namespaces that have none.
        idle_s: After which idle ones are ended.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        bounds: Bounds | None = None,
        workers: int = WORKERS,
        idle_s: float = IDLE_S,
    ) -> None:
        self._loop = loop
        self._bounds = bounds or Bounds()
        self._idle_s = idle_s
        self._desk = Desk(workers, 2 * workers, WAITING, WAITING_BYTES)
        self._asked: dict[int, _Asked] = {}
        self._tickets = 0
        self._processes: dict[int, Process] = {}
        self._with: dict[int, tuple[int, asyncio.TimerHandle, int]] = {}
        self._collected: set[asyncio.Future[int]] = set()
        self._ticking: asyncio.TimerHandle | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def processes(self) -> list[int]:
        """Process ids of the workers."""
        return [one.pid for one in self._processes.values()]

    def evaluate(self, call: Call, done: Answered) -> int:
        """Evaluate a function.

        Args:
            call: What is asked.
            done: Called once with how it ended, never from within this call; not at all after `cancel` or `close`.

        Returns:
            A ticket for `cancel`.
        """
        self._tickets += 1
        ticket = self._tickets
        if not self._closed:
            self._asked[ticket] = _Asked(call, done)
            self._ask(ticket, call)
        return ticket

    def cancel(self, ticket: int) -> None:
        """Nobody wants the answer any more. A call that runs is not interrupted. Idempotent."""
        if self._asked.pop(ticket, None) is not None:
            self._desk.withdraw(ticket)

    async def close(self) -> None:
        """End all workers; calls under way are never answered. Idempotent."""
        self._closed = True
        self._asked.clear()
        for timer in (self._ticking, self._looking):
            if timer is not None:
                timer.cancel()
        for process in list(self._processes.values()):
            process.close()
        await asyncio.gather(*self._collected)

    def _ask(self, ticket: int, call: Call) -> None:
        self._do(self._desk.ask(ticket, call.namespace, call.size_bytes))
        if self._desk.waiting and self._looking is None:
            self._looking = self._loop.call_later(LOOK_S, self._look)

    def _do(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Send(worker, ticket):
                    self._send(worker, ticket)
                case Start(worker):
                    self._start(worker)
                case Kill(worker):
                    self._processes[worker].end()
                case Fail(ticket, fault):
                    self._fail(ticket, fault)
                case _:
                    assert_never(command)

    def _start(self, worker: int) -> None:
        try:
            process = Process(self._loop, self._bounds, partial(self._heard, worker), partial(self._gone, worker))
        except OSError as error:
            logger.error("no process for inline functions", extra={"error": str(error)})  # noqa: TRY400 - no story
            self._loop.call_soon(self._gone, worker)
            return
        self._processes[worker] = process
        self._loop.call_later(START_S, self._late, worker)
        if self._ticking is None:
            self._ticking = self._loop.call_later(self._idle_s, self._tick)

    def _send(self, worker: int, ticket: int) -> None:
        asked = self._asked[ticket]
        timer = self._loop.call_later(self._bounds.patience_s, self._overdue, worker)
        self._with[worker] = ticket, timer, 1 + len(asked.call.more)
        self._processes[worker].send(call_parts(asked.call))

    def _heard(self, worker: int, parts: list[memoryview]) -> None:
        if worker not in self._with:
            self._do(self._desk.started(worker))
            return
        ticket, timer, most = self._with[worker]
        answer = read_answer(parts, most)
        del self._with[worker]  # only then: who answers nonsense still has the call when it is ended
        timer.cancel()
        self._do(self._desk.answered(worker, spent=answer.fault is Fault.MEMORY))
        self._answer(ticket, answer)

    def _late(self, worker: int) -> None:
        if self._desk.workers.get(worker) is WorkerState.STARTING:
            self._processes[worker].end()

    def _overdue(self, worker: int) -> None:
        self._do(self._desk.overdue(worker))

    def _gone(self, worker: int) -> None:
        process = self._processes.pop(worker, None)
        held = self._with.pop(worker, None)
        if held is not None:
            held[1].cancel()
        if process is not None and process.collected is not None:
            self._collected.add(process.collected)
            process.collected.add_done_callback(self._collected.discard)
            logger.info("a process for inline functions ended", extra={"pid": process.pid, "busy": held is not None})
        commands = self._desk.gone(worker)
        if not self._closed:
            self._do(commands)

    def _tick(self) -> None:
        self._do(self._desk.tick())
        self._ticking = self._loop.call_later(self._idle_s, self._tick) if self._processes else None

    def _look(self) -> None:
        self._do(self._desk.look())
        self._looking = self._loop.call_later(LOOK_S, self._look) if self._desk.waiting else None

    def _fail(self, ticket: int, fault: Fault) -> None:
        asked = self._asked.get(ticket)
        if asked is None:
            return
        if asked.call.more and fault in _UNKNOWN:
            asked.call = replace(asked.call, more=())
            self._ask(ticket, asked.call)
        else:
            details = {Fault.TIME: f"{self._bounds.time_s:g}", Fault.GIVEN: str(WAITING_BYTES // MIB)}
            detail = details.get(fault, "")
            self._loop.call_soon(self._answer, ticket, failed(fault, asked.call.path, detail))

    def _answer(self, ticket: int, answer: Evaluated) -> None:
        asked = self._asked.pop(ticket, None)
        if asked is not None:
            asked.done(answer)
