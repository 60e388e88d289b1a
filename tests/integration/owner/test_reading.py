"""Data that a thread reads stay where they are."""

from __future__ import annotations

import asyncio
import threading

import pytest

from action_runtime.wire.values import Head, Media
from invoker_ext.owner import alone
from invoker_ext.owner.reading import read_in_thread
from invoker_ext.sink.reserve import SinkSettings
from invoker_ext.sink.sink import Sink
from invoker_ext.sink.terms import Limits

MIB = 1 << 20


@pytest.fixture
async def sink(no_leaks, tmp_path):
    limits = Limits(budget_bytes=2 * MIB, segments=10, spill_bytes=64 * MIB)
    made = Sink(SinkSettings(limits=limits, spare_bytes=0, spill_folder=tmp_path), asyncio.get_running_loop())
    yield made
    made.close()


async def test_data_do_not_spill_while_a_thread_reads_them_and_may_afterwards(sink):
    datum = sink.put_bytes(Head(Media.BYTES, MIB), bytes(MIB), "a/1")
    before, go_on = datum.descriptor(), threading.Event()

    def work(copies):
        assert go_on.wait(10)
        return datum.read()

    reading = asyncio.create_task(read_in_thread(sink, [datum], work, alone.copy))
    other = sink.put_bytes(Head(Media.BYTES, MIB), bytes(MIB), "a/2")  # above the high-water mark
    assert "a/1" not in sink.unmapped()
    assert datum.descriptor() == before
    go_on.set()

    assert await reading == bytes(MIB)
    assert sink.unmapped()["a/1"] == MIB
    datum.release()
    other.release()


async def test_data_are_let_go_of_when_the_work_fails(sink):
    datum = sink.put_bytes(Head(Media.BYTES, MIB), bytes(MIB), "a/1")

    def work(copies):
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        await read_in_thread(sink, [datum], work, alone.copy)

    assert sink.unmapped()["a/1"] == MIB
    datum.release()
