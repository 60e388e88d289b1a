"""Lives of an invoker: each is greater than those before, whatever was lost in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from invoker_ext.lending.lives import next_life
from invoker_ext.store import RevisionConflict, StoreUnavailable
from invoker_ext.stores.sqlite import SqliteEntities


@pytest.fixture
def store(tmp_path: Path):
    opened = SqliteEntities(tmp_path / "entities.db")
    yield opened
    opened.close()


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_each_life_is_greater_than_the_one_before_though_the_clock_is_set_back(tmp_path: Path, store):
    here = folder(tmp_path / "a")

    lives = [next_life(here, 3, store, now_ms) for now_ms in (2_000_000, 1_000_000, 0)]

    assert lives == sorted(set(lives))


def test_a_new_data_directory_begins_above_all_that_an_earlier_one_counted(tmp_path: Path, store):
    first = folder(tmp_path / "a")
    lives = [next_life(first, 3, store, 0) for _ in range(5)]

    assert next_life(folder(tmp_path / "b"), 3, store, 0) > lives[-1]


def test_a_directory_that_was_counted_needs_no_store(tmp_path: Path, store, monkeypatch):
    here = folder(tmp_path / "a")
    before = next_life(here, 3, store, 0)

    def away(doc_id):
        raise StoreUnavailable(doc_id)

    monkeypatch.setattr(store, "get", away)

    assert next_life(here, 3, store, 0) > before
    with pytest.raises(StoreUnavailable):
        next_life(folder(tmp_path / "b"), 3, store, 0)
    assert not list((tmp_path / "b").iterdir())


def test_a_directory_under_another_number_counts_that_ones_lives(tmp_path: Path, store):
    first, second = folder(tmp_path / "a"), folder(tmp_path / "b")
    of_three = [next_life(first, 3, store, 0) for _ in range(3)]

    of_four = [next_life(second, 4, store, 0), next_life(first, 4, store, 0)]
    again = next_life(first, 3, store, 0)

    assert of_four == sorted(set(of_four))
    assert again > of_three[-1]


@pytest.mark.parametrize("text", ["", "3", "[3]", "{}", "\0", '["a", "b", "c"]', "[3, null, 1]"])
def test_a_count_that_cannot_be_read_is_begun_anew_above_it(tmp_path: Path, store, text):
    here = folder(tmp_path / "a")
    before = next_life(here, 3, store, 0)
    (here / "life").write_text(text)

    assert next_life(here, 3, store, 0) > before


def test_directories_that_are_counted_at_the_same_time_get_lives_of_their_own(tmp_path: Path, store, monkeypatch):
    put, lives = store.put, []

    def late(doc_id, body, revision):
        monkeypatch.setattr(store, "put", put)
        lives.append(next_life(folder(tmp_path / "b"), 3, store, 0))
        return put(doc_id, body, revision)

    monkeypatch.setattr(store, "put", late)
    lives.append(next_life(folder(tmp_path / "a"), 3, store, 0))

    assert lives == sorted(set(lives))


def test_a_document_that_others_write_all_the_time_is_told(tmp_path: Path, store, monkeypatch):
    def conflict(doc_id, body, revision):
        raise RevisionConflict(doc_id)

    monkeypatch.setattr(store, "put", conflict)

    with pytest.raises(StoreUnavailable, match=r"\.lives/3 is written by others"):
        next_life(folder(tmp_path / "a"), 3, store, 0)
