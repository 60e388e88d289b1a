"""The database of subjects in the file of the entities: documents, and who has which key."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from typing import Any, Final

from invoker_ext.store import Document, RevisionConflict

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS subject_document (id TEXT PRIMARY KEY, revision TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS identity (
  uuid TEXT NOT NULL, namespace TEXT NOT NULL, subject TEXT NOT NULL, PRIMARY KEY (uuid, namespace, subject)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS identity_by_namespace ON identity (namespace, subject);
"""
_IDENTITY: Final = """
SELECT s.body, i.uuid, i.namespace, l.body FROM identity i JOIN subject_document s ON s.id = i.subject
LEFT JOIN subject_document l ON l.id = i.namespace || '/limits'
"""
_dumps: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def get(connection: sqlite3.Connection, doc_id: str) -> Document | None:
    """Return a document."""
    row = connection.execute("SELECT revision, body FROM subject_document WHERE id = ?", (doc_id,)).fetchone()
    return None if row is None else Document(doc_id, row[0], json.loads(row[1]))


def put(connection: sqlite3.Connection, doc_id: str, body: dict[str, Any], revision: str | None) -> Document:
    """Create or replace a document, and who has its keys; raises RevisionConflict."""
    text = _dumps(body)
    number = 1 if revision is None else int(revision.partition("-")[0]) + 1
    new = f"{number}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    if revision is None:
        query = "INSERT INTO subject_document (revision, body, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        done = connection.execute(query, (new, text, doc_id))
    else:
        query = "UPDATE subject_document SET revision = ?, body = ? WHERE id = ? AND revision = ?"
        done = connection.execute(query, (new, text, doc_id, revision))
    if done.rowcount != 1:
        raise RevisionConflict(doc_id)
    _enrol(connection, doc_id, ((one["uuid"], one["name"]) for one in body.get("namespaces", ())))
    return Document(doc_id, new, body)


def delete(connection: sqlite3.Connection, doc_id: str, revision: str) -> None:
    """Remove a document, and who had its keys; raises RevisionConflict."""
    done = connection.execute("DELETE FROM subject_document WHERE id = ? AND revision = ?", (doc_id, revision))
    if done.rowcount != 1:
        raise RevisionConflict(doc_id)
    _enrol(connection, doc_id, ())


def exist(connection: sqlite3.Connection) -> bool:
    """Return whether anybody has a key."""
    return connection.execute("SELECT 1 FROM identity LIMIT 1").fetchone() is not None


def by_uuid(connection: sqlite3.Connection, uuid: str) -> dict[str, Any] | None:
    """Return whom a uuid stands for."""
    row = connection.execute(_IDENTITY + "WHERE i.uuid = ? ORDER BY i.subject LIMIT 1", (uuid,)).fetchone()
    return None if row is None else _identity(*row)


def by_namespace(connection: sqlite3.Connection, namespace: str) -> list[dict[str, Any]]:
    """Return who has a key to a namespace and is not blocked."""
    rows = connection.execute(_IDENTITY + "WHERE i.namespace = ? ORDER BY i.subject", (namespace,)).fetchall()
    return [one for one in (_identity(*row) for row in rows) if not one["blocked"]]


def _enrol(connection: sqlite3.Connection, subject: str, keys: Iterable[tuple[str, str]]) -> None:
    connection.execute("DELETE FROM identity WHERE subject = ?", (subject,))
    rows = [(uuid, namespace, subject) for uuid, namespace in keys]
    connection.executemany("INSERT OR IGNORE INTO identity VALUES (?, ?, ?)", rows)


def _identity(subject_text: str, uuid: str, namespace: str, limits_text: str | None) -> dict[str, Any]:
    subject = json.loads(subject_text)
    key = next(one["key"] for one in subject["namespaces"] if (one["uuid"], one["name"]) == (uuid, namespace))
    return {
        "subject": subject["subject"],
        "namespace": namespace,
        "uuid": uuid,
        "key": key,
        "blocked": subject.get("blocked", False),
        "limits": {} if limits_text is None else json.loads(limits_text),
    }
