"""Idempotency keys in CouchDB, for controllers that share it: a document each, beside the records.

They lie where no view looks at them and no process follows changes. Their ids are digests, so that a sweep, which goes
through them in the order of ids, finds old ones everywhere alike.
"""

from __future__ import annotations

import json
from typing import Any, Final

from invoker_ext.store import Claim, KeyStore, RevisionConflict, StoreUnavailable
from invoker_ext.stores.couchdb.client import Database, Server
from invoker_ext.stores.couchdb.designs import TOP
from invoker_ext.stores.couchdb.setup import ACTIVATIONS

_HOME: Final = ".keys/"
_TRIES: Final = 20
"""Of a claim whose document others change at the same time: each loses to another one that gets on."""


class CouchKeys(KeyStore):
    """Keys of a whole deployment. How many there are is bounded by what may be invoked within their time.

    Args:
        server: Belongs to this store, which closes it.
        prefix: Of the database's name.
        controller: Our id.
        ttl_ms: How long a claim holds; > 0.
    """

    def __init__(self, server: Server, prefix: str, controller: str, ttl_ms: int) -> None:
        self.by = controller
        self._server = server
        self._database: Database = server.database(prefix + ACTIVATIONS)
        self._ttl_ms = ttl_ms
        self._swept = _HOME

    def find(self, key: bytes, now_ms: int) -> Claim | None:
        """See `KeyStore`."""
        found = self._database.get(_id(key))
        return None if found is None or self._old(found, now_ms) else _claim(found)

    def claim(self, namespace: str, key: bytes, claim: Claim, now_ms: int) -> Claim:
        """See `KeyStore`."""
        document: dict[str, Any] = {
            "namespace": namespace,
            "made": now_ms,
            "since": now_ms,
            "body": claim.body.hex(),
            "activation": claim.activation_id,
            "controller": self.by,
        }
        for _ in range(_TRIES):
            try:
                self._database.put(_id(key), document)
            except RevisionConflict:
                found = self._database.get(_id(key))
                if found is not None and not self._old(found, now_ms):
                    return _claim(found)
                document.pop("_rev", None)
                if found is not None:
                    document["_rev"] = found["_rev"]
            else:
                return _claim(document)
        raise StoreUnavailable("an idempotency key is claimed and released by others all the time")

    def take_over(self, key: bytes, claim: Claim, now_ms: int) -> bool:
        """See `KeyStore`."""
        found = self._database.get(_id(key))
        if found is None or _claim(found) != claim or found["controller"] != claim.by:
            return False
        try:
            self._database.put(_id(key), {**found, "controller": self.by, "since": now_ms})
        except RevisionConflict:
            return False
        return True

    def release(self, key: bytes, activation_id: str) -> None:
        """See `KeyStore`."""
        found = self._database.get(_id(key))
        if found is not None and found["activation"] == activation_id:
            try:
                self._database.delete(_id(key), found["_rev"])
            except RevisionConflict:
                return  # another controller has taken it over

    def sweep(self, now_ms: int, limit: int) -> tuple[int, int]:
        """See `KeyStore`."""
        rows = self._database.all_docs(startkey=self._swept, endkey=_HOME + TOP, limit=limit, include_docs=True)
        self._swept = _HOME if len(rows) < limit else rows[-1]["id"] + "\0"
        old = [row["doc"] for row in rows if row.get("doc") is not None and self._old(row["doc"], now_ms)]
        if old:
            # One that was claimed anew meanwhile conflicts, and stays.
            self._database.write_all(
                [json.dumps({"_id": one["_id"], "_rev": one["_rev"], "_deleted": True}).encode() for one in old]
            )
        return len(rows), len(old)

    def close(self) -> None:
        """Close all connections; idempotent."""
        self._server.close()

    def _old(self, document: dict[str, Any], now_ms: int) -> bool:
        made_ms: int = document["made"]
        return made_ms <= now_ms - self._ttl_ms


def _id(key: bytes) -> str:
    return _HOME + key.hex()


def _claim(document: dict[str, Any]) -> Claim:
    return Claim(
        bytes.fromhex(document["body"]), document["activation"], by=document["controller"], since_ms=document["since"]
    )
