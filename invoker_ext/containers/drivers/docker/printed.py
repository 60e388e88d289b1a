"""What a stock runtime prints: copied by a thread from the engine's stream into two pipes, as containers have them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from typing import Final

from invoker_ext.containers.drivers.docker.engine import Attached
from invoker_ext.containers.drivers.docker.frames import Demultiplexer

_READ_BYTES: Final = 64 * 1024


class Printed:
    """Two pipes and whoever fills them. Used on the loop.

    Attributes:
        outputs: Their ends to read from, which the caller closes: standard output and standard error.
        silent: Nothing more comes.

    Raises:
        OSError: The process has no descriptors left; nothing is open.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.outputs, self._writing = _pipes()
        self.silent = asyncio.Event()
        self.silent.set()
        self._loop = loop
        self._attached: Attached | None = None

    def follow(self, attached: Attached, name: str) -> None:
        """Copy a stream until it ends. Once only.

        Args:
            attached: The stream; closed at its end.
            name: Of the thread.
        """
        self._attached = attached
        writing, self._writing = self._writing, ()
        self.silent.clear()
        threading.Thread(target=self._pump, args=(attached, writing), name=name, daemon=True).start()

    def cut(self) -> None:
        """End the stream, if there is one, although the engine does not."""
        if self._attached is not None:
            self._attached.end()

    def close(self) -> None:
        """Close the pipes of a container that was never followed. Idempotent."""
        writing, self._writing = self._writing, ()
        for one in writing:
            os.close(one)

    def _pump(self, attached: Attached, writing: tuple[int, ...]) -> None:
        demultiplexer = Demultiplexer()
        while data := attached.read(_READ_BYTES):
            for stream, part in demultiplexer.feed(data):
                with contextlib.suppress(BrokenPipeError):  # nobody reads any more
                    _write_all(writing[stream], part)
        for one in writing:
            os.close(one)
        attached.close()
        with contextlib.suppress(RuntimeError):  # the loop was closed without waiting
            self._loop.call_soon_threadsafe(self.silent.set)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _pipes() -> tuple[tuple[int, int], tuple[int, ...]]:
    """Return the read ends and the write ends of two pipes."""
    first = os.pipe()
    try:
        second = os.pipe()
    except OSError:
        for one in first:
            os.close(one)
        raise
    for one in (first[0], second[0]):
        os.set_blocking(one, False)
    return (first[0], second[0]), (first[1], second[1])
