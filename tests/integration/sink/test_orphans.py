"""Data that nobody let go of: freed after their time, never those of a live run, never what a container maps."""

import asyncio
import logging

import pytest

from action_runtime.wire.values import Head, Media
from invoker_ext.sink.errors import InvalidTransition, SegmentExpired
from invoker_ext.sink.sweeper import Sweeper
from tests.support.reserving import Asked, stored
from tests.support.waiting import until

MIB = 1 << 20


def small(sink, owner: str):
    return sink.put_bytes(Head(Media.BYTES, 10), b"0123456789", owner)


def nothing_left(sink) -> bool:
    usage = sink.usage
    return not (usage.inline_bytes or usage.segment_bytes or usage.spilled_bytes or usage.segments)


async def test_a_leaked_datum_goes_with_a_warning_and_that_of_a_live_run_stays(sinks, caplog):
    sink = sinks()
    live = [small(sink, "guest/live"), await stored(sink, bytes(MIB), "guest/live")]
    small(sink, "guest/ended")
    await stored(sink, bytes(MIB), "guest/ended")
    sweeper = Sweeper(sink, {"live"}.__contains__, 0.2, asyncio.get_running_loop())

    with caplog.at_level(logging.WARNING):
        sweeper.start()
        assert set(sink.unmapped()) == {"guest/live", "guest/ended"}
        await until(lambda: set(sink.unmapped()) == {"guest/live"})
    sweeper.stop()

    [warning] = [record for record in caplog.records if record.name.endswith("sweeper")]
    fields = warning.__dict__
    assert (fields["owner"], fields["bytes"]) == ("guest/ended", MIB + 10 + 256)
    assert [len(datum.read()) for datum in live] == [10, MIB]
    for datum in live:
        datum.release()
    assert nothing_left(sink)


async def test_references_to_what_expired_are_dead_and_can_be_released(sinks):
    sink = sinks()
    data = [small(sink, "guest/ended"), await stored(sink, bytes(MIB), "guest/ended")]

    sink.expire("guest/ended")

    assert nothing_left(sink)
    for use in (data[1].retain, data[1].descriptor, data[1].read):
        with pytest.raises(InvalidTransition, match="time was over"):
            use()
    for datum in data:
        datum.release()
    assert nothing_left(sink)


async def test_what_a_container_maps_does_not_expire_before_it_lets_go(sinks):
    sink = sinks()
    datum = await stored(sink, bytes(MIB), "guest/ended")
    sink.pin(datum)

    sink.expire("guest/ended")
    assert sink.unmapped() == {}
    assert len(datum.read()) == MIB

    sink.unpin(datum)
    sink.expire("guest/ended")
    assert nothing_left(sink)


async def test_a_spilled_datum_expires_with_its_file(sinks):
    sink = sinks(budget_bytes=16 * MIB)
    await stored(sink, bytes(14 * MIB), "guest/ended")
    await until(lambda: sink.usage.spilled_bytes)

    sink.expire("guest/ended")

    assert nothing_left(sink)


async def test_a_datum_may_expire_while_it_is_being_spilled(sinks):
    sink = sinks(budget_bytes=16 * MIB)
    await stored(sink, bytes(14 * MIB), "guest/ended")

    sink.expire("guest/ended")

    assert nothing_left(sink)


async def test_a_segment_that_is_never_written_expires_and_can_not_be_committed_later(sinks):
    sink = sinks()
    segment = await Asked(sink, MIB, "guest/ended").granted()

    sink.expire("guest/ended")

    assert nothing_left(sink)
    with pytest.raises(SegmentExpired, match="long after its run had ended"):
        sink.commit(segment, Head(Media.BYTES, MIB))
    sink.give_back(segment)


async def test_a_request_of_a_run_that_is_no_more_is_refused(sinks):
    sink = sinks(budget_bytes=16 * MIB, spill=False, on_stuck=lambda stuck: None)
    datum = await stored(sink, bytes(12 * MIB), "guest/live")
    asked = Asked(sink, 8 * MIB, "guest/ended")

    sink.expire("guest/ended")

    assert asked.reason is not None
    assert "has ended" in asked.reason
    datum.release()
    assert nothing_left(sink)
