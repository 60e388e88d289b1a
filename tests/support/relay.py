"""A relay for one container, driven by the test: a socket pair, a runtime process, segments from memfds."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from action_runtime.wire.codec import Decoder, encode
from action_runtime.wire.frames import KNEE_BYTES, PROTOCOL_VERSION, Frame, FrameKind
from action_runtime.wire.values import Head, Media

ROOT: Final = Path(__file__).resolve().parent.parent.parent
WITHIN_S: Final = 10.0
_SEALS: Final = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK


def sealed(data: bytes) -> int:
    """Return a read-only descriptor of a sealed segment that holds `data`."""
    writable = os.memfd_create("datum", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(writable, data)
    return _read_only(writable)


def _read_only(writable: int) -> int:
    fcntl.fcntl(writable, fcntl.F_ADD_SEALS, _SEALS | fcntl.F_SEAL_WRITE)
    descriptor = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
    os.close(writable)
    return descriptor


class Emitted:
    """An EMIT frame and the bytes that belong to it."""

    def __init__(self, meta: dict[str, Any], data: bytes) -> None:
        self.meta = meta
        self.data = data
        self.output = meta["o"]
        self.index = meta["i"]
        self.how = meta["how"]
        self.head = Head.from_meta(meta)

    @property
    def value(self) -> Any:
        """The value, decoded if it is JSON."""
        return json.loads(self.data) if self.head.media is Media.JSON else self.data


class FakeRelay:
    """Speaks the relay's side of PROTOCOL.md, one container, synchronously.

    Attributes:
        granting: Whether RESERVE is answered at once; else the requests are kept in `reserved`.
        emitted: All EMITs so far, in the order they came.
    """

    def __init__(
        self,
        outbox_bytes: int = 64 * 1024 * 1024,
        env: dict[str, str] | None = None,
        largest_bytes: int | None = None,
    ) -> None:
        self.granting = True
        self.refusing: str | None = None
        self.reserved: deque[tuple[int, int]] = deque()
        self.emitted: list[Emitted] = []
        self._segments: dict[int, int] = {}
        self._frames: deque[Frame] = deque()
        self._decoder = Decoder()
        self._firing = 0
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "action_runtime"],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "__OW_DATAFLOW_FD": str(theirs.fileno())}
            | (env or {}),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        theirs.close()
        self.hello = self.next(FrameKind.HELLO)
        bounds = {"outbox_bytes": outbox_bytes, **({} if largest_bytes is None else {"largest_bytes": largest_bytes})}
        self.send(FrameKind.WELCOME, {"protocol": PROTOCOL_VERSION, **bounds})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> tuple[str, str]:
        """End the session; return what the process wrote to stdout and stderr."""
        for descriptor in self._segments.values():
            os.close(descriptor)
        self._segments.clear()
        self.socket.close()
        try:
            out, err = self.process.communicate(timeout=WITHIN_S)
        except (subprocess.TimeoutExpired, ValueError):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            out, err = b"", b""
            self.process.wait()
        return out.decode(), err.decode()

    def send(
        self, kind: FrameKind, meta: dict[str, Any], payload: bytes = b"", descriptors: tuple[int, ...] = ()
    ) -> None:
        """Send a frame; the descriptors stay the caller's."""
        frame = encode(kind, meta, payload, len(descriptors))
        if descriptors:
            sent = socket.send_fds(self.socket, [frame], list(descriptors))
            frame = frame[sent:]
        self.socket.sendall(frame)

    def init(self, code: str, **fields: Any) -> dict[str, Any]:
        """Initialise with source code; return the meta of INITED."""
        meta = {"name": "test", "main": "main", "binary": False, "env": {}} | fields
        self.send(FrameKind.INIT, meta, code.encode())
        return self.next(FrameKind.INITED).meta

    def run(
        self,
        arguments: dict[str, Any] | None = None,
        wants: dict[str, str] | None = None,
        inputs: list[dict[str, Any]] | None = None,
        payload: bytes = b"",
        segments: tuple[int, ...] = (),
    ) -> int:
        """Send a RUN; return its firing. Segments are closed here once sent.

        Args:
            arguments: All parameters, as one inline JSON object.
            wants: Output → how.
            inputs: Instead of `arguments`: INPUTs as PROTOCOL.md has them, over `payload` and `segments`.
        """
        self._firing += 1
        if inputs is None:
            payload = json.dumps(arguments or {}).encode()
            inputs = [{"name": "", "value": {"t": "json", "n": len(payload), "at": 0}}]
        if segments:
            self.send(FrameKind.SEGMENTS, {"f": self._firing}, descriptors=segments)
            for descriptor in segments:
                os.close(descriptor)
        env = {"activation_id": f"{self._firing:032x}", "namespace": "guest", "action_name": "/guest/test"}
        meta = {"f": self._firing, "env": env, "inputs": inputs, "wants": wants or {}, "plain": False}
        self.send(FrameKind.RUN, meta | {"timeout_ms": 60000}, payload)
        return self._firing

    def call(self, arguments: dict[str, Any] | None = None, wants: dict[str, str] | None = None) -> Frame:
        """Run and wait for RETURNED."""
        self.run(arguments, wants)
        return self.next(FrameKind.RETURNED)

    def next(self, kind: FrameKind, within_s: float = WITHIN_S) -> Frame:
        """Return the next frame of a kind; EMITs and RESERVEs that come before it are taken in."""
        deadline = time.monotonic() + within_s
        while True:
            for _ in range(len(self._frames)):
                frame = self._frames.popleft()
                if frame.kind is kind:
                    return frame
                self._frames.append(frame)
            left = deadline - time.monotonic()
            if left <= 0 or not self._receive(left):
                waiting = [frame.kind.name for frame in self._frames]
                raise AssertionError(f"no {kind.name} came within {within_s} s; there are {waiting}")

    def next_emit(self, within_s: float = WITHIN_S) -> Emitted:
        """Return the next EMIT that no call of this method has returned."""
        deadline = time.monotonic() + within_s
        self._seen = getattr(self, "_seen", 0)
        while len(self.emitted) <= self._seen:
            left = deadline - time.monotonic()
            if left <= 0 or not self._receive(left):
                raise AssertionError(f"no EMIT came within {within_s} s")
        self._seen += 1
        return self.emitted[self._seen - 1]

    def quiet(self, for_s: float = 0.2) -> bool:
        """Return whether nothing comes for a while."""
        return not self._receive(for_s)

    def grant(self) -> None:
        """Grant the oldest withheld reserve."""
        request, size = self.reserved.popleft()
        descriptor = os.memfd_create("datum", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        os.ftruncate(descriptor, size)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        self._segments[request] = descriptor
        self.send(FrameKind.GRANT, {"r": request}, descriptors=(descriptor,))

    def wait_for_reserve(self, count: int = 1) -> None:
        """Wait until so many reserves are withheld."""
        deadline = time.monotonic() + WITHIN_S
        while len(self.reserved) < count:
            assert self._receive(deadline - time.monotonic()), "no RESERVE came"

    def _receive(self, within_s: float) -> bool:
        if not select.select([self.socket], [], [], max(0.0, within_s))[0]:
            return False
        data, descriptors, _, _ = socket.recv_fds(self.socket, 1 << 20, 16)
        if not data:
            raise AssertionError("the runtime closed the session")
        for frame in self._decoder.feed(data, descriptors):
            self._take(frame)
        return True

    def _take(self, frame: Frame) -> None:
        if frame.kind is FrameKind.RESERVE:
            self._on_reserve(frame.meta)
        elif frame.kind is FrameKind.EMIT:
            self._on_emit(frame)
        else:
            self._frames.append(frame)

    def _on_reserve(self, meta: dict[str, Any]) -> None:
        assert meta["n"] >= KNEE_BYTES
        if self.refusing is not None:
            self.send(FrameKind.REFUSE, {"r": meta["r"], "error": self.refusing})
            return
        self.reserved.append((meta["r"], meta["n"]))
        if self.granting:
            self.grant()

    def _on_emit(self, frame: Frame) -> None:
        data = bytes(frame.payload)
        if "r" in frame.meta:
            descriptor = _read_only(self._segments.pop(frame.meta["r"]))
            data = os.pread(descriptor, frame.meta["n"], 0)
            os.close(descriptor)
        assert len(data) == frame.meta["n"]
        self.emitted.append(Emitted(frame.meta, data))
