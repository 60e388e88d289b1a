"""Which store of idempotency keys a controller has."""

from __future__ import annotations

from controller_ext.settings import Settings
from invoker_ext.store import KeyStore
from invoker_ext.stores.opening import place_of
from invoker_ext.stores.sqlite import SqliteKeys


def open_keys(settings: Settings) -> KeyStore:
    """Open the keys: of controllers that share Kafka and CouchDB those of all, else a file of this one.

    Raises:
        StoreUnavailable: The file cannot be opened.
        SettingsError: The store is not set up rightly.
    """
    ttl_ms = int(settings.idempotency_ttl_s * 1000)
    place = place_of(settings) if settings.bus else None
    if place is not None:
        return place.keys(settings.id, ttl_ms)
    return SqliteKeys(settings.keys_file, ttl_ms=ttl_ms, most=settings.idempotency_keys)
