"""The session with a relay, on the main thread: INIT and RUN in, INITED and RETURNED out. PROTOCOL.md is normative."""

from __future__ import annotations

import os
import sys

from action_runtime import api
from action_runtime.data_unit.connection import Connection
from action_runtime.data_unit.inbox import close_all
from action_runtime.data_unit.unit import DataUnit
from action_runtime.function_unit import Exited, FunctionUnit, flush_logs, report
from action_runtime.loader import TWICE, InitFailed, Loader
from action_runtime.wire.errors import PeerLost, ProtocolViolation, VersionMismatch, WireError
from action_runtime.wire.frames import PROTOCOL_VERSION, Frame, FrameKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any, Final

    from action_runtime.data_unit.firing import Firing

_DEFAULT_OUTBOX_BYTES: Final = 64 * 1024 * 1024


class Session:
    """Serves one relay until it closes the connection, then ends the process."""

    def __init__(self, sock: socket.socket, loader: Loader, end: Callable[[int], None]) -> None:
        """Begin.

        Args:
            sock: Connected; owned from here on.
            loader: Makes the function.
            end: Ends the process with a code, whatever runs; does not return.
        """
        self._loader = loader
        self._end = end
        self._unit = DataUnit(Connection(sock), end)
        self._function: FunctionUnit | None = None
        self._exited = False

    def serve(self) -> None:
        """Serve. Returns only if `end` does."""
        try:
            self._open()
            while True:
                self._command(self._unit.next_command())
        except PeerLost:
            self._end(0)
        except WireError as error:
            sys.stderr.write(f"{error}\n")
            self._end(1)

    def _open(self) -> None:
        version = "{}.{}.{}".format(*sys.version_info[:3])
        self._unit.send(FrameKind.HELLO, {"protocol": PROTOCOL_VERSION, "pid": os.getpid(), "python": version})
        welcome = self._unit.next_command()
        if welcome.kind is not FrameKind.WELCOME:
            raise ProtocolViolation(f"the relay began with {welcome.kind.name}, not with WELCOME")
        theirs = welcome.meta.get("protocol")
        if not isinstance(theirs, int) or abs(theirs - PROTOCOL_VERSION) > 1:
            raise VersionMismatch(theirs, PROTOCOL_VERSION)
        self._unit.start(welcome.meta.get("outbox_bytes", _DEFAULT_OUTBOX_BYTES), welcome.meta.get("largest_bytes"))
        api.install(self._unit)

    def _command(self, frame: Frame) -> None:
        if frame.kind is FrameKind.RUN:
            self._run(frame)
        elif frame.kind is FrameKind.INIT:
            self._unit.send(FrameKind.INITED, self._init(frame))
        else:
            raise ProtocolViolation(f"{frame.kind.name} is not allowed here")

    def _init(self, frame: Frame) -> dict[str, Any]:
        code = _code(frame)
        try:
            if self._function is not None:
                raise InitFailed(403, TWICE, logged=False)
            self._function = FunctionUnit(self._loader.load(frame.meta, code))
        except InitFailed as failed:
            return {"ok": False, "status": failed.status, "error": failed.error}
        finally:
            flush_logs()
        return {"ok": True}

    def _run(self, frame: Frame) -> None:
        unit = self._unit
        firing = unit.begin(frame)
        try:
            for name, value in frame.meta.get("env", {}).items():
                os.environ[f"__OW_{name.upper()}"] = value
        except (AttributeError, TypeError, ValueError) as error:
            raise ProtocolViolation(f"the environment of a RUN cannot be set: {error}") from error
        self._exited = self._exited or not self._call(firing, frame)
        unit.give_back(firing, exited=self._exited)

    def _call(self, firing: Firing, frame: Frame) -> bool:
        """Call the function for a RUN; return whether it returned."""
        if self._function is None:
            raise ProtocolViolation("RUN came before the function was initialised")
        try:
            self._unit.bind(firing, frame)
        except (TypeError, ValueError) as error:
            report(error)
            firing.result = {"error": str(error)}
            return True
        try:
            firing.result = self._function.call(firing.arguments)
        except Exited:
            return False
        return True


def _code(frame: Frame) -> bytes:
    """Return the code of an INIT, from its payload or its segment; the descriptor is closed."""
    if not frame.descriptors:
        return bytes(frame.payload)
    try:
        parts = []
        at, size = 0, frame.meta["n"]
        while at < size:
            part = os.pread(frame.descriptors[0], size - at, at)
            if not part:
                raise ProtocolViolation("the code is shorter than INIT says")
            parts.append(part)
            at += len(part)
        return b"".join(parts)
    except (KeyError, OSError) as error:
        raise ProtocolViolation(f"the code of INIT cannot be read: {error!r}") from error
    finally:
        close_all(frame.descriptors)
