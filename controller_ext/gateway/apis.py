"""The APIs of all namespaces: kept among the entities, one document an API, and compiled to routes.

A document's id is `NAMESPACE/api:BASE_PATH`, which no entity can have as a name; its `entityType` is `api`, so that no
list of other entities shows it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from controller_ext.gateway import checks, swagger
from controller_ext.gateway.creation import Endpoint, Upload
from controller_ext.gateway.errors import DeletionRefused
from controller_ext.gateway.routes import Routes
from invoker_ext.store import Document, EntityStore, RevisionConflict

TYPE: Final = "api"
_Result = TypeVar("_Result")
_ATTEMPTS: Final = 100
"""To change an API that others change as well; one of them gets on each time."""
_KEPT: Final = 256
"""Namespaces whose routes are kept."""


class Apis:
    """Lists, creates and deletes APIs.

    Args:
        store: Of the entities.
        now_ms: Epoch milliseconds.
    """

    def __init__(self, store: EntityStore, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms

    def listed(self, namespace: str, api: str | None = None) -> list[dict[str, Any]]:
        """Return the documents of a namespace's APIs, last updated first.

        Args:
            namespace: Whose.
            api: Only those with this base path, or, without a slash in front, of this name.
        """
        return [one.body["document"] for one in self._found(namespace, api)]

    def create(self, namespace: str, wanted: Endpoint | Upload) -> dict[str, Any]:
        """Add an operation to an API, or store a whole one in place of that with its base path; return its document.

        Raises:
            CreationRefused: It would not be a good one.
            TooLarge: It would be too large.
            RevisionConflict: Others changed it all the time.
        """
        if isinstance(wanted, Upload):
            checks.check(wanted.document)
        return _repeated(lambda: self._create(namespace, wanted))

    def delete(self, namespace: str, api: str, path: str | None, method: str | None) -> None:
        """Delete an API, a path of it, or an operation (method in lower case); with its last operation it is gone.

        Raises:
            DeletionRefused: There is none.
            RevisionConflict: Others changed it all the time.
        """
        _repeated(lambda: self._delete(namespace, api, path, method))

    def _create(self, namespace: str, wanted: Endpoint | Upload) -> dict[str, Any]:
        if isinstance(wanted, Upload):
            document = wanted.document
            old = self._store.get(_doc_id(namespace, document["basePath"]))
        else:
            found = self._found(namespace, wanted.api) or self._found(namespace, swagger.base_key(wanted.api))
            old = found[0] if found else None
            before = old.body["document"] if old else swagger.new(wanted.api, wanted.title)
            document = swagger.add(before, wanted)
            checks.check(document)
        key = swagger.base_key(document["basePath"])
        body = {
            "entityType": TYPE,
            "namespace": namespace,
            "name": key,
            "updated": self._now_ms(),
            "document": document,
        }
        self._store.put(_doc_id(namespace, key), body, None if old is None else old.revision)
        return document

    def _delete(self, namespace: str, api: str, path: str | None, method: str | None) -> None:
        found = self._found(namespace, api)
        if not found:
            raise DeletionRefused(f"API '{api}' does not exist.")
        old = found[0]
        left = swagger.remove(old.body["document"], path, method) if path else None
        if left is None:
            self._store.delete(old.id, old.revision)
        else:
            self._store.put(old.id, {**old.body, "document": left, "updated": self._now_ms()}, old.revision)

    def _found(self, namespace: str, api: str | None) -> list[Document]:
        if api is not None and api.startswith("/"):
            one = self._store.get(_doc_id(namespace, api))
            return [] if one is None else [one]
        found = list(self._store.list(TYPE, namespace))
        if api is None:
            return found
        named = [one for one in found if one.body["document"]["info"]["title"] == api]
        return named or [one for one in found if one.body["document"]["basePath"] == api]


class Tables:
    """Knows the routes of a tenant, by the uuid of its namespace; compiled once and kept until anything changes.

    Args:
        store: Of the entities and subjects.
    """

    def __init__(self, store: EntityStore) -> None:
        self._store = store
        self._known: dict[str, Routes] = {}
        self._version: object = None
        self._guard = threading.Lock()  # guards _known and _version

    def routes(self, tenant: str) -> Routes | None:
        """Return a tenant's routes; None: there is no such tenant.

        Raises:
            StoreUnavailable: They cannot be read.
        """
        version = self._store.version()
        with self._guard:
            if version == self._version and tenant in self._known:
                return self._known[tenant]
        routes = self._compiled(tenant)
        with self._guard:
            if version != self._version or len(self._known) >= _KEPT:
                self._known = {}
                self._version = version
            if routes is not None:  # else whoever guesses would push out what is asked for
                self._known[tenant] = routes
        return routes

    def _compiled(self, tenant: str) -> Routes | None:
        subject = self._store.subject_by_uuid(tenant)
        if subject is None:
            return None
        return Routes(one.body["document"] for one in self._store.list(TYPE, subject["namespace"]))


def _doc_id(namespace: str, base_path: str) -> str:
    return f"{namespace}/api:{swagger.base_key(base_path)}"


def _repeated(change: Callable[[], _Result]) -> _Result:
    """Return what a change returns, made again as long as somebody else was faster."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return change()
        except RevisionConflict:
            continue
    return change()
