"""Life of a datum in a real sink: waiting, spilling, releasing."""

from __future__ import annotations

import fcntl
import mmap
import os

import pytest

from action_runtime.wire.values import Head, Media
from invoker_ext.sink import segments, supply
from invoker_ext.sink.errors import InvalidTransition
from invoker_ext.sink.terms import Stuck
from tests.support.reserving import Asked, stored
from tests.support.waiting import until

MIB = 1 << 20


def block(letter: str, mib: int = 4) -> bytes:
    return letter.encode() * (mib * MIB)


async def test_small_values_stay_bytes_and_large_ones_become_segments(sinks):
    sink = sinks()
    small = sink.put_bytes(Head(Media.BYTES, 10), b"0123456789")
    large = sink.put_bytes(Head(Media.BYTES, 40_000), bytes(40_000))

    assert small.inline == small.read() == b"0123456789"
    assert large.inline is None
    assert large.read() == bytes(40_000)
    small.release()
    large.release()
    assert (sink.usage.inline_bytes, sink.usage.segment_bytes) == (0, 0)


async def test_the_last_release_frees_and_a_later_use_raises(sinks):
    sink = sinks()
    datum = await stored(sink, block("a", 1))
    datum.retain()
    datum.release()
    assert datum.read()[:1] == b"a"

    datum.release()

    assert sink.usage.segment_bytes == 0
    for use in (datum.retain, datum.release, datum.descriptor, datum.read):
        with pytest.raises(InvalidTransition):
            use()


async def test_a_reserve_without_room_is_granted_after_a_release(sinks):
    sink = sinks(budget_bytes=16 * MIB, spill=False, on_stuck=lambda stuck: None)
    datum = await stored(sink, block("a", 8))
    asked = Asked(sink, 8 * MIB)
    assert not asked.answered
    assert sink.stuck() is not None

    datum.release()

    assert (await asked.granted()).size_bytes == 8 * MIB


async def test_a_reserve_above_the_budget_is_refused_at_once(sinks):
    asked = Asked(sinks(), 100 * MIB)

    assert "can never fit" in (asked.reason or "")


async def test_a_cancelled_reserve_is_never_answered(sinks):
    sink = sinks(budget_bytes=16 * MIB, spill=False, on_stuck=lambda stuck: None)
    datum = await stored(sink, block("a", 8))
    waiting, allocating = Asked(sink, 8 * MIB), Asked(sink, 100_000_000)
    waiting.ticket.cancel()
    allocating.ticket.cancel()

    datum.release()

    assert not waiting.answered
    assert sink.usage.waiting == 0


async def test_a_reserve_that_is_cancelled_while_its_memory_is_made_frees_it(sinks):
    sink = sinks()
    asked = Asked(sink, 8 * MIB)
    asked.ticket.cancel()

    await stored(sink, block("b", 1))  # comes behind it in the same thread

    assert not asked.answered
    assert sink.usage.segments == 1


async def test_without_anybody_to_ask_the_youngest_waiting_request_is_refused_when_stuck(sinks):
    sink = sinks(budget_bytes=16 * MIB, spill=False)
    await stored(sink, block("a", 8))
    asked = Asked(sink, 8 * MIB)

    assert "spilling is switched off" in (asked.reason or "")


async def test_who_is_told_of_a_wait_without_end_can_end_it_for_one_run(sinks):
    told: list[Stuck] = []
    sink = sinks(budget_bytes=16 * MIB, spill=False, on_stuck=told.append)
    await stored(sink, block("a", 8))
    first, second = Asked(sink, 8 * MIB, "guest/one"), Asked(sink, 8 * MIB, "guest/two")
    assert told[-1].owners == ("guest/one", "guest/two")

    assert sink.refuse_waiting("guest/two", "the run was failed") == 1

    assert (first.answered, second.reason) == (False, "the run was failed")


async def test_cold_data_spill_and_read_back_equal(sinks, tmp_path):
    sink = sinks(budget_bytes=16 * MIB)
    data = [await stored(sink, block(letter)) for letter in "abcdefgh"]

    assert sink.usage.spilled_bytes > 0
    assert sink.usage.segment_bytes <= 16 * MIB
    for letter, datum in zip("abcdefgh", data, strict=True):
        assert datum.read() == block(letter)
    assert list((tmp_path / "spill").iterdir()) == []
    for datum in data:
        datum.release()
    assert sink.usage.spilled_bytes == 0


async def test_a_file_that_a_kill_left_before_it_lost_its_name_is_removed(sinks, tmp_path):
    folder = tmp_path / "spill"
    folder.mkdir()
    (folder / "spill-1-2").touch()
    (folder / "of another").touch()

    sinks()

    assert [path.name for path in folder.iterdir()] == ["of another"]


