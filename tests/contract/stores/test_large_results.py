"""Where the embedded store keeps large results: files that share, go away, and can be missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from invoker_ext.store import StoreUnavailable
from invoker_ext.stores.sqlite import SqliteActivations
from invoker_ext.stores.sqlite.results import ASIDE_BYTES
from tests.contract.stores.test_activations import LARGE, a_record

A, B = (f"{number:032x}" for number in (1, 2))


@pytest.fixture
def store(tmp_path: Path):
    opened = SqliteActivations(tmp_path / "activations.db", fsync=True)
    yield opened
    opened.close()


def files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "results").rglob("*") if path.is_file())


def test_only_large_results_are_files(store: SqliteActivations, tmp_path: Path):
    small = b"1" * (ASIDE_BYTES - 1)
    store.put_many([a_record(1, result=small), a_record(2, result=small + b"1")])
    assert not store.keep_result(A, small)
    assert [path.name for path in files(tmp_path)] == [B]


def test_equal_results_share_their_bytes_and_outlive_each_other(store: SqliteActivations, tmp_path: Path):
    store.keep_result(A, LARGE)
    store.keep_result(B, LARGE, like=A)
    first, second = files(tmp_path)
    assert first.samefile(second)
    store.put_many([a_record(1, 1000, result=LARGE), a_record(2, 2000, result=LARGE)])
    assert store.expire(1500) == 1
    assert files(tmp_path) == [second]
    assert store.get("guest", B) == a_record(2, 2000, result=LARGE)


def test_a_result_like_one_that_is_gone_is_written(store: SqliteActivations):
    store.keep_result(B, LARGE, like=A)
    assert store.kept_result(B) == LARGE


def test_a_torn_file_of_an_execution_that_was_killed_is_replaced(store: SqliteActivations, tmp_path: Path):
    store.keep_result(A, LARGE)
    (path,) = files(tmp_path)
    path.write_bytes(LARGE[:100_000])
    store.put_many([a_record(1, result=LARGE)])
    assert store.get("guest", A) == a_record(1, result=LARGE)


def test_a_result_whose_file_was_taken_away_says_so(store: SqliteActivations, tmp_path: Path):
    store.put_many([a_record(1, result=LARGE)])
    (path,) = files(tmp_path)
    path.unlink()
    found = store.get("guest", A)
    assert found is not None
    assert found.result == b'{"error":"The result of this activation is not on the disk any more."}'


def test_a_place_that_cannot_be_written_is_unavailable(store: SqliteActivations, tmp_path: Path):
    (tmp_path / "results").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        store.keep_result(A, LARGE)
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        store.put_many([a_record(1, result=LARGE)])
    assert store.get("guest", A) is None
