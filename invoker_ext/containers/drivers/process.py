"""Containers as processes of this host: the embedded driver.

It separates failures, not hostile tenants: a container runs as the user of the invoker. For tenants that do not trust
each other there is Docker.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from invoker_ext.containers.driver import ContainerSpec, Driver, Exit, Handle, UnknownKind
from invoker_ext.containers.drivers.interpreters import argv_of, find_interpreters, kinds_of
from invoker_ext.containers.drivers.keeper.birth import BOOT
from invoker_ext.containers.drivers.keeper.keeper import PACKET_BYTES

logger = logging.getLogger(__name__)

_ROOT: Final = str(Path(__file__).resolve().parents[3])
_KEEPER: Final = (
    "import sys; sys.path.insert(0, sys.argv.pop()); "
    "from invoker_ext.containers.drivers.keeper.keeper import main; main(sys.argv[1])"
)
_READY_S: Final = 20.0
"""Bound of the keeper's start, on a busy machine."""
_CLOSE_S: Final = 10.0
"""Bound of the end of all containers, and again of the keeper's own."""
_BASE_ENVIRONMENT: Final = {"LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}


class ProcessHandle(Handle):
    """A container that is a process."""

    def __init__(self, driver: ProcessDriver, name: str, session: socket.socket, outputs: tuple[int, int]) -> None:
        self._driver = driver
        self._name = name
        self._session = session
        self._outputs = outputs

    @property
    def session(self) -> socket.socket:
        """See Handle."""
        return self._session

    @property
    def address(self) -> None:
        """See Handle."""
        return

    @property
    def outputs(self) -> tuple[int, int]:
        """See Handle."""
        return self._outputs

    def kill(self) -> None:
        """See Handle."""
        self._driver.end(self._name)


class ProcessDriver(Driver):
    """Starts containers through a keeper.

    Args:
        home: Folder for the containers' folders; below the data directory.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._kinds: dict[str, str] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._keeper: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._gone: dict[str, Callable[[Exit], None]] = {}
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
        self._kinds = await find_interpreters()
        async with asyncio.timeout(_READY_S):
            await self._ready.wait()

    @property
    def kinds(self) -> tuple[str, ...]:
        """See Driver."""
        return kinds_of(self._kinds)

    def runtime_of(self, kind: str) -> str:
        """See Driver."""
        runtime = self._kinds.get(kind)
        if runtime is None:
            raise UnknownKind(kind, self.kinds)
        return runtime

    def start(self, spec: ContainerSpec, gone: Callable[[Exit], None]) -> ProcessHandle:
        """See Driver."""
        if self._loop is None or self._closed:
            raise OSError("the driver is not open")
        if self._sock is None:
            self._summon(self._loop)
        order = {
            "op": "start",
            "id": spec.name,
            "memory_mb": spec.memory_mb,
            "environment": {**_BASE_ENVIRONMENT, **spec.environment},
            "argv": argv_of(spec.runtime, BOOT, _ROOT),
        }
        mine: list[int] = []
        theirs: list[int] = []
        try:
            for _ in range(2):
                reading, writing = os.pipe()
                mine.append(reading)
                theirs.append(writing)
                os.set_blocking(reading, False)
            ours, others = socket.socketpair()
        except OSError:
            _close_all([*mine, *theirs])
            raise
        self._gone[spec.name] = gone
        self._empty.clear()
        self._send(order, (*theirs, others.detach()))
        return ProcessHandle(self, spec.name, ours, (mine[0], mine[1]))

    def end(self, name: str) -> None:
        """End a container with all it started; idempotent."""
        if name in self._gone:
            self._send({"op": "end", "id": name}, ())

    async def close(self) -> None:
        """See Driver."""
        if self._closed or self._loop is None:
            return
        self._closed = True
        for name in list(self._gone):
            self.end(name)
        if self._gone:
            try:
                async with asyncio.timeout(_CLOSE_S):
                    await self._empty.wait()
            except TimeoutError:
                logger.warning("containers did not end in time", extra={"containers": len(self._gone)})
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
                [sys.executable, "-I", "-X", "utf8", "-c", _KEEPER, str(self._home), _ROOT],
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
            self._over(message["id"], Exit(error=message.get("error")))

    def _over(self, name: str, how: Exit) -> None:
        gone = self._gone.pop(name, None)
        if not self._gone:
            self._empty.set()
        if gone is not None:
            gone(how)

    def _lost(self) -> None:
        """The keeper is dead, and with it all its containers; the next start summons another."""
        if self._sock is None:
            return
        logger.error("the keeper of the containers died", extra={"containers": len(self._gone)})
        keeper = self._keeper
        self._hang_up()
        if keeper is not None and self._loop is not None:
            self._collecting = self._loop.run_in_executor(None, _wait_for, keeper)
        for name in list(self._gone):
            self._over(name, Exit(error="The process that keeps the containers of this host died; try again."))

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
