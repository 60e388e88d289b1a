"""Inline functions in containers of Node.js: jobs of the pool, as those of actions. Lives on the loop."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from action_runtime.wire.values import WHOLE
from invoker_ext.containers.job import Failure, Job, Report, Timing, Warmth
from invoker_ext.dataflow.commands import Bound, Constant
from invoker_ext.dataflow.events import Outcome
from invoker_ext.inline.call import LOG_CHARS, MIB, Bounds, Call, Evaluated, Fault, failed
from invoker_ext.inline.home import Home
from invoker_ext.inline.text import utf8
from invoker_ext.owner import outcomes
from invoker_ext.sink.datum import Stored

logger = logging.getLogger(__name__)

Answered = Callable[[Evaluated], None]

MAX_CALLS: Final = 1000
MAX_BYTES: Final = 64 * MIB
"""Of codes, parameters and variables of all calls that are not answered. A single one above it is refused."""
THREAD_BYTES: Final = 256 * 1024
"""Of an answer; below, reading it takes less than a thread's turn."""
_TRIES: Final = 2
"""Of a call whose container went before its function began."""
_CODE: Final = Path(__file__).with_name("contained.js").read_text(encoding="utf-8")
_KINDS: Final = {
    "done": None, "threw": Fault.THREW, "function": Fault.FUNCTION, "internal": Fault.INTERNAL
}  # fmt: skip
_FORGED: Final = "The container of inline functions gave no answer that can be read."
_LOST: Final = frozenset({Failure.RUN_DIED, Failure.OUT_OF_MEMORY})


class Pool(Protocol):
    """The part of `containers.job.Containers` that is used."""

    def submit(self, job: Job) -> None:
        """See Containers."""

    def kill(self, job: Job) -> None:
        """See Containers."""


