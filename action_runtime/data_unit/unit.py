"""The data logic unit: takes the calls of user code, runs the thread beside it, keeps the account of the firing."""

from __future__ import annotations

import sys
import threading
from collections import deque

from action_runtime.data_unit import giving_back, inbox
from action_runtime.data_unit.firing import Firing, Holding
from action_runtime.data_unit.outbox import Item, Outbox
from action_runtime.errors import InputBroken, InputMissing, NoActivation, OutputMisused, OutputRefused
from action_runtime.files import InputFile, OutputFile
from action_runtime.function_unit import flush_logs, report
from action_runtime.serde import Encoded, encode
from action_runtime.wire.codec import encode as encode_frame
from action_runtime.wire.errors import DataflowError, PeerLost, ProtocolViolation
from action_runtime.wire.frames import KNEE_BYTES, Frame, FrameKind
from action_runtime.wire.values import WHOLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Final

    from action_runtime.data_unit.connection import Connection

_TAKEN_AT: Final = 4
"""Parts taken before the relay is told, if more are here: half of what it leaves unTAKEN."""


class DataUnit:
    """Moves data between the relay and one function. The outlet of `action_runtime.api`.

    The main thread calls `next_command`, `begin`, `bind`, `give_back`, in turn; user code the rest, from any
    thread.
    """

    def __init__(self, connection: Connection, end: Callable[[int], None]) -> None:
        """Begin, without a thread.

        Args:
            connection: Owned from here on.
            end: Ends the process with a code; called when the session is over.
        """
        self._connection = connection
        self._end = end
        self._outbox = Outbox(connection, connection.wake)
        self._commands: deque[Frame] = deque()
        self._segments: dict[int, list[int]] = {}
        self._streams: dict[int, dict[str, inbox.Stream]] = {}
        self._firing: Firing | None = None

    def start(self, outbox_bytes: int, largest_bytes: int | None = None) -> None:
        """Start the thread.

        Args:
            outbox_bytes: What callers may leave in the outbox; from WELCOME.
            largest_bytes: Of a value; from WELCOME. None: the relay did not say.
        """
        self._outbox.largest_bytes = largest_bytes
        self._outbox.bound_bytes = outbox_bytes
        threading.Thread(target=self._run, name="data-unit", daemon=True).start()

    def send(self, kind: FrameKind, meta: dict[str, Any]) -> None:
        """Send a frame of the session itself.

        Raises:
            PeerLost: The relay is gone.
        """
        with self._outbox.changed:
            self._connection.write(encode_frame(kind, meta))

    def next_command(self) -> Frame:
        """Wait for WELCOME, INIT or RUN, reading the socket on this thread; bounded by the session's life.

        Raises:
            WireError: The session is over.
        """
        connection = self._connection
        connection.listen(False)
        with connection.reading:
            while not self._commands:
                self._read(block=True)
        connection.listen(True)
        return self._commands.popleft()

    def begin(self, run: Frame) -> Firing:
        """Open the account of a RUN; calls of user code go to it from here on.

        Raises:
            ProtocolViolation: The frame is malformed.
        """
        meta = run.meta
        try:
            firing = Firing(meta["f"], meta["wants"], Holding(self._connection.wake))
        except KeyError as error:
            raise ProtocolViolation(f"a RUN frame has no {error}") from error
        firing.streams = self._streams.pop(firing.number, {})
        self._firing = firing
        return firing

    def bind(self, firing: Firing, run: Frame) -> None:
        """Make the argument of the function: `firing.arguments`.

        Raises:
            ProtocolViolation: The frame is malformed.
            TypeError: An array needs NumPy, which is not there.
            ValueError: A value is not what its head says.
        """
        firing.arguments = inbox.argument(run, self._segments.pop(firing.number, ()), firing.holding)

    def close_files(self, firing: Firing) -> None:
        """Send what is left of files that the function did not close.

        Raises:
            DataflowError: It cannot be sent.
        """
        for file in list(firing.files.values()):
            file.close()

    def give_back(self, firing: Firing, exited: bool = False) -> None:
        """Send what the function left in `firing.result`, then RETURNED, then, as soon as all has left, DRAINED.

        Large fields are written here: they leave before RETURNED does.

        Args:
            firing: The running one.
            exited: The function did not return.

        Raises:
            WireError: The session is over.
        """
        if self._connection.forgotten:
            self._end(0)
        try:
            self.close_files(firing)
            given = giving_back.prepare(firing, exited)
            self._send_outputs(firing, given)
        except (OutputRefused, OutputMisused) as error:
            given = giving_back.failed(error)
        given.let_go()
        firing.arguments = firing.result = None
        with self._outbox.changed:
            self._firing = None
            firing.closed = True
            for stream in firing.streams.values():
                stream.drop()
        flush_logs()
        # Before the relay may answer: the next RUN is then read by the main thread, without a thread switch.
        self._connection.listen(False)
        self._outbox.finish(firing, encode_frame(FrameKind.RETURNED, given.meta(firing), given.body or b""))

    def emit(self, name: str, value: Any) -> None:
        """See `action_runtime.api.emit`."""
        firing = self._running("emit")
        self._put(firing, name, "emit", encode(value))

    def open_output(self, name: str, chunk_bytes: int) -> OutputFile:
        """See `action_runtime.api.open_output`."""
        firing = self._running("open_output")
        with self._outbox.changed:
            if name in firing.counts:
                raise OutputMisused(name, "exists: open an output once, and do not emit to it as well")
            firing.counts[name] = ["chunk", 0]

        def send(part: bytes) -> None:
            self._put(firing, name, "chunk", encode(part))

        def closed(_: OutputFile) -> None:
            firing.files.pop(name, None)

        file = OutputFile(name, chunk_bytes, send, closed)
        firing.files[name] = file
        return file

    def open_input(self, name: str) -> InputFile:
        """See `action_runtime.api.open_input`."""
        firing = self._running("open_input")
        stream = firing.streams.get(name)
        if stream is not None:
            return InputFile(name, self._parts(firing, name, stream))
        if not isinstance(firing.arguments, dict) or name not in firing.arguments:
            raise InputMissing(name)
        value = firing.arguments[name]
        return InputFile(name, iter(value if isinstance(value, list) else (value,)))

    def _running(self, call: str) -> Firing:
        firing = self._firing
        if firing is None:
            raise NoActivation(call)
        return firing

    def _put(self, firing: Firing, name: str, how: str, value: Encoded) -> None:
        outbox = self._outbox
        if firing.closed:
            raise NoActivation(how)
        if how == "chunk":
            firing.keep_chunk(name, bytes(value.data))
        else:
            firing.keep(name, value)
        if name not in firing.wants:
            with outbox.changed:
                if firing.closed:
                    raise NoActivation(how)
                firing.count(name, how)
            return
        if value.head.size_bytes < KNEE_BYTES or not value.mutable:
            outbox.offer(firing, name, how, value)
            return
        item = outbox.offer(firing, name, how, value, own=True)
        if item is not None:
            with outbox.changed:
                # Bounded as `emit` is: the platform ends a container whose function outlasts its time.
                outbox.changed.wait_for(lambda: outbox.granted(item))
            outbox.fill(item)

    def _send_outputs(self, firing: Firing, given: giving_back.Return) -> None:
        """Send fields and body; several small frames leave in one system call."""
        outbox = self._outbox
        if not given.fields and given.whole is None and not given.empty:
            if firing.failure is not None:
                raise firing.failure
            return
        with outbox.changed:
            self._connection.cork()
            for name in given.empty:
                firing.counts[name] = ["spread", 0]
        items: list[Item | None] = []
        try:
            for name, how, value in given.fields:
                items.append(outbox.offer(firing, name, how, value, own=_large(value)))
            if given.whole is not None:
                items.append(outbox.offer(firing, WHOLE, "whole", given.whole, own=True))
            for item in items:
                if item is not None:
                    self._read_until_granted(item)
                    outbox.fill(item)
        finally:
            # Whatever was refused: a corked connection would keep RETURNED, an item nobody writes would keep DRAINED.
            outbox.disown(items)
            with outbox.changed:
                outbox.flush()

    def _read_until_granted(self, item: Item) -> None:
        """Take the reading role until the relay has answered; for the main thread while no user code runs."""
        connection = self._connection
        with self._outbox.changed:
            self._outbox.flush()
        connection.listen(False)
        with connection.reading:
            while not self._outbox.granted(item):
                self._read(block=True)
        connection.listen(True)

    def _parts(self, firing: Firing, name: str, stream: inbox.Stream) -> Iterator[Any]:
        changed = self._outbox.changed
        while True:
            with changed:
                changed.wait_for(lambda: stream.parts or stream.ended)
                if not stream.parts:
                    if stream.error is not None:
                        raise InputBroken(name, stream.error)
                    return
                chunk = stream.parts.popleft()
                stream.taken += 1
                if stream.taken >= _TAKEN_AT or not stream.parts:
                    meta = {"f": firing.number, "input": name, "count": stream.taken}
                    stream.taken = 0
                    self._connection.write(encode_frame(FrameKind.TAKEN, meta))
            yield inbox.part(chunk, firing.holding)

    def _run(self) -> None:
        connection, outbox = self._connection, self._outbox
        try:
            while True:
                readable, writable = connection.wait()
                if readable and connection.reading.acquire(blocking=False):
                    try:
                        self._read(block=False)
                    finally:
                        connection.reading.release()
                if writable:
                    with outbox.changed:
                        outbox.flush()
                outbox.fill_granted()
                outbox.tell_freed()
        except PeerLost:
            self._end(0)
        except DataflowError as error:
            sys.stderr.write(f"{error}\n")
            self._end(1)
        except Exception as error:  # noqa: BLE001 - the supervisor: without this thread the container is deaf
            report(error)
            self._end(1)

    def _read(self, block: bool) -> None:
        for frame in self._connection.receive(block):
            try:
                self._dispatch(frame)
            except (KeyError, IndexError, TypeError) as error:
                raise ProtocolViolation(f"a {frame.kind.name} frame is malformed: {error!r}") from error

    def _dispatch(self, frame: Frame) -> None:
        meta = frame.meta
        match frame.kind:
            case FrameKind.RUN:
                streams = {entry["name"]: inbox.Stream() for entry in meta["inputs"] if entry.get("stream")}
                self._streams[meta["f"]] = streams
                self._commands.append(frame)
            case FrameKind.SEGMENTS:
                self._segments.setdefault(meta["f"], []).extend(frame.descriptors)
            case FrameKind.GRANT:
                self._outbox.on_grant(meta["r"], frame.descriptors[0])
            case FrameKind.REFUSE:
                self._outbox.on_refuse(meta["r"], str(meta["error"]))
            case FrameKind.CHUNK | FrameKind.STREAM_END:
                self._on_stream(frame)
            case FrameKind.THROTTLE:
                with self._outbox.changed:
                    self._outbox.throttled = bool(meta["on"])
                    self._outbox.changed.notify_all()
            case FrameKind.WELCOME | FrameKind.INIT:
                self._commands.append(frame)
            case _:
                raise ProtocolViolation(f"a relay does not send {frame.kind.name}")

    def _on_stream(self, frame: Frame) -> None:
        number, name = frame.meta["f"], frame.meta["input"]
        firing = self._firing
        streams = firing.streams if firing is not None and firing.number == number else self._streams.get(number, {})
        stream = streams.get(name)
        with self._outbox.changed:
            if stream is None or stream.ended:
                inbox.close_all(frame.descriptors)  # the function has returned: late parts are nobody's
            elif frame.kind is FrameKind.CHUNK:
                stream.parts.append(frame)
            else:
                stream.error = frame.meta.get("error")
                stream.ended = True
            self._outbox.changed.notify_all()


def _large(value: Encoded) -> bool:
    return value.head.size_bytes >= KNEE_BYTES
