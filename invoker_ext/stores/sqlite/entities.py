"""Entities, subjects and graphs in one SQLite file."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Final

from invoker_ext.store import Document, EntityStore, RevisionConflict
from invoker_ext.stores.cache import Cache, Known
from invoker_ext.stores.sqlite import subjects
from invoker_ext.stores.sqlite.connections import Connections

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entity (
  id TEXT PRIMARY KEY, revision TEXT NOT NULL, type TEXT NOT NULL, namespace TEXT NOT NULL, package TEXT,
  updated INTEGER NOT NULL, body TEXT NOT NULL, code TEXT
);
CREATE INDEX IF NOT EXISTS entity_by_time ON entity (namespace, type, updated DESC);
CREATE TABLE IF NOT EXISTS graph (digest TEXT PRIMARY KEY, body TEXT NOT NULL);
"""
_dumps: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class SqliteEntities(EntityStore):
    """Entities of one host.

    The cache is dropped when `PRAGMA data_version` says that some connection, of any process, has committed.

    Args:
        path: The file; made if it is missing.

    Raises:
        StoreUnavailable: The file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._connections = Connections(path, _SCHEMA + subjects.SCHEMA)
        self._watch = self._connections.another()
        self._watching = Lock()
        """A connection that is closed while another thread asks it something takes the process with it."""
        self._cache = Cache(self._look)
        self._graphs_known = Known()

    def version(self) -> object:
        """Return the file's data version; drops the cache if it is new."""
        return self._cache.version()

    def get(self, doc_id: str) -> Document | None:
        """Return a document."""
        document: Document | None = self._cache.get(("entity", doc_id), lambda: self._read(doc_id))
        return document

    def put(self, doc_id: str, body: dict[str, Any], revision: str | None) -> Document:
        """Create or replace a document."""
        head, code = _split(body)
        text = _dumps(head)
        digest = hashlib.sha256(text.encode())
        if code is not None:
            digest.update(code.encode())
        new = f"{_number(revision) + 1}-{digest.hexdigest()[:32]}"
        namespace, _, package = body["namespace"].partition("/")
        row = (new, body["entityType"], namespace, package or None, body["updated"], text, code)
        with self._connections.writing() as connection:
            if revision is None:
                done = connection.execute(
                    "INSERT INTO entity (revision, type, namespace, package, updated, body, code, id)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (*row, doc_id),
                )
            else:
                done = connection.execute(
                    "UPDATE entity SET revision = ?, type = ?, namespace = ?, package = ?, updated = ?, body = ?,"
                    " code = ? WHERE id = ? AND revision = ?",
                    (*row, doc_id, revision),
                )
            if done.rowcount != 1:
                raise RevisionConflict(doc_id)
        return Document(doc_id, new, body)

    def delete(self, doc_id: str, revision: str) -> None:
        """Remove a document."""
        with self._connections.writing() as connection:
            done = connection.execute("DELETE FROM entity WHERE id = ? AND revision = ?", (doc_id, revision))
            if done.rowcount != 1:
                raise RevisionConflict(doc_id)

    def list(self, entity_type: str, namespace: str, package: str | None = None) -> Sequence[Document]:
        """Return entities of a type, last updated first, without `exec.code`."""
        query = "SELECT id, revision, body FROM entity WHERE namespace = ? AND type = ?"
        values: list[Any] = [namespace, entity_type]
        if package is not None:
            query += " AND package = ?"
            values.append(package)
        query += " ORDER BY updated DESC, rowid DESC"
        with self._connections.reading() as connection:
            rows = connection.execute(query, values).fetchall()
        return [Document(row[0], row[1], json.loads(row[2])) for row in rows]

    def subject_by_uuid(self, uuid: str) -> dict[str, Any] | None:
        """Return whom the uuid stands for."""
        subject: dict[str, Any] | None = self._cache.get(
            ("subject", uuid), lambda: self._enrolled(subjects.by_uuid, uuid)
        )
        return subject

    def identities(self, namespace: str) -> Sequence[dict[str, Any]]:
        """Return who has a key to a namespace and is not blocked, by subject."""
        found: list[dict[str, Any]] = self._cache.get(
            ("namespace", namespace), lambda: self._enrolled(subjects.by_namespace, namespace)
        )
        return found

    def subject_document(self, doc_id: str) -> Document | None:
        """Return a document of the database of subjects."""
        with self._connections.reading() as connection:
            return subjects.get(connection, doc_id)

    def put_subject_document(self, doc_id: str, body: dict[str, Any], revision: str | None) -> Document:
        """Create or replace a document of the database of subjects."""
        with self._connections.writing() as connection:
            return subjects.put(connection, doc_id, body, revision)

    def delete_subject_document(self, doc_id: str, revision: str) -> None:
        """Remove a document of the database of subjects."""
        with self._connections.writing() as connection:
            subjects.delete(connection, doc_id, revision)

    def has_subjects(self) -> bool:
        """Return whether there is any subject."""
        with self._connections.reading() as connection:
            return subjects.exist(connection)

    def put_graph(self, digest: str, document: dict[str, Any]) -> None:
        """Keep a graph; one that this process put or read before costs nothing."""
        if digest in self._graphs_known or self.graph(digest) is not None:
            return
        with self._connections.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO graph VALUES (?, ?)", (digest, _dumps(document)))
        self._graphs_known.add(digest)

    def graph(self, digest: str) -> dict[str, Any] | None:
        """Return a compiled graph."""
        with self._connections.reading() as connection:
            row = connection.execute("SELECT body FROM graph WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            return None
        self._graphs_known.add(digest)
        document: dict[str, Any] = json.loads(row[0])
        return document

    def close(self) -> None:
        """Close all connections; idempotent."""
        with self._watching:
            self._watch.close()
        self._connections.close()

    def _look(self) -> object:
        try:
            with self._watching:
                version: int = self._watch.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:
            return object()  # the next read says what is wrong; until then nothing may be taken from the cache
        return version

    def _read(self, doc_id: str) -> Document | None:
        with self._connections.reading() as connection:
            row = connection.execute("SELECT revision, body, code FROM entity WHERE id = ?", (doc_id,)).fetchone()
        if row is None:
            return None
        body = json.loads(row[1])
        if row[2] is not None:
            body["exec"]["code"] = row[2]
        return Document(doc_id, row[0], body)

    def _enrolled(self, look_up: Callable[[sqlite3.Connection, str], Any], key: str) -> Any:
        with self._connections.reading() as connection:
            return look_up(connection, key)


def _split(body: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Take the code out of an action: lists would read megabytes for nothing."""
    exec_ = body.get("exec")
    if not isinstance(exec_, dict) or not isinstance(exec_.get("code"), str):
        return body, None
    rest = {name: value for name, value in exec_.items() if name != "code"}
    return {**body, "exec": rest}, exec_["code"]


def _number(revision: str | None) -> int:
    number = (revision or "0").partition("-")[0]
    return int(number) if number.isdecimal() else 0
