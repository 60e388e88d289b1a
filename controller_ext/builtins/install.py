"""Puts the built-in packages into the store: once, and again when this version of them differs from the one there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from controller_ext.builtins.packages import NAMESPACE, PACKAGES, BuiltinAction, BuiltinPackage
from invoker_ext.store import EntityStore

_HERE: Final = Path(__file__).parent
_ACTIONS: Final = _HERE / "actions"
MARKER_ID: Final = f"{NAMESPACE}/.builtins"
"""What was installed: a name that no entity of the API can have."""
_NOT_OURS: Final = ""
"""In place of the revision of what was there before us."""


def install(store: EntityStore, now_ms: int) -> bool:
    """Make the store have the built-in packages; return whether anything was to be done.

    An operator may change or delete them with the key of `whisk.system`: what is not as it was installed is left so,
    also by a later version. Whatever dies in between, the next call does the rest.

    Args:
        store: Of entities.
        now_ms: Epoch milliseconds.

    Raises:
        StoreUnavailable: Perhaps a part of them was written.
    """
    digest = _digest()
    marker = store.get(MARKER_ID)
    if marker is not None and marker.body["digest"] == digest:
        return False
    # Only an installation needs the modules that read what a client sends.
    from controller_ext.builtins.making import document

    before: dict[str, str] = {} if marker is None else marker.body["revisions"]
    after: dict[str, str] = {}
    for package, action in _entities():
        doc_id = _id(package, action)
        old = store.get(doc_id)
        code = None if action is None else _file(package, action).read_text()
        body = document(package, action, code, None if old is None else old.body, now_ms)
        if old is not None and _same(old.body, body):
            after[doc_id] = old.revision
        elif before.get(doc_id) == (None if old is None else old.revision):
            after[doc_id] = store.put(doc_id, body, None if old is None else old.revision).revision
        else:
            after[doc_id] = before.get(doc_id, _NOT_OURS)
    for doc_id in sorted(before.keys() - after.keys(), reverse=True):  # actions before their package
        old = store.get(doc_id)
        if old is not None and old.revision == before[doc_id]:
            store.delete(doc_id, old.revision)
    body = {
        "namespace": NAMESPACE,
        "name": MARKER_ID.rpartition("/")[2],
        "entityType": "builtins",
        "updated": now_ms,
        "digest": digest,
        "revisions": after,
    }
    store.put(MARKER_ID, body, None if marker is None else marker.revision)
    return True


def _same(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Return whether two documents differ only in what every write changes."""
    return {**old, "version": "", "updated": 0} == {**new, "version": "", "updated": 0}


def _entities() -> Iterator[tuple[BuiltinPackage, BuiltinAction | None]]:
    """Yield each package, then its actions."""
    for package in PACKAGES:
        yield package, None
        for action in package.actions:
            yield package, action


def _id(package: BuiltinPackage, action: BuiltinAction | None) -> str:
    return f"{NAMESPACE}/{package.name}" + ("" if action is None else f"/{action.name}")


def _file(package: BuiltinPackage, action: BuiltinAction) -> Path:
    return _ACTIONS / f"{action.file or f'{package.name}/{action.name}'}.py"


def _digest() -> str:
    """Return what changes with anything that is installed: the files of this folder."""
    digest = hashlib.sha256()
    for path in sorted(_HERE.rglob("*.py")):
        digest.update(path.relative_to(_HERE).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
