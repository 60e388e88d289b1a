"""Entities, subjects and graphs in CouchDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from invoker_ext.store import Document, EntityStore, RevisionConflict, StoreUnavailable
from invoker_ext.stores.cache import Cache, Known
from invoker_ext.stores.couchdb import designs, documents
from invoker_ext.stores.couchdb.client import Server
from invoker_ext.stores.couchdb.setup import SUBJECTS, WHISKS
from invoker_ext.stores.couchdb.watch import Feed, HostMark

_VIEWS: Final = {"action": "actions", "package": "packages", "trigger": "triggers", "rule": "rules"}
_TOLD: Final = frozenset({"action", "package", "trigger"})
"""Types of entities that stock's controllers keep in memory."""
_READS: Final = 5
"""Of a document that is written again and again while it is read."""
GRAPHS: Final = ".graph/"
"""In front of a graph's digest: no name of a namespace begins with a dot."""


class CouchEntities(EntityStore):
    """Entities of a whole deployment.

    Args:
        server: Belongs to this store, which closes it.
        prefix: Of the databases' names.
        mark: Of this host; belongs to this store, too. None: there is none.
        feed: Of `watched` databases; the same. None: nothing is kept in memory.
    """

    def __init__(self, server: Server, prefix: str, mark: HostMark | None, feed: Feed | None) -> None:
        self._server = server
        self._whisks = server.database(prefix + WHISKS)
        self._subjects = server.database(prefix + SUBJECTS)
        self._mark = mark
        self._feed = feed
        self._cache = Cache(self._look, lasting=feed is not None)
        self._invalidated = 0
        self._graphs_known = Known()
        self._told: Callable[[str], None] | None = None

    def version(self) -> object:
        """Return what changes with each write on this host at once, and soon with those of others."""
        return self._cache.version()

    def invalidate(self, doc_id: str) -> None:
        """Have all processes of this host forget what is kept (stock's `cacheInvalidation`)."""
        del doc_id  # what was made from several documents has none of them in its name
        self._changed()

    def on_write(self, told: Callable[[str], None]) -> None:
        """See `EntityStore.on_write`."""
        self._told = told

    def get(self, doc_id: str) -> Document | None:
        """Return a document."""
        document: Document | None = self._cache.get(("entity", doc_id), lambda: self._read(doc_id))
        return document

    def _read(self, doc_id: str) -> Document | None:
        for _ in range(_READS):
            found = self._whisks.get(doc_id)
            if found is None:
                return None
            document = documents.decode(found, lambda name: self._whisks.attachment(doc_id, name))
            if document is not None:
                return document
        raise StoreUnavailable(f"{doc_id} was written again each time that it was read; its code may be lost")

    def put(self, doc_id: str, body: dict[str, Any], revision: str | None) -> Document:
        """Create or replace a document."""
        with self._writing():
            revision = self._whisks.put(doc_id, documents.encode(body, revision))
        self._tell(doc_id, body)
        return Document(doc_id, revision, body)

    def delete(self, doc_id: str, revision: str) -> None:
        """Remove a document."""
        known = self.get(doc_id) if self._told is not None else None
        with self._writing():
            self._whisks.delete(doc_id, revision)
        self._tell(doc_id, {} if known is None else known.body)

    def _tell(self, doc_id: str, body: dict[str, Any]) -> None:
        if self._told is not None and body.get("entityType") in _TOLD:
            self._told(doc_id)

    def list(self, entity_type: str, namespace: str, package: str | None = None) -> Sequence[Document]:
        """Return entities of a type, last updated first, without `exec.code`."""
        path = namespace if package is None else f"{namespace}/{package}"
        view = f"{designs.ENTITIES}/{_VIEWS[entity_type]}" if entity_type in _VIEWS else designs.OTHERS
        key = [path] if entity_type in _VIEWS else [entity_type, path]
        rows = self._whisks.view(
            view,
            startkey=[*key, designs.TOP, designs.TOP],
            endkey=[*key, 0],
            descending=True,
            reduce=False,
            include_docs=True,
        )
        found = (documents.decode(row["doc"], None) for row in rows if row.get("doc") is not None)
        return [one for one in found if one is not None]

    def subject_by_uuid(self, uuid: str) -> dict[str, Any] | None:
        """Return whom the uuid stands for; nobody who is blocked."""
        found: dict[str, Any] | None = self._cache.get(
            ("uuid", uuid), lambda: next(iter(self._identities([uuid], [uuid, {}])), None)
        )
        return found

    def identities(self, namespace: str) -> Sequence[dict[str, Any]]:
        """Return who has a key to a namespace and is not blocked, by subject."""
        found: Sequence[dict[str, Any]] = self._cache.get(
            ("namespace", namespace), lambda: self._identities([namespace], [namespace])
        )
        return found

    def subject_document(self, doc_id: str) -> Document | None:
        """Return a document of the database of subjects."""
        found = self._subjects.get(doc_id)
        return None if found is None else documents.decode_plain(found)

    def put_subject_document(self, doc_id: str, body: dict[str, Any], revision: str | None) -> Document:
        """Create or replace a document of the database of subjects."""
        document = body if revision is None else {**body, "_rev": revision}
        with self._writing():
            return Document(doc_id, self._subjects.put(doc_id, document), body)

    def delete_subject_document(self, doc_id: str, revision: str) -> None:
        """Remove a document of the database of subjects."""
        with self._writing():
            self._subjects.delete(doc_id, revision)

    def has_subjects(self) -> bool:
        """Return whether there is any document but design documents."""
        ranges = ({"endkey": "_design/", "inclusive_end": False}, {"startkey": "_design0"})
        return any(self._subjects.all_docs(limit=1, **one) for one in ranges)

    def put_graph(self, digest: str, document: dict[str, Any]) -> None:
        """Keep a graph; one that this process put or read before costs nothing."""
        if digest in self._graphs_known:
            return
        with suppress(RevisionConflict):  # the same digest: the same graph
            self._whisks.put(GRAPHS + digest, documents.encode_graph(document))
        self._graphs_known.add(digest)

    def graph(self, digest: str) -> dict[str, Any] | None:
        """Return a compiled graph."""
        doc_id = GRAPHS + digest
        found = self._whisks.get(doc_id)
        if found is None:
            return None
        self._graphs_known.add(digest)
        return documents.decode_graph(found, lambda name: self._whisks.attachment(doc_id, name))

    def close(self) -> None:
        """Close all connections; idempotent."""
        if self._feed is not None:
            self._feed.close()
        self._server.close()
        if self._mark is not None:
            self._mark.close()

    def _identities(self, first: Sequence[Any], last: Sequence[Any]) -> Sequence[dict[str, Any]]:
        rows = self._subjects.view(designs.IDENTITIES, startkey=first, endkey=last, include_docs=True)
        return sorted(map(_identity, rows), key=lambda one: str(one["subject"]))

    def _look(self) -> object:
        feed = self._feed
        if feed is None or not feed.attached:
            return object()
        return self._mark and self._mark.value, feed.count, self._invalidated

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Tell all processes of this host of a write, and of one by others that a conflict tells of.

        Not of one that failed: what is kept must stay in use while CouchDB is away. If it was made the feed says so.
        """
        try:
            yield
        except RevisionConflict:
            self._changed()
            raise
        self._changed()

    def _changed(self) -> None:
        if self._mark is not None:
            self._mark.step()
        self._invalidated += 1  # where there is no mark


def _identity(row: dict[str, Any]) -> dict[str, Any]:
    value, limits = row["value"], row.get("doc")
    if limits is None or limits.get("_deleted"):
        limits = {}
    return {
        "subject": row["id"],
        "namespace": value["namespace"],
        "uuid": value["uuid"],
        "key": value["key"],
        "blocked": False,
        "limits": {name: one for name, one in limits.items() if not name.startswith("_")},
    }
