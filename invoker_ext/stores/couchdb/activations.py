"""Activation records in CouchDB."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from invoker_ext.contract.records import Activation
from invoker_ext.store import ActivationQuery, ActivationStore, StoreRefused, StoreUnavailable
from invoker_ext.stores.couchdb import designs, records
from invoker_ext.stores.couchdb.client import Database, Server
from invoker_ext.stores.couchdb.setup import ACTIVATIONS

_log = logging.getLogger(__name__)

REQUEST_BYTES: Final = 8_000_000
"""Of the records in one request: what server and client hold at a time."""
TIES: Final = 8
"""Records at either end of a list that are looked at for others of the same start: the view orders those by id."""
_KEPT: Final = frozenset({"conflict"})
"""Answers that mean that a record is there already."""
_Batch = list[tuple[Activation, bytes]]
_SAFE: Final = 1 << 53
"""Beyond, numbers of JavaScript are not exact."""


class CouchActivations(ActivationStore):
    """Records of a whole deployment.

    Args:
        server: Belongs to this store, which closes it.
        prefix: Of the database's name.
        now_ms: Epoch milliseconds.
    """

    def __init__(
        self, server: Server, prefix: str, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._server = server
        self._database: Database = server.database(prefix + ACTIVATIONS)
        self._now_ms = now_ms

    def put_many(self, records_: Sequence[Activation]) -> None:
        """Write records; those that are there already stay as they are.

        A record is written once and never changed, so its revision follows from its id: CouchDB, which makes one of all
        that it is given, need not look at a megabyte for it.

        Raises:
            StoreUnavailable: Perhaps some were written; all may be written again.
            StoreRefused: CouchDB does not take one of them in any form; all others are written.
        """
        refused: StoreRefused | None = None
        for batch, as_they_are in self._batches(records_):
            try:
                self._write([document for _, document in batch], as_they_are=as_they_are)
            except StoreRefused:
                # One of them is the reason; a result that is no JSON for CouchDB can be attached.
                for record, document in batch:
                    try:
                        self._write_alone(record, document, as_they_are=as_they_are)
                    except StoreRefused as error:
                        _log.error("record refused", extra={"activation_id": record.activation_id, "error": str(error)})
                        refused = error
        if refused is not None:
            raise refused

    def get(self, namespace: str, activation_id: str) -> Activation | None:
        """Return one record."""
        document = self._database.get(records.doc_id(namespace, activation_id))
        return None if document is None else self._record(document)

    def list(self, query: ActivationQuery) -> Sequence[Activation]:
        """Return records, newest start first; a run after its parts, unless more than TIES started with them."""
        view, first, last = _range(query)
        if _empty(first, last):
            return []
        before = min(query.skip, TIES)
        window = {"skip": query.skip - before}
        if query.limit:
            window["limit"] = before + query.limit + TIES
        rows = self._database.view(view, startkey=last, endkey=first, descending=True, reduce=False, **window)
        rows.sort(key=lambda row: (-row["key"][1], records.is_run(row["value"])))
        rows = rows[before : before + query.limit] if query.limit else rows[before:]
        if not query.docs:
            return [records.from_summary(row["value"]) for row in rows]
        found = self._database.all_docs(keys=[row["id"] for row in rows], include_docs=True) if rows else []
        return [self._record(row["doc"]) for row in found if row.get("doc") is not None]

    def count(self, query: ActivationQuery) -> int:
        """Return max(0, number of matching records − skip)."""
        view, first, last = _range(query)
        if _empty(first, last):
            return 0
        rows = self._database.view(view, startkey=first, endkey=last, reduce=True)
        return max(0, (rows[0]["value"] if rows else 0) - query.skip)

    def expire(self, before_ms: int | None, most: int | None, limit: int) -> int:
        """See `ActivationStore`; of records of equal starts those of any namespace go first."""
        found: dict[str, str] = {}
        if before_ms is not None:
            rows = self._database.view(
                designs.ACTIVATIONS_BY_DATE, endkey=_clamp(before_ms), inclusive_end=False, limit=limit
            )
            found = {row["id"]: row["value"][1] for row in rows}
        if most is not None and len(found) < limit:
            beyond = [one for one in self._beyond(most) if one not in found][: limit - len(found)]
            # The view does not know revisions. One that is gone meanwhile has none.
            rows = self._database.all_docs(keys=beyond) if beyond else []
            found |= {
                row["id"]: row["value"]["rev"] for row in rows if not row.get("value", {"deleted": 1}).get("deleted")
            }
        if not found:
            return 0
        self._write([json.dumps({"_id": one, "_rev": rev, "_deleted": True}).encode() for one, rev in found.items()])
        return len(found)

    def close(self) -> None:
        """Close all connections; idempotent."""
        self._server.close()

    def _beyond(self, most: int) -> Iterator[str]:
        """Yield the ids of records beyond the latest so many of their namespace, oldest first."""
        for row in self._database.view(designs.ACTIVATIONS, reduce=True, group_level=1):
            count, namespace = row["value"] - most, row["key"][0]
            if count > 0:
                oldest = self._database.view(
                    designs.ACTIVATIONS,
                    startkey=[namespace],
                    endkey=[namespace, designs.TOP],
                    reduce=False,
                    limit=count,
                )
                yield from (one["id"] for one in oldest)

    def _batches(self, records_: Sequence[Activation]) -> Iterator[tuple[_Batch, bool]]:
        """Yield what goes in one request, and whether it is written as it is: what has attachments is not."""
        batch: _Batch = []
        size, whole = 0, True
        now_ms = self._now_ms()
        for record in records_:
            document, fits = records.encode(record, now_ms), not records.attaches(record)
            if batch and (size + len(document) > REQUEST_BYTES or fits != whole):
                yield batch, whole
                batch, size = [], 0
            batch.append((record, document))
            size += len(document)
            whole = fits
        if batch:
            yield batch, whole

    def _write(self, documents: Iterable[bytes], *, as_they_are: bool = False) -> None:
        for answer in self._database.write_all([*documents], as_they_are=as_they_are):
            error = answer.get("error")
            if error is not None and error not in _KEPT:
                raise StoreUnavailable(
                    f"{self._database.name} does not take {answer.get('id')}: {error}: {answer.get('reason')}"
                )

    def _write_alone(self, record: Activation, document: bytes, *, as_they_are: bool) -> None:
        try:
            self._write([document], as_they_are=as_they_are)
        except StoreRefused:
            self._write([records.encode(record, self._now_ms(), attach=True)])

    def _record(self, document: dict[str, Any]) -> Activation:
        return records.decode(document, lambda name: self._database.attachment(document["_id"], name))


def _range(query: ActivationQuery) -> tuple[str, list[Any], list[Any]]:
    """Return view, first and last key; as stock's, an activation through a binding has the binding's package."""
    view, path = designs.ACTIVATIONS, query.namespace
    if query.name is not None:
        view, path = designs.ACTIVATIONS_BY_NAME, f"{query.namespace}/{query.name}"
    first = [path, 0 if query.since_ms is None else _clamp(query.since_ms)]
    last = [path, designs.TOP, designs.TOP] if query.upto_ms is None else [path, _clamp(query.upto_ms)]
    return view, first, last


def _empty(first: Sequence[Any], last: Sequence[Any]) -> bool:
    """Return whether nothing can be between two keys; CouchDB takes that for a mistake."""
    return isinstance(last[1], int) and first[1] > last[1]


def _clamp(moment_ms: int) -> int:
    return max(-_SAFE, min(_SAFE, moment_ms))
