"""The account of one activation: what it was given, what it produced, what has not left yet, what it still maps."""

from __future__ import annotations

import mmap
import os
import weakref

from action_runtime.errors import OutputMisused
from action_runtime.serde import encode, json_text
from action_runtime.wire.values import WHOLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Final

    from action_runtime.data_unit.inbox import Stream
    from action_runtime.files import OutputFile
    from action_runtime.serde import Encoded

_MAPS: Final = 256
"""Maps alive at once in one activation; each costs one of the stock 1,024 descriptors. Beyond, bytes are copied."""


class Segment(mmap.mmap):
    """A read-only map of a sealed segment: nobody can change what it shows."""

    sealed = True


class Holding:
    """The maps of one activation that user code can still reach. Nothing polls: the last reference reports itself."""

    def __init__(self, freed: Callable[[], None]) -> None:
        """Start empty.

        Args:
            freed: Called, from whatever thread let go, once `told_bytes` was set and less is held.
        """
        self._live: dict[int, tuple[weakref.ref[Segment], int]] = {}
        self._number = 0
        self._freed = freed
        self.told_bytes = 0
        """What the relay was last told is held."""

    @property
    def held_bytes(self) -> int:
        """Bytes mapped now."""
        return sum(size for _, size in list(self._live.values()))

    def lay(self, descriptor: int, offset: int, size_bytes: int) -> memoryview:
        """Return the bytes of a segment, mapped read-only; the descriptor stays the caller's.

        Raises:
            OSError: The descriptor is no segment of that size.
        """
        if not size_bytes:
            return memoryview(b"")
        if len(self._live) >= _MAPS:
            return memoryview(os.pread(descriptor, size_bytes, offset))
        skipped = offset % mmap.ALLOCATIONGRANULARITY
        segment = Segment(
            descriptor,
            size_bytes + skipped,
            flags=mmap.MAP_SHARED,
            prot=mmap.PROT_READ,
            offset=offset - skipped,
        )
        self._number += 1
        number = self._number

        def gone(_: weakref.ref[Segment]) -> None:
            self._live.pop(number, None)
            if self.told_bytes:
                self._freed()

        self._live[number] = (weakref.ref(segment, gone), size_bytes)
        return memoryview(segment)[skipped:]


class Firing:
    """One activation. Its counters are guarded by the outbox's lock."""

    def __init__(self, number: int, wants: Mapping[str, str], holding: Holding) -> None:
        """Begin.

        Args:
            number: The relay's.
            wants: Output → `value` or `items`.
            holding: Of its inputs.
        """
        self.number = number
        self.wants = wants
        self.holding = holding
        self.counts: dict[str, list[Any]] = {}
        """Output → [how, number of items]: what RETURNED reports."""
        self.pending = 0
        """Items that wait in a lane of the outbox."""
        self.closed = False
        """The function is over: nothing more is taken."""
        self.returned = False
        """RETURNED has been sent."""
        self.failure: Exception | None = None
        """An item that could not leave after `emit` had returned."""
        self.arguments: Any = None
        self.result: Any = None
        self.streams: dict[str, Stream] = {}
        self.files: dict[str, OutputFile] = {}
        self._kept: dict[str, list[str] | bytearray] | None = {} if WHOLE in wants else None

    def count(self, output: str, how: str) -> int:
        """Return the index of the next item of an output.

        Raises:
            OutputMisused: Items of that output are made in another way.
        """
        entry = self.counts.get(output)
        if entry is None:
            self.counts[output] = [how, 1]
            return 0
        if entry[0] != how:
            words = {"emit": "was emitted", "chunk": "was opened as a file"}
            raise OutputMisused(output, f"{words.get(entry[0], 'exists')} before: use one way only")
        index: int = entry[1]
        entry[1] = index + 1
        return index

    def keep(self, output: str, value: Encoded) -> None:
        """Keep an emitted value for the whole result object, if somebody wants that."""
        if self._kept is not None:
            texts = self._kept.setdefault(output, [])
            if isinstance(texts, list):
                texts.append(json_text(value))

    def keep_chunk(self, output: str, part: bytes) -> None:
        """Keep a part of a written file for the whole result object, if somebody wants that."""
        if self._kept is not None:
            content = self._kept.setdefault(output, bytearray())
            if isinstance(content, bytearray):
                content += part

    def kept(self) -> dict[str, list[str]]:
        """Return the JSON texts of what was kept, by output."""
        return {
            output: texts if isinstance(texts, list) else [json_text(encode(bytes(texts)))]
            for output, texts in (self._kept or {}).items()
        }
