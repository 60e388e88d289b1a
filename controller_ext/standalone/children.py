"""One process of the embedded server: started, watched, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from controller_ext.standalone.deathsig import DeathSignal

MAX_LOG_BYTES: Final = 64 * 1024 * 1024
"""A larger log is put aside, once, when its process is started."""
_LAST_WORDS_BYTES: Final = 4096


@dataclass(slots=True, frozen=True, kw_only=True)
class ChildPlan:
    """How to start it.

    Attributes:
        name: For logs; its log file, if there is one, is `NAME.log`.
        argv: Command line.
        environ: All of its environment but the descriptor of the ready pipe.
        ready_variable: Takes that descriptor.
        ready_bytes: How many bytes come on it when all of the child serves.
        descriptors: Inherited beside it.
        grace_s: Between SIGTERM and SIGKILL.
    """

    name: str
    argv: Sequence[str]
    environ: Mapping[str, str]
    ready_variable: str
    ready_bytes: int
    descriptors: tuple[int, ...] = ()
    grace_s: float


class Child:
    """One life of a process. Needs a running loop; everything happens on it."""

    def __init__(self, plan: ChildPlan, log_dir: Path | None, died: Callable[[Child, int], None]) -> None:
        """Start it.

        Args:
            plan: What.
            log_dir: Where its output goes; None: where our errors go.
            died: Called once with the exit code (negative: a signal).

        Raises:
            OSError: It cannot be started.
        """
        self.plan = plan
        self.ready = asyncio.Event()
        self.gone = asyncio.Event()
        self._died = died
        self._loop = asyncio.get_running_loop()
        self._missing = plan.ready_bytes
        self.log_file = None if log_dir is None else log_dir / f"{plan.name}.log"
        self._log_from = 0
        if self.log_file is not None:
            _put_aside(self.log_file)
            self._log_from = self.log_file.stat().st_size if self.log_file.exists() else 0
        self._pipe, theirs = os.pipe()
        try:
            with _output(self.log_file) as log:
                self._process = subprocess.Popen(
                    plan.argv,
                    env={**plan.environ, plan.ready_variable: str(theirs)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(theirs, *plan.descriptors),
                    # Ctrl-C reaches the supervisor alone, which stops its children in order.
                    start_new_session=True,
                    preexec_fn=DeathSignal(),
                )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(theirs)
        self._watch = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._watch, self._on_death)
        os.set_blocking(self._pipe, False)
        self._loop.add_reader(self._pipe, self._on_ready)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def stop(self) -> None:
        """End it: SIGTERM, after the plan's grace SIGKILL; returns when it is gone."""
        for number, grace_s in ((signal.SIGTERM, self.plan.grace_s), (signal.SIGKILL, None)):
            if self.gone.is_set():
                return
            self._process.send_signal(number)
            try:
                await asyncio.wait_for(self.gone.wait(), grace_s)
            except TimeoutError:
                continue

    def last_words(self) -> str:
        """Return where this life of it logged, and the end of that."""
        if self.log_file is None:
            return "its last words stand above"
        return f"its log is {self.log_file} and ends with:\n{self._end_of(self.log_file)}"

    def _end_of(self, log_file: Path) -> str:
        with log_file.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(size - _LAST_WORDS_BYTES, self._log_from))
            return log.read().decode(errors="replace").strip()

    def _on_ready(self) -> None:
        content = os.read(self._pipe, 64)
        self._missing -= len(content)
        if self._missing <= 0:
            self.ready.set()
        if not content:
            self._close_pipe()

    def _on_death(self) -> None:
        self._loop.remove_reader(self._watch)
        os.close(self._watch)
        self._close_pipe()
        code = self._process.wait()
        self.gone.set()
        self._died(self, code)

    def _close_pipe(self) -> None:
        pipe, self._pipe = self._pipe, -1
        if pipe >= 0:
            self._loop.remove_reader(pipe)
            os.close(pipe)


def _output(log_file: Path | None) -> BinaryIO:
    """Return what the output of a process is written to."""
    return os.fdopen(os.dup(sys.stderr.fileno()), "wb") if log_file is None else log_file.open("ab")


def _put_aside(log_file: Path) -> None:
    if log_file.exists() and log_file.stat().st_size > MAX_LOG_BYTES:
        log_file.replace(log_file.with_suffix(".log.1"))
