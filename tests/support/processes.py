"""Looks at the process tree, for tests that end processes."""

from __future__ import annotations

import ctypes
import os
import socket
from pathlib import Path
from typing import Final

_PIDFD_GETFD: Final = 438
"""Number of the system call, on all machines; Python has no name for it."""


def _parents() -> dict[int, int]:
    """Return pid → parent's pid for all live processes; zombies are left out."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name stands in parentheses and may hold anything.
            state, parent, *_ = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if state != "Z":
            parents[int(stat.parent.name)] = int(parent)
    return parents


def descendants(pid: int) -> set[int]:
    """Return the pids of all live processes below this one."""
    parents = _parents()
    found: set[int] = set()
    wave = {pid}
    while wave:
        wave = {child for child, parent in parents.items() if parent in wave} - found
        found |= wave
    return found


def children(pid: int) -> set[int]:
    """Return the pids of all live processes that this one has started itself."""
    return {child for child, parent in _parents().items() if parent == pid}


def alive(pids: set[int]) -> set[int]:
    """Return those that are still there."""
    return pids & _parents().keys()


def command(pid: int) -> str:
    """Return a process's command line; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def child_running(pid: int, module: str) -> int:
    """Return the pid of a child that runs `python -m module`; raises LookupError."""
    parents = _parents()
    for child, parent in parents.items():
        if parent == pid and f"-m {module}" in command(child):
            return child
    raise LookupError(module)


def cut(pid: int, port: int) -> int:
    """Break the TCP connections that a process below ours has made to a port; return how many."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if int(row[2].rpartition(":")[2], 16) == port}
    found = 0
    process = os.pidfd_open(pid)
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(link.readlink()) not in sockets:
                continue
        except FileNotFoundError:
            continue
        descriptor = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, process, int(link.name), 0)
        if descriptor < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        with socket.socket(fileno=descriptor) as connection:
            connection.shutdown(socket.SHUT_RDWR)
        found += 1
    os.close(process)
    return found