async def test_a_spilled_datum_maps_like_a_segment(sinks):
    sink = sinks(budget_bytes=16 * MIB)
    data = [await stored(sink, block(letter)) for letter in "abcd"]
    await until(lambda: sink.usage.spilled_bytes > 0)
    sink.pin(data[0])

    with mmap.mmap(data[0].descriptor(), 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ) as view:
        assert view[:] == block("a")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pwrite(data[0].descriptor(), b"x", 0)
    sink.unpin(data[0])


async def test_a_pinned_datum_stays_in_its_segment(sinks):
    sink = sinks(budget_bytes=16 * MIB)
    first = await stored(sink, block("a"))
    sink.pin(first)
    descriptor = first.descriptor()
    for letter in "bcdef":
        await stored(sink, block(letter))

    assert first.descriptor() == descriptor
    assert "memfd" in os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - not a real file
    sink.unpin(first)


async def test_a_spill_folder_that_fails_is_told_and_nothing_is_lost(sinks, tmp_path):
    told: list[Stuck] = []
    sink = sinks(budget_bytes=16 * MIB, on_stuck=told.append)
    (tmp_path / "spill").rmdir()
    data = [await stored(sink, block(letter)) for letter in "abc"]
    asked = Asked(sink, 4 * MIB)

    await until(lambda: told, message="the sink to tell that it is stuck")

    assert "free some space there or name another directory" in told[0].reason
    assert str(tmp_path) not in told[0].reason
    assert [datum.read()[:1] for datum in data] == [b"a", b"b", b"c"]
    data[0].release()
    await asked.granted()


async def test_spares_serve_the_next_value_of_about_the_size(sinks):
    sink = sinks(spare_bytes=16 * MIB)
    (await stored(sink, block("a"))).release()
    await until(lambda: sink.spare_bytes == 4 * MIB, message="a spare")

    asked = Asked(sink, 4 * MIB - 100_000)

    assert asked.segment is not None
    assert os.fstat(asked.segment.descriptor).st_size == 4 * MIB - 100_000
    await until(lambda: sink.spare_bytes == 4 * MIB, message="the spare's successor")


async def test_spares_serve_bytes_of_our_own_too(sinks):
    sink = sinks(spare_bytes=16 * MIB)
    (await stored(sink, block("a"))).release()
    await until(lambda: sink.spare_bytes == 4 * MIB, message="a spare")

    data = block("b")[:-5000]
    datum = sink.put_bytes(Head(Media.BYTES, len(data)), data)

    assert sink.spare_bytes == 0
    assert datum.read() == data
    assert os.fstat(datum.descriptor()).st_size == len(data)
    assert fcntl.fcntl(datum.descriptor(), fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE
    await until(lambda: sink.spare_bytes == 4 * MIB, message="the spare's successor")


async def test_spares_give_way_to_data(sinks):
    sink = sinks(budget_bytes=16 * MIB, spare_bytes=16 * MIB, spill=False)
    (await stored(sink, block("a"))).release()
    await until(lambda: sink.spare_bytes == 4 * MIB, message="a spare")

    await stored(sink, block("b", 13))

    assert sink.spare_bytes == 0


async def test_closing_frees_what_is_waited_for_written_referenced_and_spilled(sinks):
    sink = sinks(budget_bytes=16 * MIB, on_stuck=lambda stuck: None, spare_bytes=8 * MIB)
    data = [await stored(sink, block(letter)) for letter in "abcdef"]
    await Asked(sink, 100).granted()
    Asked(sink, 3 * MIB)
    sink.pin(data[5])

    sink.close()
    sink.close()

    data[0].release()
    sink.unpin(data[5])


async def test_room_that_the_invoker_writes_itself_does_not_wait_for_its_pages(sinks, monkeypatch):
    monkeypatch.setattr(supply, "SOON_BYTES", MIB)
    sink = sinks()
    data = block("a")
    segment = Asked(sink, len(data), pages_later=True).segment

    assert segment is not None
    assert os.fstat(segment.descriptor).st_size == len(data)
    assert os.fstat(segment.descriptor).st_blocks == 0
    assert sink.usage.reserved_bytes == len(data)
    segments.write_all(segment.descriptor, data)
    datum = sink.commit(segment, Head(Media.BYTES, len(data)))
    assert datum.read() == data


async def test_a_large_spare_is_made_once_nobody_has_asked_for_a_while(sinks, monkeypatch):
    monkeypatch.setattr(supply, "SOON_BYTES", MIB)
    monkeypatch.setattr(supply, "_CALM_S", 3600)
    sink = sinks(spare_bytes=16 * MIB)
    (await stored(sink, block("a"))).release()
    monkeypatch.setattr(supply, "_CALM_S", 0)
    assert sink.spare_bytes == 0

    (await stored(sink, block("b"))).release()

    await until(lambda: sink.spare_bytes == 4 * MIB, message="a spare")
    assert Asked(sink, 4 * MIB).segment is not None
    assert sink.spare_bytes == 0
