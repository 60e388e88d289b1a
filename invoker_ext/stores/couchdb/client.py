"""Requests to a CouchDB server and what its answers mean; the only module that knows the PyPI package `couchdb`.

Of that package the session is used: URLs, credentials, connections. JSON goes through as bytes, so that each caller
parses what it needs, the way it needs.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from couchdb import http as couch

from action_runtime.wire.errors import DataflowError
from invoker_ext.store import RevisionConflict, StoreFull, StoreRefused, StoreUnavailable
from invoker_ext.stores.couchdb.connections import Pool

BUSY_S: Final = 5.0
"""How long anybody waits for a free connection."""
CONNECTIONS: Final = 16
"""Of one process to one server: a database answers no faster to more."""
SET_UP: Final = "make it with `dataflower admin db init`"
_JSON: Final = {"Content-Type": "application/json"}
_NO_DATABASE: Final = frozenset({"Database does not exist.", "no_db_file"})
_BROKEN: Final = (OSError, http.client.HTTPException)
_NOT_COUCHDB: Final = (AttributeError, TypeError, ValueError, couch.RedirectLimit)
"""What the package raises at an error whose body is not CouchDB's."""

Id = str | list[str]
"""Of a document: one segment of a path; of a design document several."""


class Missing(Exception):
    """There is no such document or database."""


class Server:
    """One CouchDB server. Thread-safe; a connection that broke is made again by the request that finds it broken.

    Args:
        url: `http(s)://HOST:PORT`, without credentials.
        user: Empty: none.
        password: Of the user.
        timeout_s: Longest silence within an answer.
        connections: Most at a time.
    """

    def __init__(
        self, url: str, user: str = "", password: str = "", *, timeout_s: float, connections: int = CONNECTIONS
    ) -> None:
        self.url = url.rstrip("/")
        self._pool = Pool(timeout_s)
        # The package's own retries do not tell a repeated write from a first one.
        session = couch.Session(timeout=timeout_s, retryable_errors=())
        session.connection_pool = self._pool
        session.cache = _NoCache()
        self._resource = couch.Resource(self.url, session)
        self._resource.credentials = (user, password) if user else None
        self._slots = threading.BoundedSemaphore(connections)
        self._closed = False

    def database(self, name: str) -> Database:
        """Return a database, which need not exist yet."""
        return Database(self, name)

    def send(
        self,
        method: str,
        path: list[str],
        body: bytes | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        repeated: list[bool] | None = None,
    ) -> bytes:
        """Return the body of an answer.

        Args:
            method: Of HTTP.
            path: Its segments, not quoted.
            body: JSON; None: none.
            query: Parameters of the URL.
            repeated: Gets True if the server may have seen the request twice.

        Raises:
            Missing: There is no such document or database.
            RevisionConflict: 409.
            StoreRefused: It is wrong, or too large.
            StoreUnavailable: The server cannot be reached, cannot answer or does not let us.
        """
        with self._slot():
            try:
                return self._once(method, path, body, query or {})
            except _BROKEN as error:
                if self._closed or self._pool.was_new or isinstance(error, TimeoutError):
                    raise self._unreachable(error) from error
                # The server ended a connection that waited here, perhaps all of them: it may have been restarted.
                self._pool.drop()
            if repeated is not None:
                repeated.append(True)
            try:
                return self._once(method, path, body, query or {})
            except _BROKEN as error:
                raise self._unreachable(error) from error

    def ask(self, method: str, path: list[str], body: bytes | None = None, **more: Any) -> Any:
        """Do the same, and parse the answer."""
        text = self.send(method, path, body, **more)
        try:
            return json.loads(text)
        except ValueError as error:
            raise self._no_couchdb(error) from error

    def close(self, *, abort: bool = False) -> None:
        """Close connections; those in use when their request ends, or at once. Idempotent."""
        self._closed = True
        self._pool.close()
        if abort:
            self._pool.abort()

    def _once(self, method: str, path: list[str], body: bytes | None, query: Mapping[str, Any]) -> bytes:
        try:
            _, _, data = self._resource._request(method, path, body=body, headers=dict(_JSON), **query)
            return b"" if data is None else bytes(data.read())
        except couch.HTTPError as error:
            raise self._translated(path, error) from error
        except _NOT_COUCHDB as error:
            raise self._no_couchdb(error) from error
        finally:
            self._pool.settle()

    def _translated(self, path: list[str], error: couch.HTTPError) -> Exception:
        what = error.args[0] if error.args else None
        if isinstance(error, couch.ServerError):
            return self._failed(*error.args[0])
        reason = what[1] if isinstance(what, tuple) else what
        if isinstance(error, couch.ResourceNotFound):
            if reason in _NO_DATABASE:
                return _NoDatabase(f"{self.url} has no database {path[0]}: {SET_UP}, or correct the prefix")
            return Missing("/".join(path))
        if isinstance(error, couch.ResourceConflict):
            return RevisionConflict("/".join(path[1:]))
        if isinstance(error, couch.PreconditionFailed):
            return Exists(path[0])
        return StoreUnavailable(f"{self.url} does not let us in ({reason}): check user and password of the store")

    def _failed(self, status: int, what: Any) -> DataflowError:
        reason = ": ".join(str(one) for one in what if one) if isinstance(what, tuple) else repr(what)
        if "enospc" in reason:
            return StoreFull(f"the disk of {self.url} is full: free space, then try again")
        if status in (400, 413, 415):
            return StoreRefused(f"{self.url} refuses a request ({status} {reason})")
        return StoreUnavailable(f"{self.url} cannot answer ({status} {reason})")

    def _no_couchdb(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"what answers at {self.url} is no CouchDB: {error}")

    def _unreachable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"CouchDB at {self.url} cannot be reached: {str(error) or type(error).__name__}")

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(timeout=BUSY_S):
            raise StoreUnavailable(f"no connection to {self.url} got free within {BUSY_S:.0f} s")
        try:
            if self._closed:
                raise StoreUnavailable(f"the store at {self.url} is closed")
            yield
        finally:
            self._slots.release()


