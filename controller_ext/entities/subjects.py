"""Subjects and their keys, limits of namespaces: what `dataflower admin` does. The texts are those of stock's wskadmin.

A subject may have keys to several namespaces, a namespace may have several subjects, each with a uuid and key of its
own. Taking a key away leaves what the namespace holds.
"""

from __future__ import annotations

import hmac
import secrets
import string
import uuid as uuids
from collections.abc import Callable, Mapping
from typing import Any, Final

from action_runtime.wire.errors import Blame, DataflowError
from controller_ext.entities.errors import Rejected
from controller_ext.entities.names import check_entity
from invoker_ext.store import Document, EntityStore, RevisionConflict

LEAST_SUBJECT_CHARS: Final = 5
KEY_CHARS: Final = 64
_KEY_ALPHABET: Final = string.ascii_letters + string.digits
_TRIES: Final = 5
"""How often a change is made anew because somebody else changed the document at the same moment."""
LIMITS: Final = (
    "invocationsPerMinute",
    "firesPerMinute",
    "concurrentInvocations",
    "allowedKinds",
    "storeActivations",
    "minActionMemory",
    "maxActionMemory",
    "minActionLogs",
    "maxActionLogs",
    "minActionTimeout",
    "maxActionTimeout",
    "minActionConcurrency",
    "maxActionConcurrency",
    "maxActionInstances",
    "maxParameterSize",
)
"""Members of a limits document, in the order in which they are shown."""


class AdminRefused(DataflowError):
    """What an operator asked for cannot be done; the text says why."""

    code = "admin-refused"
    blame = Blame.CALLER


class AdminInvalid(AdminRefused):
    """What an operator asked for can never be done: a name, key or value is not one."""

    code = "admin-invalid"


def make_key() -> str:
    """Return a new secret key."""
    return "".join(secrets.choice(_KEY_ALPHABET) for _ in range(KEY_CHARS))


