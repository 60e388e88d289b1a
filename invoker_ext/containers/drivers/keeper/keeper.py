"""The keeper's loop. The process driver starts it, with the keeper's end of their socket as descriptor 0."""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import resource
import selectors
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from invoker_ext.containers.drivers.keeper.birth import RUNTIME, be_born, become_subreaper
from invoker_ext.containers.drivers.keeper.family import end_descendants

PACKET_BYTES: Final = 128 * 1024
"""Bound of a message; the longest is a start with its environment."""
_LOCK: Final = "keeper.lock"


@dataclass(slots=True)
class Child:
    """A container."""

    name: str
    pid: int
    pidfd: int
    folder: Path


class Keeper:
    """Starts containers, ends them, and tells the invoker when one is gone.

    Args:
        sock: To the invoker; packets.
        home: Folder of all keepers that share a data directory; each makes its own below it.
    """

    def __init__(self, sock: socket.socket, home: Path) -> None:
        self._sock = sock
        self._selector = selectors.DefaultSelector()
        self._children: dict[str, Child] = {}
        self._folder = home / f"keeper-{os.getpid()}"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep(home)
        self._folder.mkdir(mode=0o700)
        self._lock = lock(self._folder)
        self._selector.register(sock, selectors.EVENT_READ, self._hear)
        self._tell({"ready": True})

    def run(self) -> None:
        """Serve until the invoker is gone, then end everything."""
        try:
            while self._selector.get_map().get(self._sock) is not None:
                for key, _ in self._selector.select():
                    key.data()
        finally:
            end_descendants(os.getpid())
            _reap_others(frozenset())
            remove_tree(self._folder)
            os.close(self._lock)

    def _hear(self) -> None:
        packet, descriptors, _, _ = socket.recv_fds(self._sock, PACKET_BYTES, 3)
        if not packet:
            self._selector.unregister(self._sock)
            return
        order = json.loads(packet)
        if order["op"] == "start":
            self._start(order, descriptors)
        else:
            self._end(order["id"])

    def _start(self, order: dict[str, Any], descriptors: list[int]) -> None:
        name = order["id"]
        folder = self._folder / name
        try:
            pid = _fork(folder, descriptors, order)
        except OSError as error:
            remove_tree(folder)
            self._tell({"id": name, "gone": True, "error": f"The host could not start a process: {error.strerror}."})
            return
        finally:
            for one in descriptors:
                os.close(one)
        child = self._children[name] = Child(name, pid, os.pidfd_open(pid), folder)
        self._selector.register(child.pidfd, selectors.EVENT_READ, partial(self._ended, child))

    def _end(self, name: str) -> None:
        child = self._children.get(name)
        if child is None:
            return
        signal.pidfd_send_signal(child.pidfd, signal.SIGSTOP)
        end_descendants(child.pid)
        signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)

    def _ended(self, child: Child) -> None:
        """A container's own process is dead: end what it left behind, which is now ours, and clean up."""
        self._selector.unregister(child.pidfd)
        os.close(child.pidfd)
        _, status = os.waitpid(child.pid, 0)
        del self._children[child.name]
        roots = frozenset(one.pid for one in self._children.values())
        end_descendants(os.getpid(), roots)
        _reap_others(roots)
        remove_tree(child.folder)
        self._tell({"id": child.name, "gone": True, "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None})

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self._sock.send(json.dumps(message).encode())
        except (BrokenPipeError, ConnectionResetError):
            return  # the invoker is gone; the next read says so


def _fork(folder: Path, descriptors: list[int], order: dict[str, Any]) -> int:
    folder.mkdir(mode=0o700)
    pid = os.fork()
    if pid == 0:
        be_born(folder, descriptors, order["environment"], order["memory_mb"], order["argv"])
    return pid


def lock(folder: Path) -> int:
    """Mark a folder as in use until this process is gone; return the descriptor that holds the mark.

    Raises:
        BlockingIOError: Another process uses it.
    """
    number = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        raise
    return number


def sweep(home: Path) -> None:
    """Remove folders of keepers that were killed; a living one holds its lock."""
    for folder in home.glob("keeper-*"):
        try:
            held = lock(folder)
        except (BlockingIOError, FileNotFoundError):
            continue
        remove_tree(folder)
        os.close(held)


def remove_tree(folder: Path) -> None:
    """Remove a folder, also if user code took away its own rights to it."""

    def again(function: Callable[[str], object], path: str, _: object) -> None:
        try:
            Path(path).parent.chmod(0o700)
            Path(path).chmod(0o700)
            function(path)
        except OSError:
            return  # what cannot be removed now is tried again by the next keeper

    if folder.exists():
        shutil.rmtree(folder, onerror=again)
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)


def _reap_others(roots: frozenset[int]) -> None:
    """Collect the dead that were left to this process."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid in roots:
            return
        os.waitpid(found.si_pid, 0)


def main(home: str) -> None:
    """Be the keeper. The folder of the packages is the first entry of `sys.path`, and is taken off it.

    Args:
        home: Folder of all keepers that share a data directory.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the invoker decides; its end is the order to end
    sock = socket.socket(fileno=os.dup(0))
    become_subreaper()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one a container
    _warm_up()
    sys.path.pop(0)
    Keeper(sock, Path(home)).run()


def _warm_up() -> None:
    """Import the action runtime once, for all containers to come."""
    importlib.import_module(f"{RUNTIME}.session")
    importlib.import_module(f"{RUNTIME}.__main__")
    del sys.modules[f"{RUNTIME}.__main__"]  # each container runs it anew, as its own main module
    gc.collect()
    gc.freeze()  # a collection in a container must not touch, and so copy, the pages it shares
