"""What containers print: cut into lines, stamped at arrival, bounded, and attributed to the firing that printed it.

In a session the runtime flushes both streams before it says that a function returned, so whatever is in the pipes then
belongs to that firing: no sentinels, no waiting. What comes later counts to the next one.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Final

SENTINEL: Final = b"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
STREAMS: Final = ("stdout", "stderr")
_LINE_BYTES: Final = 16 * 1024
"""A longer line is cut into several, as Docker's json-file driver does."""
_READ_BYTES: Final = 64 * 1024
"""Capacity of a pipe: more than this cannot have been written before the function returned."""
_MANY_BYTES: Final = 64 * 1024
"""Of lines: what is above is put together after the result has left; 64 KiB of short ones take 5 ms."""
_EARLY_BYTES: Final = 16 * 1024
"""Kept of what a container prints before any job: why it does not come up."""
_TIME_COLUMNS: Final = 30


class Lines:
    """Both streams of one container, as lines of the current firing. Pure."""

    def __init__(self) -> None:
        self.sentinelled = False
        """A stock runtime: look for sentinels also in what is discarded."""
        self.limit_bytes = _EARLY_BYTES
        """Of all lines of one firing with their line ends; the rest is discarded. 0: nothing is kept."""
        self.sentinels = 0
        """Lines seen since the last `take` that end an activation of a stock runtime."""
        self._kept: list[tuple[int, int, bytes]] = []
        self._bytes = 0
        self._partial = [b"", b""]
        self._cut_at: int | None = None

    @property
    def are_many(self) -> bool:
        """It takes a while to put them together."""
        return self._bytes > _MANY_BYTES

    def feed(self, stream: int, data: bytes, at_ns: int) -> None:
        """Take what one read returned.

        Args:
            stream: Index into STREAMS.
            data: Any split of the stream.
            at_ns: When it arrived, nanoseconds since the epoch.
        """
        if self._cut_at is not None and not self.sentinelled:
            self._partial[stream] = b""
            return
        whole = self._partial[stream] + data
        lines = whole.split(b"\n")
        rest = lines.pop()
        for line in lines:
            self._add(stream, line, at_ns)
        while len(rest) >= _LINE_BYTES:
            self._add(stream, rest[:_LINE_BYTES], at_ns)
            rest = rest[_LINE_BYTES:]
        self._partial[stream] = rest

    def take(self, at_ns: int) -> tuple[list[str], bool]:
        """Return all lines since the last call, also unfinished ones, and whether some were discarded."""
        for stream in (0, 1):
            if self._partial[stream]:
                self._add(stream, self._partial[stream], at_ns)
                self._partial[stream] = b""
        # Functions that run side by side may have ended together: each takes its own pair.
        self.sentinels = max(0, self.sentinels - len(STREAMS))
        if not self._kept and self._cut_at is None:
            return [], False
        kept, cut_at = self._kept, self._cut_at
        self._kept, self._cut_at, self._bytes = [], None, 0
        lines = [format_line(at, STREAMS[stream], text.decode(errors="replace")) for at, stream, text in kept]
        if cut_at is not None:
            text = f"Logs were truncated because the total bytes size exceeds the limit of {self.limit_bytes} bytes."
            lines.append(format_line(cut_at, "stderr", text))
        return lines, cut_at is not None

    def _add(self, stream: int, line: bytes, at_ns: int) -> None:
        if SENTINEL in line:
            self.sentinels += 1
            return
        if not self.limit_bytes or self._cut_at is not None:
            return
        for start in range(0, max(1, len(line)), _LINE_BYTES):
            part = line[start : start + _LINE_BYTES]
            self._bytes += len(part) + 1
            if self._bytes > self.limit_bytes:
                self._cut_at = at_ns
                return
            self._kept.append((at_ns, stream, part))


def format_line(at_ns: int, stream: str, text: str) -> str:
    """Return a line of an activation's log, as stock writes it: time in 30 columns, stream, text.

    Source: Apache OpenWhisk, `LogLine`.
    """
    seconds, rest = divmod(at_ns, 1_000_000_000)
    stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"
    return f"{stamp:<{_TIME_COLUMNS}} {stream}: {text}"


class Pipes:
    """Reads both streams of a container on the loop; never blocks, never stops reading.

    Args:
        loop: The invoker's.
        descriptors: Non-blocking read ends of stdout and stderr; owned from here on.
        clock_ns: Nanoseconds since the epoch.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        descriptors: tuple[int, int],
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.lines = Lines()
        self.on_sentinel: Callable[[], None] | None = None
        """Called when one may have come, but not by `collect`; set by who looks for them."""
        self._loop = loop
        self._open: dict[int, int] = {}
        self._clock_ns = clock_ns
        for stream, descriptor in enumerate(descriptors):
            self._open[descriptor] = stream
            loop.add_reader(descriptor, self._read, descriptor)

    def collect(self) -> tuple[list[str], bool]:
        """Read what is in the pipes and return it with all that came since the last call."""
        self.look()
        return self.lines.take(self._clock_ns())

    def look(self) -> None:
        """Read what is in the pipes."""
        for descriptor in tuple(self._open):
            self._take_in(descriptor)  # one read takes all that a pipe can hold

    def close(self) -> None:
        """Stop reading. Idempotent."""
        for descriptor in tuple(self._open):
            self._shut(descriptor)

    def _read(self, descriptor: int) -> None:
        self._take_in(descriptor)
        if self.on_sentinel is not None and self.lines.sentinels:
            self.on_sentinel()

    def _take_in(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        if data:
            self.lines.feed(self._open[descriptor], data, self._clock_ns())
        else:
            self._shut(descriptor)

    def _shut(self, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        os.close(descriptor)
        del self._open[descriptor]