class Subjects:
    """The database of subjects, as an operator changes it.

    Args:
        store: Where subjects are.
    """

    def __init__(self, store: EntityStore) -> None:
        self._store = store

    def create(
        self, subject: str, *, namespace: str | None = None, auth: str | None = None, revoke: bool, force: bool
    ) -> str:
        """Give a subject a key to a namespace and return it as `uuid:key`.

        Args:
            subject: Made if it is not there.
            namespace: None: the one of the subject's own name.
            auth: `uuid:key` to use; None: made here.
            revoke: Replace a key that is there; its uuid stays, if `auth` does not give another.
            force: Replace uuid and key that are there.

        Raises:
            AdminInvalid: A name or the key is not one.
            AdminRefused: The subject is blocked, or has a key to this namespace, or the uuid is somebody else's.
        """
        subject = _subject_name(subject)
        name = _namespace_name(subject if namespace is None else namespace)
        uuid, key = (str(uuids.uuid4()), make_key()) if auth is None else _parse_auth(auth)
        taken = self._store.subject_by_uuid(uuid)
        if taken is not None and (taken["subject"], taken["namespace"]) != (subject, name):
            raise AdminRefused(
                f'authorization id {uuid} is in use: subject "{taken["subject"]}", namespace "{taken["namespace"]}";'
                " choose another, or leave --auth out"
            )

        def change(body: dict[str, Any] | None) -> dict[str, Any]:
            nonlocal uuid
            if body is None:
                return {"subject": subject, "namespaces": [{"name": name, "uuid": uuid, "key": key}]}
            if body.get("blocked"):
                raise AdminRefused("The subject you want to edit is blocked")
            there = next((one for one in body["namespaces"] if one["name"] == name), None)
            if there is not None and not (revoke or force):
                raise AdminRefused("Namespace already exists; --revoke replaces its key")
            if there is not None and auth is None and not force:
                uuid = there["uuid"]
            others = [one for one in body["namespaces"] if one["name"] != name]
            return {**body, "namespaces": [*others, {"name": name, "uuid": uuid, "key": key}]}

        self._change(subject, change)
        return f"{uuid}:{key}"

    def delete(self, subject: str, namespace: str | None = None) -> str:
        """Remove a subject, or its key to one namespace; return what was done."""
        if namespace is None:
            document = self._document(subject, "delete")
            self._store.delete_subject_document(document.id, document.revision)
            return "Subject deleted"

        def change(body: dict[str, Any]) -> dict[str, Any]:
            left = [one for one in body["namespaces"] if one["name"] != namespace.strip()]
            if len(left) == len(body["namespaces"]):
                raise AdminRefused(f'Namespace "{namespace.strip()}" does not exist for "{body["subject"]}"')
            return {**body, "namespaces": left}

        self._edit(subject, "delete", change)
        return "Namespace deleted"

    def keys(self, subject: str) -> list[tuple[str, str]]:
        """Return `(namespace, uuid:key)` of all namespaces of a subject."""
        body = self._document(subject, "get").body
        return [(one["name"], f"{one['uuid']}:{one['key']}") for one in body["namespaces"]]

    def key(self, subject: str, namespace: str | None = None) -> str:
        """Return a subject's `uuid:key` for a namespace, by default that of its own name."""
        wanted = subject.strip() if namespace is None else namespace.strip()
        keys = self.keys(subject)
        for name, auth in keys:
            if name == wanted:
                return auth
        has = ", ".join(name for name, _ in keys) or "none"
        raise AdminRefused(f'namespace "{wanted}" not found for "{subject.strip()}"; it has: {has}')

    def identities(self, namespace: str) -> list[tuple[str, str]]:
        """Return `(uuid:key, subject)` of everybody who has a key to a namespace and is not blocked."""
        return [(f"{one['uuid']}:{one['key']}", one["subject"]) for one in self._store.identities(namespace.strip())]

    def whois(self, auth: str) -> tuple[str, str] | None:
        """Return subject and namespace of a key that opens something; None: it opens nothing."""
        uuid, _, key = auth.strip().partition(":")
        found = self._store.subject_by_uuid(uuid.lower())
        if found is None or found["blocked"] or not hmac.compare_digest(found["key"].encode(), key.encode()):
            return None
        return found["subject"], found["namespace"]

    def block(self, subject: str, *, blocked: bool) -> None:
        """Refuse a subject's keys from its next request on, or accept them again."""
        self._edit(subject, "block" if blocked else "unblock", lambda body: {**body, "blocked": blocked})

    def set_limits(self, namespace: str, limits: Mapping[str, Any]) -> None:
        """Set limits of a namespace; what `limits` does not name stays as it is.

        Raises:
            AdminInvalid: A least value would be above its greatest.
        """

        def change(body: dict[str, Any] | None) -> dict[str, Any]:
            merged = {**(body or {}), **limits}
            for name, least in merged.items():
                most = merged.get(name.replace("min", "max", 1))
                if name.startswith("min") and isinstance(most, int) and least > most:
                    raise AdminInvalid(f"{name} {least} would be above {name.replace('min', 'max', 1)} {most}")
            return merged

        self._change(_limits_id(namespace), change)

    def limits(self, namespace: str) -> list[tuple[str, Any]] | None:
        """Return the limits that a namespace has of its own, in the order of LIMITS; None: it has none."""
        document = self._store.subject_document(_limits_id(namespace))
        if document is None:
            return None
        return [(name, document.body[name]) for name in LIMITS if name in document.body]

    def delete_limits(self, namespace: str) -> None:
        """Have the system's limits hold for a namespace again."""
        document = self._store.subject_document(_limits_id(namespace))
        if document is None:
            raise AdminRefused(f'Failed to delete limits (namespace "{namespace}" has none of its own)')
        self._store.delete_subject_document(document.id, document.revision)

    def _document(self, subject: str, verb: str) -> Document:
        name = subject.strip()
        if not name:
            raise AdminInvalid("Subject must not be empty")
        document = None if "/" in name else self._store.subject_document(name)
        if document is None:
            create = f"; `dataflower admin user create {name}` makes it" if verb == "get" else ""
            raise AdminRefused(f'Failed to {verb} subject (there is no subject "{name}"{create})')
        return document

    def _edit(self, subject: str, verb: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Change a subject that is there; one that is deleted meanwhile is not made again."""

        def edited(body: dict[str, Any] | None) -> dict[str, Any]:
            return change(self._document(subject, verb).body if body is None else body)

        self._change(self._document(subject, verb).id, edited)

    def _change(self, doc_id: str, change: Callable[[dict[str, Any] | None], dict[str, Any]]) -> None:
        for left in reversed(range(_TRIES)):
            before = self._store.subject_document(doc_id)
            body = change(None if before is None else before.body)
            try:
                self._store.put_subject_document(doc_id, body, None if before is None else before.revision)
            except RevisionConflict:
                if not left:
                    raise
            else:
                return


def _subject_name(text: str) -> str:
    name = text.strip()
    if len(name) < LEAST_SUBJECT_CHARS:
        raise AdminInvalid(f"Subject name must be at least {LEAST_SUBJECT_CHARS} characters")
    if "/" in name:
        raise AdminInvalid("Subject name must not contain a slash")
    return name


def _namespace_name(text: str) -> str:
    name = text.strip()
    if not name:
        raise AdminInvalid("Namespace must not be empty")
    try:
        if name == "_":
            raise AdminInvalid('Namespace must not be "_", which stands for the caller\'s own')
        return check_entity(name)
    except Rejected as error:
        raise AdminInvalid(f'"{name}" cannot name a namespace: {error} Choose one with --namespace') from error


def _limits_id(namespace: str) -> str:
    return f"{_namespace_name(namespace)}/limits"


def _parse_auth(auth: str) -> tuple[str, str]:
    uuid, separator, key = auth.strip().partition(":")
    if not separator:
        raise AdminInvalid("failed to determine authorization id and key: expected UUID:KEY")
    try:
        uuid = str(uuids.UUID(uuid))
    except ValueError as error:
        raise AdminInvalid("authorization id is not a valid UUID") from error
    if len(key) != KEY_CHARS:
        word = "at least" if len(key) < KEY_CHARS else "exactly"
        raise AdminInvalid(f"authorization key must be {word} {KEY_CHARS} characters long")
    if not key.isascii() or not key.isprintable():
        raise AdminInvalid("authorization key must be printable ASCII characters")
    return uuid, key
