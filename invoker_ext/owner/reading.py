"""Work of a thread on data of the sink, and on data that must be pulled into it first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from invoker_ext.owner.host import Copy, Sink
from invoker_ext.sink.datum import Stored

_T = TypeVar("_T")
Copies = Mapping[int, Stored]
"""Id of a datum of another host → its copy here."""


def read_in_thread(
    sink: Sink, data: Sequence[Stored], work: Callable[[Copies], _T], copy: Copy
) -> Coroutine[Any, Any, _T]:
    """Pin data at once, and return what calls `work` in a thread and then lets go of them.

    Pinned data do not spill: a spill closes the descriptor that the thread reads from.

    Args:
        sink: That holds them.
        data: All that `work` reads.
        work: Called once, in a thread, with copies of what other hosts hold.
        copy: Pulls such a datum; what it raises, the coroutine raises.
    """
    for datum in data:
        sink.pin(datum)
    return _read(sink, data, work, copy)


async def _read(sink: Sink, data: Sequence[Stored], work: Callable[[Copies], _T], copy: Copy) -> _T:
    copies: dict[int, Stored] = {}
    try:
        for datum in data:
            if datum.elsewhere and id(datum) not in copies:
                copies[id(datum)] = here = await copy(datum)
                sink.pin(here)
        return await asyncio.to_thread(work, copies)
    finally:
        for here in copies.values():
            sink.unpin(here)
            here.release()
        for datum in data:
            sink.unpin(datum)
