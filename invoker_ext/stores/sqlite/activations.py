"""Activation records in one SQLite file; large results lie in packs beside it, and the column names the place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from invoker_ext.contract.graph import GraphKind
from invoker_ext.contract.records import Activation
from invoker_ext.store import ActivationQuery, ActivationStore
from invoker_ext.stores.sqlite.connections import Connections
from invoker_ext.stores.sqlite.packs import PACKED_BYTES, Packs

# `position` is 2 · start, plus 1 for what is no workflow: the parts of a run list before the run where both
# started in the same millisecond. `name_key` and `bound_key` are what the filter `name` compares with.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS activation (
  id TEXT NOT NULL, namespace TEXT NOT NULL, position INTEGER NOT NULL, name_key TEXT NOT NULL, bound_key TEXT,
  head TEXT NOT NULL, result BLOB, logs TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS activation_by_id ON activation (id);
CREATE INDEX IF NOT EXISTS activation_by_time ON activation (namespace, position);
CREATE INDEX IF NOT EXISTS activation_by_name ON activation (namespace, name_key, position);
CREATE INDEX IF NOT EXISTS activation_by_bound_name ON activation (namespace, bound_key, position)
  WHERE bound_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS activation_by_place ON activation (result) WHERE typeof(result) = 'text';
"""
_USED: Final = (
    "SELECT 1 FROM activation WHERE typeof(result) = 'text' AND result >= ? || ':' AND result < ? || ';' LIMIT 1"
)
"""Whether a record lies in a pack."""
_NAMESPACES: Final = """
WITH RECURSIVE found(namespace) AS (
  SELECT min(namespace) FROM activation
  UNION ALL SELECT (SELECT min(namespace) FROM activation WHERE namespace > found.namespace) FROM found
  WHERE found.namespace IS NOT NULL
) SELECT namespace FROM found WHERE namespace IS NOT NULL
"""
"""One step in an index for each, however many records there are."""
_SPARE_PAGES: Final = 2_000
"""Free pages (4 KiB) that stay: the next records take them."""
_SHRUNK_PAGES: Final = 1_000
"""Given back in one go: a few milliseconds."""
_INSERT: Final = "INSERT OR IGNORE INTO activation VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_WORKFLOWS: Final = frozenset({GraphKind.SEQUENCE.value, GraphKind.DATAFLOW.value})


class SqliteActivations(ActivationStore):
    """Records of one host.

    Args:
        path: The file; made if it is missing. Large results lie in the folder `results` beside it.
        fsync: What `keep_result` keeps survives the loss of power, not only the death of the process.

    Raises:
        StoreUnavailable: The file cannot be opened.
    """

    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        self._connections = Connections(path, _SCHEMA, shrinks=True)
        self._packs = Packs(path.with_name("results"), fsync=fsync)

    def put_many(self, records: Sequence[Activation]) -> None:
        """Write records in one transaction; those that are there already stay as they are."""
        rows = [_row(record, self._packs) for record in records]
        with self._connections.writing() as connection:
            connection.executemany(_INSERT, rows)

    def keep_result(self, result: bytes) -> str | None:
        """See `ActivationStore`; results from PACKED_BYTES on."""
        return self._packs.put(result) if len(result) >= PACKED_BYTES else None

    def keep_datum(self, descriptor: int, size_bytes: int) -> str | None:
        """See `ActivationStore`; results from PACKED_BYTES on."""
        return self._packs.copy(descriptor, size_bytes) if size_bytes >= PACKED_BYTES else None

    def kept_result(self, place: str) -> bytes:
        """See `ActivationStore`."""
        return self._packs.get(place)

    def get(self, namespace: str, activation_id: str) -> Activation | None:
        """Return one record."""
        with self._connections.reading() as connection:
            row = connection.execute(
                "SELECT head, result, logs FROM activation WHERE id = ? AND namespace = ?",
                (activation_id, namespace),
            ).fetchone()
        return None if row is None else self._activation(*row)

    def list(self, query: ActivationQuery) -> Sequence[Activation]:
        """Return records, newest start first."""
        columns = "head, result, logs" if query.docs else "head, NULL, NULL"
        order = "ORDER BY position DESC, rowid DESC"
        limit = query.limit or -1
        reach = limit if limit < 0 else query.skip + limit
        parts, values = [], []
        for condition, bound in _conditions(query):
            parts.append(f"SELECT * FROM (SELECT rowid, position FROM activation WHERE {condition} {order} LIMIT ?)")
            values += [*bound, reach]
        text = (
            f"SELECT {columns} FROM activation WHERE rowid IN (SELECT rowid FROM ({' UNION ALL '.join(parts)})"
            f" {order} LIMIT ? OFFSET ?) {order}"
        )
        with self._connections.reading() as connection:
            rows = connection.execute(text, (*values, limit, query.skip)).fetchall()
        return [self._activation(*row) for row in rows]

    def count(self, query: ActivationQuery) -> int:
        """Return max(0, number of matching records − skip)."""
        total = 0
        with self._connections.reading() as connection:
            for condition, bound in _conditions(query):
                text = f"SELECT count(*) FROM activation WHERE {condition}"
                total += connection.execute(text, bound).fetchone()[0]
        return max(0, total - query.skip)

    def expire(self, before_ms: int | None, most: int | None, limit: int) -> int:
        """See `ActivationStore`; what to delete is looked up before anybody is kept from writing."""
        found: list[tuple[int]] = []
        with self._connections.reading() as connection:
            for (namespace,) in connection.execute(_NAMESPACES).fetchall():
                found += _oldest(connection, namespace, before_ms, most, limit - len(found))
                if len(found) >= limit:
                    break
        if found:
            with self._connections.writing() as connection:
                connection.executemany("DELETE FROM activation WHERE rowid = ?", found)
        return len(found)

    def reclaim(self, before_ms: int) -> None:
        """See `ActivationStore`: shrink the file, and delete packs that no record is left of."""
        with self._connections.reading() as connection:
            self._packs.expire(before_ms, lambda pack: connection.execute(_USED, (pack, pack)).fetchone() is not None)
        while self._shrink():
            continue

    def _shrink(self) -> bool:
        """Give back some free pages; return whether there are more."""
        with self._connections.alone() as connection:
            free: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
            if free <= _SPARE_PAGES:
                return False
            connection.execute(f"PRAGMA incremental_vacuum({_SHRUNK_PAGES})").fetchall()
            return bool(connection.execute("PRAGMA freelist_count").fetchone()[0] < free)

    def close(self) -> None:
        """Close all connections; idempotent."""
        self._connections.close()
        self._packs.close()

    def _activation(self, head: str, result: bytes | str | None, logs: str | None) -> Activation:
        if isinstance(result, str):
            result = self._packs.get(result)
        return _activation(head, result, logs)


