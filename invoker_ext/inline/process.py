"""One worker's process, seen from the invoker: started, written to, heard, ended. On the loop, without a task."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Final

import orjson

from invoker_ext.inline.call import MIB, Bounds
from invoker_ext.inline.frames import Messages, Part, Piece, pack

logger = logging.getLogger(__name__)

_ROOT: Final = str(Path(__file__).resolve().parents[2])
"""Folder of the packages."""
_PROGRAM: Final = "import sys; sys.path.insert(0, sys.argv.pop()); from invoker_ext.inline.worker import main; main()"
_AROUND_BYTES: Final = 1024 * 1024
"""Of an answer, besides result and variables: texts, and their names."""
PIECES: Final = 256
"""Of a message that one call of the kernel takes; it would take four times as many."""
_ENVIRONMENT: Final = {
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "MALLOC_MMAP_THRESHOLD_": str(32 * MIB),
    "MALLOC_TRIM_THRESHOLD_": str(64 * MIB),
}
"""Dates are local to UTC, as in stock's images; nothing of the invoker's environment is there. The memory of large
values is kept: made anew for each of 10 MB, it cost as much as all that is done with them."""


class Process:
    """A process that was started.

    Args:
        loop: The invoker's.
        bounds: Of each call.
        heard: Called with each message.
        gone: Called once, when it has ended, hung up, or was killed by `end`.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        bounds: Bounds,
        heard: Callable[[list[memoryview]], None],
        gone: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._heard = heard
        self._gone = gone
        self._messages = Messages(bounds.answer_mb * MIB + _AROUND_BYTES)
        self._unsent: deque[Piece] = deque()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-X", "utf8", "-c", _PROGRAM, orjson.dumps(asdict(bounds)), _ROOT],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=_ENVIRONMENT,
                    cwd="/",
                    start_new_session=True,  # a Ctrl-C at the terminal is the invoker's to handle
                )
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        self._sock: socket.socket | None = ours
        self.collected: asyncio.Future[int] | None = None
        loop.add_reader(ours.fileno(), self._readable)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def send(self, parts: Sequence[Part]) -> None:
        """Send a message; what the socket does not take at once follows when it does. One message at a time."""
        if self._sock is None:
            return
        self._unsent = deque(pack(parts))
        if self._write():
            self._loop.add_writer(self._sock.fileno(), self._writable)

    def end(self) -> None:
        """Kill it. `gone` is called on the loop's next turn. Idempotent."""
        if self._sock is not None:
            self._process.kill()
            self._loop.call_soon(self.close)

    def _writable(self) -> None:
        if self._sock is not None and not self._write():
            self._loop.remove_writer(self._sock.fileno())

    def _write(self) -> bool:
        """Send what the socket takes, and return whether something is left."""
        unsent = self._unsent
        try:
            while unsent and self._sock is not None:
                sent = self._sock.sendmsg(islice(unsent, PIECES))
                while unsent and sent >= len(unsent[0]):
                    sent -= len(unsent.popleft())
                if sent:
                    unsent[0] = memoryview(unsent[0])[sent:]
        except BlockingIOError:
            return True
        except OSError:  # it has ended: the reader hears so
            unsent.clear()
        return False

    def _readable(self) -> None:
        if self._sock is None:
            return
        try:
            count = self._sock.recv_into(self._messages.room())
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if not count:
            self.close()
            return
        try:
            for parts in self._messages.took(count):
                self._heard(parts)
        except ValueError as error:
            logger.warning("a process for inline functions talks nonsense", extra={"error": str(error)})
            self.close()

    def close(self) -> None:
        """Let go of it, kill and collect it, and call `gone`; nothing of a worker outlives its socket. Idempotent."""
        if self._sock is None:
            return
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        self._sock = None
        self._process.kill()
        self.collected = self._loop.run_in_executor(None, self._process.wait)
        self._gone()
