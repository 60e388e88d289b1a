"""What the kernel holds for us: nobody can change a datum once it is committed."""

from __future__ import annotations

import fcntl
import mmap
import os

import pytest

from action_runtime.wire.values import Head, Media
from invoker_ext.sink.errors import SegmentBusy, SegmentMismatch
from tests.support.reserving import Asked, stored

SIZE = 20_000
DATA = bytes(range(250)) * 80


async def test_a_granted_segment_can_neither_grow_nor_shrink(sinks):
    segment = await Asked(sinks(), SIZE).granted()

    assert os.fstat(segment.descriptor).st_size == SIZE
    for size in (SIZE + 1, SIZE - 1):
        with pytest.raises(PermissionError):
            os.ftruncate(segment.descriptor, size)


async def test_a_committed_datum_reads_back_and_its_descriptor_cannot_write(sinks):
    datum = await stored(sinks(), DATA)

    assert datum.read() == DATA
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pwrite(datum.descriptor(), b"x", 0)


async def test_a_committed_datum_cannot_be_written_by_reopening_its_descriptor(sinks):
    datum = await stored(sinks(), DATA)
    again = os.open(f"/proc/self/fd/{datum.descriptor()}", os.O_RDWR | os.O_CLOEXEC)
    try:
        with pytest.raises(PermissionError):
            os.pwrite(again, b"x", 0)
        with pytest.raises(PermissionError):
            mmap.mmap(again, SIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        with pytest.raises(PermissionError):
            os.ftruncate(again, 0)
        with pytest.raises(PermissionError):
            fcntl.fcntl(again, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    finally:
        os.close(again)
    assert datum.read() == DATA


async def test_a_descriptor_kept_by_the_writer_cannot_write_any_more(sinks):
    sink = sinks()
    segment = await Asked(sink, SIZE).granted()
    kept = os.dup(segment.descriptor)
    try:
        sink.commit(segment, Head(Media.BYTES, SIZE))
        with pytest.raises(PermissionError):
            os.pwrite(kept, b"x", 0)
    finally:
        os.close(kept)


async def test_a_segment_that_is_still_mapped_for_writing_is_not_taken(sinks):
    sink = sinks()
    segment = await Asked(sink, SIZE).granted()
    with mmap.mmap(segment.descriptor, SIZE), pytest.raises(SegmentBusy, match="still mapped for writing"):
        sink.commit(segment, Head(Media.BYTES, SIZE))

    assert sink.usage.segment_bytes == 0


async def test_a_value_larger_than_its_segment_is_not_taken(sinks):
    sink = sinks()
    segment = await Asked(sink, SIZE).granted()

    with pytest.raises(SegmentMismatch):
        sink.commit(segment, Head(Media.BYTES, SIZE + 1))

    assert sink.usage.segment_bytes == 0


async def test_fifty_readers_of_a_datum_share_its_pages(sinks):
    datum = await stored(sinks(), DATA * 50)
    blocks = os.fstat(datum.descriptor()).st_blocks
    maps = []
    for _ in range(50):
        reader = os.dup(datum.descriptor())
        maps.append(mmap.mmap(reader, datum.size_bytes, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ))
        os.close(reader)

    assert all(one[: len(DATA)] == DATA for one in maps)
    assert os.fstat(datum.descriptor()).st_blocks == blocks
    for one in maps:
        one.close()
