"""Work of a thread on data of the sink."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from invoker_ext.owner.host import Sink
from invoker_ext.sink.datum import Stored

_T = TypeVar("_T")


def read_in_thread(sink: Sink, data: Sequence[Stored], work: Callable[[], _T]) -> Coroutine[Any, Any, _T]:
    """Pin data at once, and return what calls `work` in a thread and then lets go of them.

    Pinned data do not spill: a spill closes the descriptor that the thread reads from.

    Args:
        sink: That holds them.
        data: All that `work` reads.
        work: Called once, in a thread.
    """
    for datum in data:
        sink.pin(datum)
    return _read(sink, data, work)


async def _read(sink: Sink, data: Sequence[Stored], work: Callable[[], _T]) -> _T:
    try:
        return await asyncio.to_thread(work)
    finally:
        for datum in data:
            sink.unpin(datum)
