"""Starts an embedded server for a while, on a free port and in a folder of its own, and takes all away again."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from action_runtime.wire.errors import DataflowError
from controller_ext import launch

READY: Final = "ready "
START_S: Final = 30.0
STOP_S: Final = 15.0
"""How long the server may take to end its containers; then it is killed."""
LOG_LINES: Final = 15


class NotStarted(DataflowError):
    """The embedded server ended, or stayed silent, instead of getting ready."""

    code = "server-not-started"

    def __init__(self, reason: str, log: str) -> None:
        super().__init__(f"the embedded server {reason}." + (f" Its last words:\n{log}" if log else ""))


class EmbeddedServer:
    """`dataflower standalone` as a context: ready when entered, gone with all it wrote when left.

    Attributes:
        url: Where it listens; set while entered.
        pid: Of its first process; set while entered.
    """

    def __init__(self, *options: str, environ: Mapping[str, str] | None = None) -> None:
        """Prepare.

        Args:
            *options: Further options of `standalone`.
            environ: Variables beside those of this process.
        """
        self._options = options
        self._environ = {**os.environ, **(environ or {})}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    @property
    def pid(self) -> int:
        """The process that started all others."""
        if self._process is None:
            raise RuntimeError("the server has not been started")
        return self._process.pid

    @property
    def folder(self) -> Path:
        """Where it keeps its state."""
        if self._folder is None:
            raise RuntimeError("the server has not been started")
        return Path(self._folder.name)

    def __enter__(self) -> EmbeddedServer:
        # The name is short: Unix sockets lie below it, and their paths hold 107 bytes.
        self._folder = tempfile.TemporaryDirectory(prefix="dfl-")
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        options = ("--port", "0", "--data-dir", str(self.folder / "data"), *self._options)
        with (self.folder / "stderr").open("wb") as errors:
            self._process = subprocess.Popen(
                launch.command("controller_ext.cli", "standalone", *options),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                # A group of its own: Ctrl-C reaches us alone, and we end the server in order.
                start_new_session=True,
                env=launch.environment(self._environ),
            )
        self.url = self._await_ready(self._process)

    def _await_ready(self, process: subprocess.Popen[bytes]) -> str:
        """Return the address of the line `ready http://HOST:PORT`."""
        deadline = time.monotonic() + START_S
        output = process.stdout
        if output is None:
            raise NotStarted("has no output", "")
        received = b""
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0 and selector.select(left):
                chunk = os.read(output.fileno(), 4096)
                received += chunk
                for line in received.decode(errors="replace").splitlines(keepends=True):
                    if line.startswith(READY) and line.endswith("\n"):
                        return line.removeprefix(READY).strip()
                if not chunk:
                    raise NotStarted(f"ended with status {process.wait(STOP_S)}", self._last_words())
        raise NotStarted(f"was not ready within {START_S:g} s", self._last_words())

    def _last_words(self) -> str:
        files = [self.folder / "stderr", *sorted((self.folder / "data").glob("log/*"))]
        lines: list[str] = []
        for path in files:
            if path.is_file():
                lines += path.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join(lines[-LOG_LINES:])

    def _stop(self) -> None:
        """End the server and remove its files; idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()
