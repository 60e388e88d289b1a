"""Numbers of invokers that nobody chose."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller_ext.standalone import numbers
from controller_ext.standalone.datadir import CannotStart
from controller_ext.standalone.numbers import claim
from invoker_ext.stores.sqlite import SqliteEntities


@pytest.fixture
def store(tmp_path: Path):
    store = SqliteEntities(tmp_path / "entities.db")
    yield store
    store.close()


def test_each_owner_has_a_number_of_its_own_from_zero_on(store):
    assert [claim(store, owner, None, 0) for owner in ("a", "b", "c")] == [0, 1, 2]


def test_an_owner_gets_its_number_again(store):
    claim(store, "a", None, 0)
    assert claim(store, "b", None, 0) == 1
    assert claim(store, "b", 1, 0) == 1
    assert claim(store, "b", None, 0) == 1


def test_an_owner_that_the_store_has_forgotten_keeps_its_number_unless_another_has_it(store):
    assert claim(store, "a", 5, 0) == 5
    assert claim(store, "b", 5, 0) == 0


def test_there_is_an_end_of_numbers(store, monkeypatch):
    monkeypatch.setattr(numbers, "MOST", 2)
    claim(store, "a", None, 0)
    claim(store, "b", None, 0)
    with pytest.raises(CannotStart, match="all 2 numbers of invokers are taken"):
        claim(store, "c", None, 0)