class _NoDatabase(StoreUnavailable):
    """An operator must make it."""

    code = "store-not-set-up"


class Exists(Exception):
    """A database of this name is there."""


class Database:
    """One database. Reads give parsed JSON by the standard library, which keeps any integer."""

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        self.name = name

    def make(self) -> bool:
        """Make the database; return whether it was missing."""
        try:
            self._server.send("PUT", [self.name])
        except Exists:
            return False
        return True

    def get(self, doc_id: Id) -> dict[str, Any] | None:
        """Return a document; None: there is none."""
        try:
            document: dict[str, Any] = self._server.ask("GET", [self.name, *_segments(doc_id)])
        except Missing:
            return None
        return document

    def put(self, doc_id: Id, document: dict[str, Any]) -> str:
        """Write a document whose `_rev` is that of what it replaces; return its new revision.

        Raises:
            RevisionConflict: Something else is there.
            StoreUnavailable: Perhaps it was written.
        """
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")
        repeated: list[bool] = []
        try:
            answer = self._server.ask("PUT", [self.name, *_segments(doc_id)], body, repeated=repeated)
        except RevisionConflict:
            # What is there may be what we wrote before the connection broke.
            there = self.get(doc_id) if repeated else None
            if there is None or _content(there) != _content(document):
                raise
            return str(there["_rev"])
        return str(answer["rev"])

    def delete(self, doc_id: Id, revision: str) -> None:
        """Remove a document; raises RevisionConflict if it is another one or none."""
        repeated: list[bool] = []
        try:
            self._server.send("DELETE", [self.name, *_segments(doc_id)], query={"rev": revision}, repeated=repeated)
        except Missing as error:
            if not repeated:  # else we have removed it ourselves
                raise RevisionConflict(str(doc_id)) from error

    def attachment(self, doc_id: str, name: str) -> bytes | None:
        """Return an attachment; None: it is not there (any more)."""
        try:
            return self._server.send("GET", [self.name, doc_id, name])
        except Missing:
            return None

    def write_all(self, documents: list[bytes], *, as_they_are: bool = False) -> list[dict[str, Any]]:
        """Write documents in one request.

        Args:
            documents: JSON.
            as_they_are: They have revisions, which CouchDB need not make: it takes each for a copy of one that was
                written elsewhere, and passes over those that it has.

        Returns:
            An answer for each, `{"ok"}` or `{"error", "reason"}`; of those as they are, for errors only.
        """
        front = b'{"new_edits":false,"docs":[' if as_they_are else b'{"docs":['
        body = b"".join((front, b",".join(documents), b"]}"))
        answers: list[dict[str, Any]] = self._server.ask("POST", [self.name, "_bulk_docs"], body)
        return answers

    def view(self, view: str, **query: Any) -> list[dict[str, Any]]:
        """Return the rows of `DESIGN/VIEW`; keys are given as JSON values."""
        design, _, name = view.partition("/")
        return self._rows(["_design", design, "_view", name], query)

    def all_docs(self, **query: Any) -> list[dict[str, Any]]:
        """Return rows of documents in the order of their ids; those that are asked for and missing have an `error`."""
        return self._rows(["_all_docs"], query)

    def changes(self, since: str, wait_s: float) -> tuple[str, list[str]]:
        """Return where the database is, and what was written after `since`; waits for something to be written.

        Args:
            since: As returned before; `now`.
            wait_s: 0: return at once.
        """
        how = {"feed": "longpoll", "timeout": int(wait_s * 1000)} if wait_s else {"limit": 1}
        answer = self._server.ask("GET", [self.name, "_changes"], query={"since": since, **how})
        return str(answer["last_seq"]), [one["id"] for one in answer["results"]]

    def _rows(self, path: list[str], query: dict[str, Any]) -> list[dict[str, Any]]:
        keys = query.pop("keys", None)
        given = {name: json.dumps(value) for name, value in query.items()}
        body = None if keys is None else json.dumps({"keys": keys}).encode()
        method = "GET" if body is None else "POST"
        try:
            answer = self._server.ask(method, [self.name, *path], body, query=given)
        except Missing as error:
            raise StoreUnavailable(f"the database {self.name} has no view {'/'.join(path)}: {SET_UP}") from error
        rows: list[dict[str, Any]] = answer["rows"]
        return rows


class _NoCache:
    """The package would keep answers without a bound in bytes, and ask for each again anyway."""

    def get(self, url: str) -> None:
        return None

    def put(self, url: str, answer: object) -> None:
        """Keep nothing."""

    def remove(self, url: str) -> None:
        """Forget nothing."""


def _segments(doc_id: Id) -> list[str]:
    return [doc_id] if isinstance(doc_id, str) else doc_id


def _content(document: dict[str, Any]) -> dict[str, Any]:
    """Return what two versions of a document are compared by; attachments are named anew for each write."""
    return {name: value for name, value in document.items() if name not in ("_id", "_rev", "_attachments")}
