"""Reserving and writing segments as a container would."""

from __future__ import annotations

import os

from action_runtime.wire.values import Head, Media
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.reserve import Segment, Ticket
from invoker_ext.sink.sink import Sink
from tests.support.waiting import until


class Asked:
    """One reserve and what came of it."""

    def __init__(self, sink: Sink, size_bytes: int, owner: str = "guest/run", *, pages_later: bool = False) -> None:
        self.sink = sink
        self.segment: Segment | None = None
        self.reason: str | None = None
        self.ticket: Ticket = sink.reserve(size_bytes, owner, self._granted, self._refused, pages_later=pages_later)

    @property
    def answered(self) -> bool:
        return self.segment is not None or self.reason is not None

    async def granted(self) -> Segment:
        await until(lambda: self.answered, message="a grant")
        assert self.segment is not None, self.reason
        return self.segment

    def _granted(self, segment: Segment) -> None:
        assert not self.answered
        self.segment = segment

    def _refused(self, reason: str) -> None:
        assert not self.answered
        self.reason = reason


async def stored(sink: Sink, data: bytes, owner: str = "guest/run") -> Stored:
    """Take `data` through reserve, write and commit."""
    segment = await Asked(sink, len(data), owner).granted()
    assert os.pwrite(segment.descriptor, data, 0) == len(data)
    return sink.commit(segment, Head(Media.BYTES, len(data)))
