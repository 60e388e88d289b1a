"""Makes the databases and their design documents; may be called again at any time, by any number of processes."""

from __future__ import annotations

from typing import Any, Final

from invoker_ext.store import RevisionConflict
from invoker_ext.stores.couchdb import designs
from invoker_ext.stores.couchdb.client import Database, Server

SUBJECTS: Final = "subjects"
WHISKS: Final = "whisks"
ACTIVATIONS: Final = "activations"
_DESIGNS: Final = {
    SUBJECTS: designs.SUBJECTS_DESIGNS,
    WHISKS: designs.WHISKS_DESIGNS,
    ACTIVATIONS: designs.ACTIVATIONS_DESIGNS,
}


def set_up(server: Server, prefix: str) -> bool:
    """Make what is missing; return whether anything was.

    A design document that is there stays as it is, but for views that it does not have: another text of a view makes
    CouchDB index all documents again, and stock's own tools write theirs.

    Args:
        server: Where.
        prefix: Of the names of the three databases.

    Raises:
        StoreUnavailable: Perhaps a part was made.
    """
    made = False
    for name, wanted in _DESIGNS.items():
        database = server.database(prefix + name)
        made |= database.make()
        for design in wanted:
            made |= _ensure(database, design)
    return made


def _ensure(database: Database, design: dict[str, Any]) -> bool:
    path = design["_id"].split("/")
    there = database.get(path)
    document = dict(design) if there is None else dict(there)
    for member in ("views", "filters"):
        if member in design:
            document[member] = {**design[member], **document.get(member, {})}
    document.setdefault("language", "javascript")
    if document == there:
        return False
    try:
        database.put(path, document)
    except RevisionConflict:
        return _ensure(database, design)  # somebody else does the same
    return True
