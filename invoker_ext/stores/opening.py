"""Opens the stores that settings name.

Without a URL the store is SQLite, in the data directory; the module of CouchDB is imported only where one is named.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoker_ext.contract.settings import SettingsError
from invoker_ext.store import ActivationStore, EntityStore
from invoker_ext.stores.settings import StoreSettings
from invoker_ext.stores.sqlite import SqliteActivations, SqliteEntities

if TYPE_CHECKING:
    from invoker_ext.stores.couchdb import Place


def entities_file(data_dir: Path) -> Path:
    """Return the SQLite file of entities and subjects."""
    return data_dir / "entities.db"


def activations_file(data_dir: Path) -> Path:
    """Return the SQLite file of activation records."""
    return data_dir / "activations.db"


def open_entities(store: StoreSettings, data_dir: Path, *, follow: bool = True) -> EntityStore:
    """Open the entities.

    Args:
        store: Settings of this process.
        data_dir: Of the same.
        follow: Keep documents of CouchDB in memory: for a process that stays.

    Raises:
        StoreUnavailable: The file cannot be opened. CouchDB is asked by the first request only.
        SettingsError: The password cannot be read, or CouchDB's client is not installed.
    """
    place = place_of(store)
    if place is None:
        return SqliteEntities(entities_file(data_dir))
    # Processes of one data directory tell each other of their writes by this file.
    mark = data_dir / "run" / "store.mark"
    return place.entities(mark if mark.parent.is_dir() else None, follow=follow)


def open_activations(store: StoreSettings, data_dir: Path, *, fsync: bool = False) -> ActivationStore:
    """Open the activation records; raises as `open_entities`.

    Args:
        store: Settings of this process.
        data_dir: Of the same.
        fsync: Large results that SQLite keeps ahead of their records survive the loss of power.
    """
    place = place_of(store)
    if place is None:
        return SqliteActivations(activations_file(data_dir), fsync=fsync)
    return place.activations()


def place_of(store: StoreSettings) -> Place | None:
    """Return where the databases in CouchDB are; None: the store is SQLite. Raises SettingsError."""
    if not store.store_url:
        return None
    try:
        from invoker_ext.stores.couchdb import Place
    except ModuleNotFoundError as error:
        raise SettingsError(
            [f"CouchDB as a store needs {error.name}: install openwhisk-dataflower[distributed]"]
        ) from error
    return Place(store.store_url, store.store_user, _password(store), store.store_prefix)


def _password(store: StoreSettings) -> str:
    if not store.store_password_file:
        return store.store_password
    if store.store_password:
        raise SettingsError(["the password of the store is given twice: by itself and as a file"])
    try:
        return Path(store.store_password_file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"the password of the store cannot be read: {error}"]) from error
