"""Every implementation of the stores, by one name; each test runs against all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from invoker_ext.store import ActivationStore, EntityStore
from invoker_ext.stores.couchdb import CouchActivations, CouchEntities, Place
from invoker_ext.stores.sqlite import SqliteActivations, SqliteEntities
from tests.support.couchdb import CouchServer
from tests.support.waiting import wait_until

STORES = ["sqlite", "couchdb"]


@pytest.fixture
def couch_place(couch_server: CouchServer) -> Place:
    """Where a test's databases are, which are made."""
    place = couch_server.place()
    place.set_up()
    return place


@pytest.fixture
def open_couch(couch_place: Place, tmp_path: Path) -> Iterator[Callable[[], CouchEntities]]:
    """Open the same entity store in CouchDB as another process would."""
    opened: list[CouchEntities] = []

    def factory() -> CouchEntities:
        opened.append(store := couch_place.entities(tmp_path / "mark"))
        # What is kept in memory is under test; before, nothing is kept.
        wait_until(lambda: store.version() == store.version(), message="the feed of changes")
        return store

    yield factory
    for store in opened:
        store.close()


@pytest.fixture
def open_couch_activations(couch_place: Place) -> Iterator[Callable[[], CouchActivations]]:
    """Open the same activation store in CouchDB as another process would."""
    opened: list[CouchActivations] = []

    def factory() -> CouchActivations:
        opened.append(couch_place.activations())
        return opened[-1]

    yield factory
    for store in opened:
        store.close()


@pytest.fixture(params=STORES)
def open_entities(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], EntityStore]]:
    """Open the same entity store as another process would."""
    if request.param == "couchdb":
        yield request.getfixturevalue("open_couch")
        return
    opened: list[EntityStore] = []

    def factory() -> EntityStore:
        opened.append(SqliteEntities(tmp_path / "entities.db"))
        return opened[-1]

    yield factory
    for store in opened:
        store.close()


@pytest.fixture(params=STORES)
def open_activations(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], ActivationStore]]:
    """Open the same activation store as another process would."""
    if request.param == "couchdb":
        yield request.getfixturevalue("open_couch_activations")
        return
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
