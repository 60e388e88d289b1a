"""Where the embedded store keeps large results: packs that are shared, go away, and can be missed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from invoker_ext.store import StoreUnavailable
from invoker_ext.stores.sqlite import SqliteActivations, packs
from invoker_ext.stores.sqlite.packs import LOST, PACKED_BYTES
from tests.contract.stores.test_activations import LARGE, a_record

A, B = (f"{number:032x}" for number in (1, 2))
EVER_MS = 1 << 45


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[[], SqliteActivations]]:
    opened: list[SqliteActivations] = []

    def factory() -> SqliteActivations:
        opened.append(SqliteActivations(tmp_path / "activations.db", fsync=True))
        return opened[-1]

    yield factory
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], SqliteActivations]) -> SqliteActivations:
    return open_store()


def files(folder: Path) -> list[Path]:
    return sorted((folder / "results").iterdir())


def test_only_large_results_are_packed(store: SqliteActivations, tmp_path: Path):
    small = b"1" * (PACKED_BYTES - 1)
    assert store.keep_result(small) is None
    store.put_many([a_record(1, result=small), a_record(2, result=small + b"1")])
    assert [path.stat().st_size for path in files(tmp_path)] == [PACKED_BYTES]


def test_what_was_kept_ahead_is_not_written_again(store: SqliteActivations, tmp_path: Path):
    place = store.keep_result(LARGE)
    records = [a_record(number, result=LARGE, place=place) for number in (1, 2)]
    store.put_many(records)
    assert [path.stat().st_size for path in files(tmp_path)] == [len(LARGE)]
    assert [store.get("guest", name) for name in (A, B)] == [replace(record, place=None) for record in records]


def test_a_result_in_memory_is_copied_without_being_read(store: SqliteActivations):
    descriptor = os.memfd_create("result")
    os.write(descriptor, LARGE + b"and more")
    places = [store.keep_result(LARGE), store.keep_datum(descriptor, len(LARGE)), store.keep_result(LARGE)]
    assert [store.kept_result(place) for place in places if place] == [LARGE] * 3
    assert store.keep_datum(descriptor, PACKED_BYTES - 1) is None
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        store.keep_datum(descriptor, len(LARGE) + 100)
    os.close(descriptor)


def test_a_pack_goes_with_the_last_of_its_records(
    store: SqliteActivations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(packs, "PACK_BYTES", 2 * len(LARGE))
    store.put_many([a_record(number, 1000 * number, result=LARGE) for number in (1, 2, 3)])
    assert len(files(tmp_path)) == 2
    for path in files(tmp_path):
        os.utime(path, (0, 0))
    assert store.expire(1500, None, 10) == 1
    store.reclaim(1500)
    assert len(files(tmp_path)) == 2
    assert store.expire(2500, None, 10) == 1
    store.reclaim(2500)
    assert len(files(tmp_path)) == 1
    assert store.get("guest", f"{3:032x}") == a_record(3, 3000, result=LARGE)


def test_a_pack_whose_records_may_still_come_stays(store: SqliteActivations, tmp_path: Path):
    store.keep_result(LARGE)
    store.reclaim(1_000_000)
    assert len(files(tmp_path)) == 1
    store.reclaim(EVER_MS)
    assert files(tmp_path) == []
    place = store.keep_result(LARGE)
    assert place is not None
    assert store.kept_result(place) == LARGE


def test_processes_write_packs_of_their_own_and_read_all(open_store: Callable[[], SqliteActivations], tmp_path: Path):
    here, there = open_store(), open_store()
    places = [one.keep_result(LARGE) for one in (here, there, here)]
    assert len(files(tmp_path)) == 2
    assert [there.kept_result(place) for place in places if place is not None] == [LARGE] * 3


@pytest.mark.parametrize("left", [0, 100_000, None])
def test_a_result_that_was_torn_or_taken_away_says_so(store: SqliteActivations, tmp_path: Path, left: int | None):
    store.put_many([a_record(1, result=LARGE)])
    (path,) = files(tmp_path)
    if left is None:
        path.unlink()
    else:
        os.truncate(path, left)
    assert store.get("guest", A) == a_record(1, result=LOST)


def test_a_full_disk_keeps_nothing_and_the_next_result_begins_anew(
    store: SqliteActivations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first = store.keep_result(LARGE)

    def full(descriptor: int, content: memoryview) -> int:
        if len(content) < 1000:
            raise OSError(28, "No space left on device")
        return write(descriptor, content[:-999])

    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(StoreUnavailable, match="is full: free space"):
            store.keep_result(LARGE)
    assert [path.stat().st_size for path in files(tmp_path)] == [len(LARGE)]
    second = store.keep_result(LARGE)
    assert [store.kept_result(place) for place in (first, second) if place] == [LARGE, LARGE]


def test_a_place_that_cannot_be_written_is_unavailable(store: SqliteActivations, tmp_path: Path):
    (tmp_path / "results").write_bytes(b"")
    for attempt in (lambda: store.keep_result(LARGE), lambda: store.put_many([a_record(1, result=LARGE)])):
        with pytest.raises(StoreUnavailable, match="cannot be used"):
            attempt()
    assert store.get("guest", A) is None
