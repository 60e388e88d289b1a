"""Idempotency keys in a SQLite file of their own: a claim drops no cache of entities and waits for no records."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from invoker_ext.store import Claim, KeyStore
from invoker_ext.stores.sqlite.connections import Connections

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS claim (
  key BLOB PRIMARY KEY, namespace TEXT NOT NULL, made INTEGER NOT NULL, body BLOB NOT NULL, activation TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS claim_by_time ON claim (made);
CREATE INDEX IF NOT EXISTS claim_by_namespace ON claim (namespace, made);
"""
_EXPIRED_AT_ONCE: Final = 100
"""Claims beyond their time that are removed with each one made: more than come, and never long."""


class SqliteKeys(KeyStore):
    """Keys of one host.

    Args:
        path: The file; made if it is missing.
        ttl_ms: How long a claim holds; > 0.
        most: Claims that a namespace may have; the oldest go first; > 0.

    Raises:
        StoreUnavailable: The file cannot be opened.
    """

    def __init__(self, path: Path, *, ttl_ms: int, most: int) -> None:
        self._connections = Connections(path, _SCHEMA)
        self._ttl_ms = ttl_ms
        self._most = most

    def find(self, key: bytes, now_ms: int) -> Claim | None:
        """See `KeyStore`."""
        with self._connections.reading() as connection:
            row = connection.execute(
                "SELECT body, activation FROM claim WHERE key = ? AND made > ?", (key, now_ms - self._ttl_ms)
            ).fetchone()
        return None if row is None else Claim(*row)

    def claim(self, namespace: str, key: bytes, claim: Claim, now_ms: int) -> Claim:
        """See `KeyStore`."""
        expired = now_ms - self._ttl_ms
        with self._connections.writing() as connection:
            connection.execute("DELETE FROM claim WHERE key = ? AND made <= ?", (key, expired))
            connection.execute(
                "DELETE FROM claim WHERE key IN (SELECT key FROM claim WHERE made <= ? LIMIT ?)",
                (expired, _EXPIRED_AT_ONCE),
            )
            connection.execute(
                "INSERT OR IGNORE INTO claim VALUES (?, ?, ?, ?, ?)",
                (key, namespace, now_ms, claim.body, claim.activation_id),
            )
            row = connection.execute("SELECT body, activation FROM claim WHERE key = ?", (key,)).fetchone()
            connection.execute(
                "DELETE FROM claim WHERE key IN"
                " (SELECT key FROM claim WHERE namespace = ? ORDER BY made DESC LIMIT -1 OFFSET ?)",
                (namespace, self._most),
            )
        return Claim(*row)

    def release(self, key: bytes, activation_id: str) -> None:
        """See `KeyStore`."""
        with self._connections.writing() as connection:
            connection.execute("DELETE FROM claim WHERE key = ? AND activation = ?", (key, activation_id))

    def close(self) -> None:
        """Close all connections; idempotent."""
        self._connections.close()