class Contained:
    """All calls of one invoker that go to containers.

    Args:
        loop: The invoker's; everything is called on it.
        pool: This host's: a function is not given to another one.
        bounds: Of each call; its time and memory are its composition's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, pool: Pool, bounds: Bounds | None = None) -> None:
        self._loop = loop
        self._pool = pool
        self._room_bytes = (bounds or Bounds()).answer_mb * MIB
        self._asked: dict[int, _Asked] = {}
        self._held_bytes = 0
        self._tickets = 0
        self._closed = False

    def evaluate(self, call: Call, home: Home, done: Answered) -> int:
        """Evaluate a function.

        Args:
            call: What is asked.
            home: Whose containers.
            done: Called once with how it ended, never from within this call; not at all after `cancel` or `close`.

        Returns:
            A ticket for `cancel`.
        """
        self._tickets += 1
        ticket = self._tickets
        if self._closed:
            return ticket
        asked = self._asked[ticket] = _Asked(self, ticket, call, home, done)
        self._held_bytes += call.size_bytes
        if call.size_bytes > MAX_BYTES:
            self._loop.call_soon(self.answer, ticket, failed(Fault.GIVEN, call.path, str(MAX_BYTES // MIB)))
        elif len(self._asked) > MAX_CALLS or self._held_bytes > MAX_BYTES:
            self._loop.call_soon(self.answer, ticket, failed(Fault.BUSY, call.path))
        else:
            self.submit(asked)
        return ticket

    def cancel(self, ticket: int) -> None:
        """Nobody wants the answer any more; a function that runs is ended with its container. Idempotent."""
        asked = self._forget(ticket)
        if asked is not None and asked.job is not None:
            self._pool.kill(asked.job)

    def close(self) -> None:
        """Calls under way are never answered; the pool ends their containers. Idempotent."""
        self._closed = True
        self._asked.clear()

    def submit(self, asked: _Asked) -> None:
        """Give a call to the pool."""
        asked.job = _job(asked.call, asked.home, asked)
        self._pool.submit(asked.job)

    def read(self, ticket: int, call: Call, body: bytes, log: str, waited_s: float) -> None:
        """Read what a function answered, a large answer in a thread, and pass it on."""
        if len(body) < THREAD_BYTES:
            self.answer(ticket, answer_of(call, body, log, waited_s, self._room_bytes))
            return
        reading = self._loop.run_in_executor(None, answer_of, call, body, log, waited_s, self._room_bytes)
        reading.add_done_callback(partial(self._was_read, ticket))

    def _was_read(self, ticket: int, reading: asyncio.Future[Evaluated]) -> None:
        if not reading.cancelled():
            self.answer(ticket, reading.result())

    def answer(self, ticket: int, answer: Evaluated) -> None:
        """Tell who asked, if that is still wanted."""
        asked = self._forget(ticket)
        if asked is not None:
            asked.done(answer)

    def wants(self, ticket: int) -> bool:
        """Return whether somebody waits for a call."""
        return ticket in self._asked

    def _forget(self, ticket: int) -> _Asked | None:
        asked = self._asked.pop(ticket, None)
        if asked is not None:
            self._held_bytes -= asked.call.size_bytes
        return asked


class _Asked:
    """One call; a `containers.job.Listener`."""

    def __init__(self, all_: Contained, ticket: int, call: Call, home: Home, done: Answered) -> None:
        self._all = all_
        self._ticket = ticket
        self.call = call
        self.home = home
        self.done = done
        self.job: Job | None = None
        self._tries = 0
        self._asked_at = time.monotonic()
        self._began_at: float | None = None
        self._body: bytes | None = None
        self._report: Report | None = None
        self._failed: tuple[Failure, Any] | None = None
        self._log = ""

    def began(self, timing: Timing, warmth: Warmth, container: str) -> None:
        """See Listener."""
        self._began_at = timing.started

    def emitted(self, output: str, index: int, how: str, value: Stored) -> None:
        """See Listener."""
        try:
            if output == WHOLE:
                self._body = value.read()
        except OSError as error:
            logger.warning("answer of an inline function lost", extra={"error": str(error)})
        finally:
            value.release()

    def answered(self, report: Report, at: float) -> None:
        """See Listener; the log is needed, too."""

    def returned(self, report: Report, at: float) -> None:
        """See Listener."""
        self._report = report

    def taken(self, name: str, count: int) -> None:
        """See Listener."""

    def logs(self, lines: Sequence[str], truncated: bool) -> None:
        """See Listener."""
        self._log = "".join(f"{line.partition(': ')[2]}\n" for line in lines)[:LOG_CHARS]
        if self._failed is not None:
            self._over(*self._failed)

    def drained(self, at: float, refusal: str | None = None) -> None:
        """See Listener."""
        report = self._report
        body = self._body if report is None or report.body is None else report.body
        if report is None or report.status != "ok" or body is None:
            text = _FORGED
            if report is not None and body is not None:
                text = _sentence(outcomes.judge(report, body, bounded=False), _FORGED)
            self._fail(Fault.CONTAINER, text)
        else:
            self._all.read(self._ticket, self.call, body, self._log, self._waited_s)

    def failed(self, failure: Failure, detail: Any, began: bool, at: float) -> None:
        """See Listener."""
        self._failed = failure, detail

    def _over(self, failure: Failure, detail: Any) -> None:
        self._tries += 1
        if self._began_at is None and failure in _LOST and self._tries < _TRIES and self._all.wants(self._ticket):
            self._failed = None
            self._all.submit(self)
            return
        judgement = outcomes.failed(failure, detail, self.home.action.timeout_ms)
        fault = Fault.UNPLACED if judgement.outcome is Outcome.PLATFORM_ERROR else Fault.CONTAINER
        self._fail(fault, _sentence(judgement, _FORGED))

    def _fail(self, fault: Fault, text: str) -> None:
        answer = failed(fault, self.call.path, text, log=self._log, waited_s=self._waited_s)
        self._all.answer(self._ticket, answer)

    @property
    def _waited_s(self) -> float:
        return (time.monotonic() if self._began_at is None else self._began_at) - self._asked_at


def _job(call: Call, home: Home, listener: _Asked) -> Job:
    given = {
        "codes": [_text(code.encode(errors="replace")) for code in (call.code, *(code for code, _ in call.more))],
        "params": _text(b"".join(call.params)),
        "names": list(call.cells),
        "cells": [_text(one) for one in call.cells.values()],
    }
    return Job(
        call=home.action,
        code={"kind": home.action.kind, "code": _CODE, "binary": False},
        user=home.user,
        activation_id=home.run,
        env=dict(home.environment),
        init_env={},
        inputs=[Bound(WHOLE, Constant(orjson.dumps(given).decode()))],
        wants={WHOLE: "value"},
        plain=True,
        timeout_s=home.action.timeout_ms / 1000,
        run=home.run,
        listener=listener,
        queued=time.monotonic(),
        repeats=False,
    )


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def answer_of(call: Call, body: bytes, log: str, waited_s: float, room_bytes: int) -> Evaluated:
    """Return what a container answered, which code of users may have forged: nothing that is no JSON gets further.

    Args:
        call: What was asked.
        body: JSON of what `contained.js` returned.
        log: What was printed.
        waited_s: See Evaluated.
        room_bytes: Bound of result and variables.
    """
    also: dict[str, Any] = {"log": log, "waited_s": waited_s}
    try:
        head = json.loads(body)
        fault = _KINDS[head["kind"]]
        texts = [None if one is None else utf8(one) for one in (head["result"], *head["cells"])]
        said = str(head["said"]).encode(errors="replace").decode()
        done = range(1, len(call.more) + 2).index(head["done"]) + 1
        path = (call.path, *(path for _, path in call.more))[done - 1]
        changed = {name: text for name, text in zip(call.cells, texts[1:], strict=True) if text is not None}
        for text in (one for one in texts if one is not None):
            orjson.loads(text)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return failed(Fault.CONTAINER, call.path, _FORGED, **also)
    also["done"] = done
    if sum(len(text) for text in texts if text is not None) > room_bytes:
        return failed(Fault.SIZE, path, str(room_bytes // MIB), **also)
    if fault is not None:
        return failed(fault, path, said, cells=changed, **also)
    return Evaluated(result=texts[0], cells=changed, **also)


def _sentence(judgement: outcomes.Judgement, otherwise: str) -> str:
    """Return the text of an error, which the runtime may have put as any value."""
    if judgement.error is None:
        return otherwise
    value = json.loads(judgement.error)
    return value if isinstance(value, str) else judgement.error.decode()
