"""Every implementation of the stores, by one name; each test runs against all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from invoker_ext.store import ActivationStore, EntityStore
from invoker_ext.stores.sqlite import SqliteActivations, SqliteEntities


@pytest.fixture(params=["sqlite"])
def open_entities(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], EntityStore]]:
    """Open the same entity store as another process would."""
    opened: list[EntityStore] = []

    def factory() -> EntityStore:
        opened.append(SqliteEntities(tmp_path / "entities.db"))
        return opened[-1]

    yield factory
    for store in opened:
        store.close()


@pytest.fixture(params=["sqlite"])
def open_activations(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], ActivationStore]]:
    """Open the same activation store as another process would."""
    opened: list[ActivationStore] = []

    def factory() -> ActivationStore:
        opened.append(SqliteActivations(tmp_path / "activations.db"))
        return opened[-1]

    yield factory
    for store in opened:
        store.close()


@pytest.fixture
def entities(open_entities: Callable[[], EntityStore]) -> EntityStore:
    return open_entities()


@pytest.fixture
def activations(open_activations: Callable[[], ActivationStore]) -> ActivationStore:
    return open_activations()
