"""Where documents live: entities, subjects, graphs and activation records. Implementations are in `stores/`.

Every method blocks (disk or network); callers off the main loop use a thread. An instance may be used from several
threads. Documents are JSON objects in OpenWhisk's CouchDB shapes; the code of an action stands inline in `exec.code`. A
store may keep the value of a JSON text instead of the text.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from action_runtime.wire.errors import Blame, DataflowError
from invoker_ext.contract.records import Activation


class RevisionConflict(DataflowError):
    """Somebody else changed the document since it was read."""

    code = "revision-conflict"
    blame = Blame.CALLER

    def __init__(self, doc_id: str) -> None:
        super().__init__(f"{doc_id} was changed by somebody else")


class StoreRefused(DataflowError):
    """The store will not take a document as it is (too large, not its JSON): trying again does not help."""

    code = "store-refused"
    blame = Blame.CALLER


class StoreUnavailable(DataflowError):
    """The store cannot be reached or cannot write (full disk, locked for too long)."""

    code = "store-unavailable"
    retryable = True


class StoreFull(StoreUnavailable):
    """The store's disk is full: its operator must free space; then all goes on by itself."""

    code = "store-full"


@dataclass(slots=True, frozen=True)
class Document:
    """A stored entity.

    Attributes:
        id: `namespace/[package/]name`; of an API `namespace/api:/base/path`.
        revision: Changes with each write.
        body: The JSON object without `_id` and `_rev`; must not be changed by the reader (it may be cached).
    """

    id: str
    revision: str
    body: dict[str, Any]


@dataclass(slots=True, frozen=True, kw_only=True)
class ActivationQuery:
    """Which records to list, newest start first.

    Attributes:
        namespace: Whose.
        name: `NAME` (default package only) or `PACKAGE/NAME`; None: all.
        since_ms, upto_ms: Inclusive bounds of the start.
        skip, limit: Window; limit 0: none.
        docs: False: results and logs may be left out of the records.
    """

    namespace: str
    name: str | None = None
    since_ms: int | None = None
    upto_ms: int | None = None
    skip: int = 0
    limit: int = 30
    docs: bool = True


class EntityStore(ABC):
    """Actions, packages, triggers, rules and APIs; and subjects and graphs beside them."""

    def version(self) -> object:
        """Return a value that changes with every write by any process; equal values: nothing changed in between.

        What was derived from documents may be kept as long as the version is the same. By default no two are equal.
        """
        return object()

    def invalidate(self, doc_id: str) -> None:  # noqa: B027 - most stores need not be told
        """Hear that another host wrote a document; by default no other host can."""

    def on_write(self, told: Callable[[str], None]) -> None:  # noqa: B027 - as above
        """Have each action, package and trigger that is written by this object told of, by its id, once it is there.

        For other hosts, of which by default there are none.
        """

    @abstractmethod
    def get(self, doc_id: str) -> Document | None:
        """Return a document, perhaps cached, but never staler than the last write on this host."""

    @abstractmethod
    def put(self, doc_id: str, body: dict[str, Any], revision: str | None) -> Document:
        """Create (revision None) or replace a document.

        Raises:
            RevisionConflict: It exists (revision None), or its revision is another one.
            StoreUnavailable: Nothing was written.
        """

    @abstractmethod
    def delete(self, doc_id: str, revision: str) -> None:
        """Remove a document; raises RevisionConflict if its revision is another one."""

    @abstractmethod
    def list(self, entity_type: str, namespace: str, package: str | None = None) -> Sequence[Document]:
        """Return entities of a type (`action package trigger rule api`), last updated first; code may be left out.

        Args:
            entity_type: Member `entityType` of the body.
            namespace: Whose; entities in its packages are included.
            package: Only those in this package.
        """

    @abstractmethod
    def subject_by_uuid(self, uuid: str) -> dict[str, Any] | None:
        """Return `{"subject", "namespace", "uuid", "key", "blocked", "limits"}` of the namespace with this uuid.

        A store may know nobody who is blocked.
        """

    @abstractmethod
    def identities(self, namespace: str) -> Sequence[dict[str, Any]]:
        """Return, as `subject_by_uuid`, everybody who has a key to a namespace and is not blocked, by subject."""

    def subject_by_namespace(self, namespace: str) -> dict[str, Any] | None:
        """Return, as `subject_by_uuid`, the first who has a key to a namespace; None: nobody who is not blocked."""
        return next(iter(self.identities(namespace)), None)

    @abstractmethod
    def subject_document(self, doc_id: str) -> Document | None:
        """Return a document of the database of subjects.

        Args:
            doc_id: `SUBJECT`: `{"subject", "namespaces": [{"name", "uuid", "key"}][, "blocked"]}`; or
                `NAMESPACE/limits`: limits of the namespace in the names of `GET …/limits`.
        """

    @abstractmethod
    def put_subject_document(self, doc_id: str, body: dict[str, Any], revision: str | None) -> Document:
        """Create (revision None) or replace a document of the database of subjects; raises as `put`."""

    @abstractmethod
    def delete_subject_document(self, doc_id: str, revision: str) -> None:
        """Remove a document of the database of subjects; raises as `delete`."""

    @abstractmethod
    def has_subjects(self) -> bool:
        """Return whether the database of subjects has any document."""

    def put_subject(self, subject: dict[str, Any]) -> None:
        """Write a subject, whatever it was before; raises as `put`."""
        name = subject["subject"]
        before = self.subject_document(name)
        self.put_subject_document(name, subject, None if before is None else before.revision)

    @abstractmethod
    def put_graph(self, digest: str, document: dict[str, Any]) -> None:
        """Keep a compiled graph under its digest; the same digest twice is no error."""

    @abstractmethod
    def graph(self, digest: str) -> dict[str, Any] | None:
        """Return a compiled graph."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections; idempotent."""


