"""Numbers of invokers that nobody chose: each is a document of the store, made by the first who asks for it."""

from __future__ import annotations

from typing import Final

from controller_ext.standalone.datadir import CannotStart
from invoker_ext.store import EntityStore, RevisionConflict

MOST: Final = 10_000
"""Numbers there are; a controller takes no others."""
_HOME: Final = ".invokers"
_NAMESPACE: Final = "whisk.system"


def claim(store: EntityStore, owner: str, before: int | None, now_ms: int) -> int:
    """Return the number of an invoker, which nobody else gets as long as its document is there.

    Args:
        store: That all invokers share.
        owner: Stands for the invoker through all its lives.
        before: Its number in an earlier life, which it gets again unless the store has forgotten and given it away.
        now_ms: Milliseconds of the epoch.

    Raises:
        CannotStart: All are taken.
        StoreUnavailable: It cannot be asked.
    """
    for number in ([] if before is None else [before]) + list(range(MOST)):
        if _take(store, number, owner, now_ms):
            return number
    raise CannotStart(f"all {MOST} numbers of invokers are taken; set DATAFLOWER_INVOKER_ID")


def _take(store: EntityStore, number: int, owner: str, now_ms: int) -> bool:
    doc_id = f"{_HOME}/{number}"
    body = {
        "namespace": f"{_NAMESPACE}/{_HOME}",
        "name": str(number),
        "entityType": "invoker",
        "updated": now_ms,
        "owner": owner,
    }
    try:
        store.put(doc_id, body, None)
    except RevisionConflict:
        found = store.get(doc_id)
        return found is not None and found.body["owner"] == owner
    return True
