from __future__ import annotations

import asyncio
import logging
from itertools import count

import pytest

from controller_ext.balancer.upkeep import keep_up


async def test_what_ends_by_a_bug_is_told_of_and_begins_again(caplog: pytest.LogCaptureFixture):
    begun, again = count(1), asyncio.Event()

    async def work() -> None:
        number = next(begun)
        if number == 1:
            raise ValueError("a bug")
        if number == 2:
            return
        again.set()
        await asyncio.Event().wait()

    with caplog.at_level(logging.ERROR):
        task = keep_up("sweeper", work, first_pause_s=0.0)
        await asyncio.wait_for(again.wait(), 5)

    assert [(one.getMessage(), one.__dict__["task"]) for one in caplog.records] == [
        ("task ended by a bug", "sweeper"),
        ("task ended by itself", "sweeper"),
    ]
    assert caplog.records[0].exc_info is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_pause_grows_and_is_bounded(monkeypatch: pytest.MonkeyPatch):
    pauses: list[float] = []
    enough = asyncio.Event()

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 9:
            enough.set()
            await asyncio.Event().wait()

    async def work() -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("controller_ext.balancer.upkeep.asyncio.sleep", sleep)
    task = keep_up("ticker", work)
    await asyncio.wait_for(enough.wait(), 5)
    task.cancel()

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