class ActivationStore(ABC):
    """Activation records."""

    @abstractmethod
    def put_many(self, records: Sequence[Activation]) -> None:
        """Write records in one go; a record that is there already is left as it is.

        Raises:
            StoreUnavailable: Perhaps some of them were written; all may be written again.
            StoreRefused: One of them cannot be; all others were written.
        """

    def keep_result(self, result: bytes) -> str | None:
        """Make a large result safe ahead of its record and return its place, for `Activation.place`; copies it once.

        It survives the death of any process from here on, and `put_many` of any record with this place does not write
        it again. None: this store keeps results of this size with their records only, as any does by default.

        Raises:
            StoreUnavailable: It should have been kept and could not.
        """
        del result
        return None

    def keep_datum(self, descriptor: int, size_bytes: int) -> str | None:
        """Do the same for a result in a file or memory, from its start; the descriptor stays the caller's."""
        del descriptor, size_bytes
        return None

    def kept_result(self, place: str) -> bytes | None:
        """Return what `keep_result` kept, whether a record of it has come or not; None: this store keeps none."""
        del place
        return None

    @abstractmethod
    def get(self, namespace: str, activation_id: str) -> Activation | None:
        """Return one record."""

    @abstractmethod
    def list(self, query: ActivationQuery) -> Sequence[Activation]:
        """Return records, newest start first; of equal starts a run after its parts.

        A store says up to how many of equal starts; SQLite, for any number, and later written first.
        """

    @abstractmethod
    def count(self, query: ActivationQuery) -> int:
        """Return max(0, number of matching records − skip); `limit` is ignored."""

    @abstractmethod
    def expire(self, before_ms: int | None, most: int | None, limit: int) -> int:
        """Delete records that are too old or too many, oldest first; return how many.

        Args:
            before_ms: Those that started before; None: no age is too old.
            most: Those beyond the latest so many of their namespace; None: no number is too many.
            limit: At most so many; 0 is returned only once there are no more.
        """

    def reclaim(self, before_ms: int) -> None:
        """Give back room that deleted records took, as far as this store does not do so by itself.

        Args:
            before_ms: Results that `keep_result` kept before and that no record has are deleted, too.
        """
        del before_ms

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections; idempotent."""


@dataclass(slots=True, frozen=True)
class Claim:
    """What the first request under an idempotency key was.

    Attributes:
        body: Digest of its body.
        activation_id: What it became.
        by: The controller that starts it; empty: there is one alone.
        since_ms: Since when that one does, in epoch milliseconds.
    """

    body: bytes
    activation_id: str
    by: str = field(default="", compare=False)
    since_ms: int = field(default=0, compare=False)


class KeyStore(ABC):
    """Idempotency keys and who claimed them; each is forgotten after a time, on one host also above a number.

    Attributes:
        by: Our id among the controllers that share the keys; empty: there is one alone.
    """

    by: str = ""

    @abstractmethod
    def find(self, key: bytes, now_ms: int) -> Claim | None:
        """Return the claim on a key that holds at this time."""

    @abstractmethod
    def claim(self, namespace: str, key: bytes, claim: Claim, now_ms: int) -> Claim:
        """Claim a key if nobody has; return the claim that holds. Atomic among all processes.

        Args:
            namespace: Whose it is; where claims are counted, by it.
            key: Digest of everything that the key is unique for.
            claim: The caller's.
            now_ms: Epoch milliseconds.

        Raises:
            StoreUnavailable: Nothing was claimed.
        """

    def take_over(self, key: bytes, claim: Claim, now_ms: int) -> bool:
        """Start in the place of the controller that has a claim; return False if the claim is not as it was."""
        return True

    def sweep(self, now_ms: int, limit: int) -> tuple[int, int]:
        """Look at so many claims, others each time, and remove the old; return how many of each there were.

        Fewer than `limit`: all have been looked at by now. By default a claim removes old ones itself.
        """
        return 0, 0

    @abstractmethod
    def release(self, key: bytes, activation_id: str) -> None:
        """Forget a claim, if it is that of this activation."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections; idempotent."""
