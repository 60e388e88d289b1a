"""The embedded store: three SQLite files in WAL mode, shared by all processes of one host.

Entities and activation records have a file each, because caches of entities live until their file changes,
and records are written all the time.
"""

from __future__ import annotations

from invoker_ext.stores.sqlite.activations import SqliteActivations
from invoker_ext.stores.sqlite.entities import SqliteEntities
from invoker_ext.stores.sqlite.keys import SqliteKeys

__all__ = ["SqliteActivations", "SqliteEntities", "SqliteKeys"]
