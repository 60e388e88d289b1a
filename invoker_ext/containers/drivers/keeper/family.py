"""Finding and ending a process and everything it started, also what tried to leave."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ROUNDS: Final = 64
"""Scans for what was forked while its parent was being ended; a fork bomb needs more than one."""
_DEATH_MS: Final = 2000
"""A process that was sent SIGKILL is gone within this, unless the kernel holds it."""


@dataclass(slots=True, frozen=True)
class Process:
    """A line of /proc. The start time makes it the same process, not only the same number."""

    pid: int
    parent: int
    started: int
    zombie: bool


def processes() -> dict[int, Process]:
    """Return all processes that can be seen."""
    found: dict[int, Process] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - a Path for each of hundreds of names costs more than the scan
        if name.isdigit():
            one = look_at(int(name))
            if one is not None:
                found[one.pid] = one
    return found


def look_at(pid: int) -> Process | None:
    """Return what /proc says of a process; None: there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the name before it may hold blanks and brackets
    return Process(pid, int(fields[1]), int(fields[19]), fields[0] in "ZX")


def descendants(root: int, table: dict[int, Process]) -> list[Process]:
    """Return all below `root`, parents before children."""
    children: dict[int, list[Process]] = {}
    for one in table.values():
        children.setdefault(one.parent, []).append(one)
    found: list[Process] = []
    below = list(children.get(root, ()))
    while below:
        one = below.pop()
        found.append(one)
        below += children.get(one.pid, ())
    return found


def end_descendants(root: int, spared: frozenset[int] = frozenset()) -> None:
    """End everything below a process, until a scan finds nothing more.

    Args:
        root: A subreaper that forks no more (stopped, or this process): what loses its parent stays below it.
        spared: Children of `root` that are left alone, with what is below them.
    """
    for _ in range(_ROUNDS):
        table = {pid: one for pid, one in processes().items() if pid not in spared}
        living = [one for one in descendants(root, table) if not one.zombie]
        if not living:
            return
        _end_all(living)


def _end_all(victims: list[Process]) -> None:
    """Send SIGKILL and wait for the deaths. Descriptors, not numbers, so that nobody else is hit."""
    poll = select.poll()
    waiting: set[int] = set()
    try:
        for victim in victims:
            with suppress(ProcessLookupError):
                pidfd = os.pidfd_open(victim.pid)
                waiting.add(pidfd)
                now = look_at(victim.pid)
                if now is not None and now.started == victim.started:
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                poll.register(pidfd, select.POLLIN)
        alive = set(waiting)
        while alive:
            events = poll.poll(_DEATH_MS)
            if not events:
                return
            for pidfd, _ in events:
                poll.unregister(pidfd)
                alive.discard(pidfd)
    finally:
        for pidfd in waiting:
            os.close(pidfd)