def _oldest(
    connection: sqlite3.Connection, namespace: str, before_ms: int | None, most: int | None, limit: int
) -> list[tuple[int]]:
    """Return the rows of a namespace that are to be deleted, at most `limit`."""
    count = 0
    if before_ms is not None:
        query = "SELECT count(*) FROM (SELECT 1 FROM activation WHERE namespace = ? AND position < ? LIMIT ?)"
        count = connection.execute(query, (namespace, _clamp(2 * before_ms), limit)).fetchone()[0]
    if most is not None and count < limit:
        total = connection.execute("SELECT count(*) FROM activation WHERE namespace = ?", (namespace,)).fetchone()[0]
        count = max(count, min(total - most, limit))
    if count <= 0:
        return []
    query = "SELECT rowid FROM activation WHERE namespace = ? ORDER BY position, rowid LIMIT ?"
    return connection.execute(query, (namespace, count)).fetchall()


def _conditions(query: ActivationQuery) -> Iterable[tuple[str, list[Any]]]:
    """Return conditions, each served by an index, whose rows do not overlap."""
    text, values = "", []
    if query.since_ms is not None:
        text += " AND position >= ?"
        values.append(_clamp(2 * query.since_ms))
    if query.upto_ms is not None:
        text += " AND position <= ?"
        values.append(_clamp(2 * query.upto_ms + 1))
    if query.name is None:
        return [("namespace = ?" + text, [query.namespace, *values])]
    bound = [query.namespace, query.name, *values]
    return [
        ("namespace = ? AND name_key = ?" + text, bound),
        ("namespace = ? AND bound_key = ?" + text, bound),
    ]


def _clamp(position: int) -> int:
    """Keep a caller's number inside SQLite's 64 bits."""
    return max(-(2**63), min(2**63 - 1, position))


def _name_keys(record: Activation) -> tuple[str, str | None]:
    """Return what the filter `name` finds the record by.

    Deviates: an activation through a binding is found by the binding's package
    (as CouchDB's views do) and by the provider's (as the recorded server does).
    """
    segments = str(record.annotation("path") or "").split("/")
    if len(segments) != 3:
        return record.name, None
    key = f"{segments[1]}/{segments[2]}"
    binding = record.annotation("binding")
    if not isinstance(binding, str):
        return key, None
    bound = f"{binding.rpartition('/')[2]}/{segments[2]}"
    return key, bound if bound != key else None


def _row(record: Activation, packs: Packs) -> tuple[Any, ...]:
    head = record.head()
    del head["logs"]
    head["statusCode"] = record.status
    if record.size is not None:
        head["size"] = record.size
    if record.dataflow is not None:
        head["dataflow"] = record.dataflow
    key, bound = _name_keys(record)
    position = 2 * record.start_ms + (record.annotation("kind") not in _WORKFLOWS)
    logs = orjson.dumps(record.logs).decode() if record.logs else None
    result: bytes | str | None = record.place or record.result
    if isinstance(result, bytes) and len(result) >= PACKED_BYTES:
        result = packs.put(result)
    return (
        record.activation_id,
        record.namespace,
        position,
        key,
        bound,
        orjson.dumps(head).decode(),
        result,
        logs,
    )


def _activation(head: str, result: bytes | None, logs: str | None) -> Activation:
    fields = orjson.loads(head)
    return Activation(
        activation_id=fields["activationId"],
        namespace=fields["namespace"],
        name=fields["name"],
        subject=fields["subject"],
        version=fields["version"],
        start_ms=fields["start"],
        end_ms=fields.get("end"),
        duration_ms=fields.get("duration"),
        status=fields["statusCode"],
        result=result,
        annotations=tuple(fields["annotations"]),
        size=fields.get("size"),
        logs=() if logs is None else tuple(orjson.loads(logs)),
        cause=fields.get("cause"),
        publish=fields["publish"],
        dataflow=fields.get("dataflow"),
    )
