"""Containers as processes of this host: the embedded driver.

It separates failures, not hostile tenants: a container runs as the user of the invoker. For tenants that do not trust
each other there is Docker.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from invoker_ext.containers.driver import ContainerSpec, Driver, Exit, Handle, UnknownKind
from invoker_ext.containers.drivers.keeper.keeper import PACKET_BYTES
from invoker_ext.containers.drivers.nameless import NamelessSocket
from invoker_ext.containers.drivers.programs import ROOT, Program, node_program, python_program
from invoker_ext.contract.kinds import NODEJS, OWN, family
from invoker_ext.interpreters import find_kinds

logger = logging.getLogger(__name__)

_KEEPER: Final = (
    "import sys; sys.path.insert(0, sys.argv.pop()); "
    "from invoker_ext.containers.drivers.keeper.keeper import main; main(sys.argv[1])"
)
_READY_S: Final = 20.0
"""Bound of the keeper's start, on a busy machine."""
_CLOSE_S: Final = 10.0
"""Bound of the end of all containers, and again of the keeper's own."""
_ABORTED: Final = frozenset({signal.SIGABRT, signal.SIGTRAP, signal.SIGILL})
"""How V8 ends itself where there is no memory; nothing else of node does, unless user code asks for it."""
_BASE_ENVIRONMENT: Final = {"LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}


@dataclass(slots=True, frozen=True)
class _Started:
    """Who hears of a container's end, and the socket it serves on if it is a stock runtime."""

    gone: Callable[[Exit], None]
    server: NamelessSocket | None


class ProcessHandle(Handle):
    """A container that is a process."""

    def __init__(
        self, driver: ProcessDriver, name: str, way: socket.socket | NamelessSocket, outputs: tuple[int, int]
    ) -> None:
        self._driver = driver
        self._name = name
        self._way = way
        self._outputs = outputs

    @property
    def session(self) -> socket.socket | None:
        """See Handle."""
        return self._way if isinstance(self._way, socket.socket) else None

    @property
    def address(self) -> str | None:
        """See Handle."""
        return self._way.path if isinstance(self._way, NamelessSocket) else None

    @property
    def outputs(self) -> tuple[int, int]:
        """See Handle."""
        return self._outputs

    def kill(self, *, ending: bool = False) -> None:
        """See Handle."""
        del ending  # what it ended with is collected in any case
        self._driver.end(self._name)


class ProcessDriver(Driver):
    """Starts containers through a keeper.

    Args:
        home: Folder for the containers' folders; below the data directory.
        kinds: Kind → interpreter, from `find_kinds`; None: found by `open`.
    """

    def __init__(self, home: Path, kinds: Mapping[str, str] | None = None) -> None:
        self._home = home
        self._kinds = dict(kinds or {})
        self._loop: asyncio.AbstractEventLoop | None = None
        self._keeper: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._started: dict[str, _Started] = {}
        self._unsent: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._collecting: asyncio.Future[None] | None = None
        self._ready = asyncio.Event()
        self._empty = asyncio.Event()
        self._closed = False

    async def open(self) -> None:
        """See Driver.

        Raises:
            TimeoutError: The keeper does not come up.
        """
        self._loop = asyncio.get_running_loop()
        self._summon(self._loop)
        if not self._kinds:
            self._kinds = await self._loop.run_in_executor(None, find_kinds)
        async with asyncio.timeout(_READY_S):
            await self._ready.wait()

    @property
    def kinds(self) -> tuple[str, ...]:
        """See Driver."""
        return tuple(self._kinds)

    def runtime_of(self, kind: str, image: str | None = None) -> str:
        """See Driver. A process is not made of an image."""
        del image
        runtime = self._kinds.get(kind)
        if runtime is None or not _is_there(runtime):
            raise UnknownKind(kind, tuple(one for one, path in self._kinds.items() if _is_there(path)))
        return runtime

    def shares(self, runtime: str) -> bool:
        """See Driver: node does, Python runs one after the other."""
        return self._is_node(runtime)

    def start(self, spec: ContainerSpec, gone: Callable[[Exit], None]) -> ProcessHandle:
        """See Driver."""
        if self._loop is None or self._closed:
            raise OSError("the driver is not open")
        if not _is_there(spec.runtime):
            raise FileNotFoundError(errno.ENOENT, f"{spec.runtime} is not there any more")
        if self._sock is None:
            self._summon(self._loop)
        program = self._program(spec)
        order = {
            "op": "start",
            "id": spec.name,
            "memory_mb": program.data_mb,
            "environment": {**_BASE_ENVIRONMENT, **program.environment, **spec.environment},
            "argv": program.argv,
        }
        mine: list[int] = []
        theirs: list[int] = []
        try:
            for _ in range(2):
                reading, writing = os.pipe()
                mine.append(reading)
                theirs.append(writing)
                os.set_blocking(reading, False)
            way: socket.socket | NamelessSocket
            if program.relayed:
                way, others = socket.socketpair()
                theirs.append(others.detach())
            else:
                way = NamelessSocket(self._home)
                theirs.append(way.detach())
        except OSError:
            _close_all([*mine, *theirs])
            raise
        self._started[spec.name] = _Started(gone, None if isinstance(way, socket.socket) else way)
        self._empty.clear()
        self._send(order, tuple(theirs))
        return ProcessHandle(self, spec.name, way, (mine[0], mine[1]))

    def _program(self, spec: ContainerSpec) -> Program:
        make = node_program if self._is_node(spec.runtime) else python_program
        return make(spec.runtime, spec.memory_mb)

    def _is_node(self, runtime: str) -> bool:
        return any(path == runtime and family(kind) == NODEJS for kind, path in self._kinds.items())

    def end(self, name: str) -> None:
        """End a container with all it started; idempotent."""
        if name in self._started:
            self._send({"op": "end", "id": name}, ())

    async def close(self) -> None:
        """See Driver."""
        if self._closed or self._loop is None:
            return
        self._closed = True
        for name in list(self._started):
            self.end(name)
        if self._started:
            try:
                async with asyncio.timeout(_CLOSE_S):
                    await self._empty.wait()
            except TimeoutError:
                logger.warning("containers did not end in time", extra={"containers": len(self._started)})
        keeper = self._keeper
        self._hang_up()
        if keeper is not None:
            await self._loop.run_in_executor(None, _wait_for, keeper)
        if self._collecting is not None:
            await self._collecting

    # -- the keeper -------------------------------------------------------------------------------

    def _summon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start a keeper; what is sent meanwhile waits in the socket."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-X", "utf8", "-c", _KEEPER, str(self._home), str(ROOT)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=_BASE_ENVIRONMENT,
                cwd="/",
                start_new_session=True,  # a Ctrl-C at the terminal is the invoker's to handle
            )
        ours.setblocking(False)
        self._sock = ours
        loop.add_reader(ours.fileno(), self._hear)

    def _send(self, order: dict[str, Any], descriptors: tuple[int, ...]) -> None:
        """Send an order, or keep it until the keeper reads; takes over the descriptors."""
        self._unsent.append((json.dumps(order).encode(), descriptors))
        if len(self._unsent) == 1:
            self._flush()

    def _flush(self) -> None:
        sock, loop = self._sock, self._loop
        if sock is None or loop is None:
            return
        while self._unsent:
            packet, descriptors = self._unsent[0]
            try:
                socket.send_fds(sock, [packet], descriptors)
            except BlockingIOError:
                loop.add_writer(sock.fileno(), self._flush)
                return
            except OSError:
                loop.call_soon(self._lost)
                return
            _close_all(descriptors)
            self._unsent.popleft()
        loop.remove_writer(sock.fileno())

    def _hear(self) -> None:
        if self._sock is None:
            return
        try:
            packet = self._sock.recv(PACKET_BYTES)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if not packet:
            self._lost()
            return
        message = json.loads(packet)
        if "ready" in message:
            self._ready.set()
        else:
            self._over(message["id"], message.get("error"), message.get("signal"))

    def _over(self, name: str, error: str | None, signal_number: int | None = None) -> None:
        started = self._started.pop(name, None)
        if not self._started:
            self._empty.set()
        if started is not None:
            by_node = started.server is not None
            if started.server is not None:
                started.server.close()
            started.gone(Exit(error=error, out_of_memory=by_node and signal_number in _ABORTED))

    def _lost(self) -> None:
        """The keeper is dead, and with it all its containers; the next start summons another."""
        if self._sock is None:
            return
        logger.error("the keeper of the containers died", extra={"containers": len(self._started)})
        keeper = self._keeper
        self._hang_up()
        if keeper is not None and self._loop is not None:
            self._collecting = self._loop.run_in_executor(None, _wait_for, keeper)
        for name in list(self._started):
            self._over(name, "The process that keeps the containers of this host died; try again.")

    def _hang_up(self) -> None:
        if self._sock is not None and self._loop is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            self._sock.close()
        self._sock = None
        self._keeper = None
        for _, descriptors in self._unsent:
            _close_all(descriptors)
        self._unsent.clear()


def _is_there(interpreter: str) -> bool:
    """Return whether it can be started; one that was found may have been removed since."""
    return interpreter == OWN or os.access(interpreter, os.X_OK)


def _wait_for(keeper: subprocess.Popen[bytes]) -> None:
    """Collect the keeper; it ends by itself once its socket is closed."""
    try:
        keeper.wait(_CLOSE_S)
    except subprocess.TimeoutExpired:
        logger.warning("the keeper did not end in time and is killed")
        keeper.kill()
        keeper.wait()


def _close_all(descriptors: tuple[int, ...] | list[int]) -> None:
    for one in descriptors:
        os.close(one)
