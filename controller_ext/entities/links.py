"""Changes of a trigger's links to its rules: many writers, none of which may undo what another did."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, Final

from controller_ext.entities import triggers
from invoker_ext.store import Document, EntityStore, RevisionConflict

GIVE_UP_S: Final = 5.0
"""Of attempts that others got ahead of; each of those has brought one of the others to its end."""
_LONGEST_PAUSE_S: Final = 0.02

Change = Callable[[dict[str, Any]], dict[str, Any]]
"""Body of a trigger → body with other links."""


def read(store: EntityStore, trigger_id: str) -> Document | None:
    """Return a trigger, None if there is none of this name (any more)."""
    document = store.get(trigger_id)
    return document if document is not None and document.body["entityType"] == triggers.TYPE else None


def change(store: EntityStore, trigger_id: str, how: Change) -> bool:
    """Change the links of a trigger; return False if there is no such trigger.

    Neither version nor time of the trigger change with its links, as in stock.

    Args:
        store: Where it is.
        trigger_id: Which.
        how: Called again, with what is stored by then, whenever somebody else was faster.

    Raises:
        RevisionConflict: Others were faster for too long; nothing was written.
    """
    give_up = time.monotonic() + GIVE_UP_S
    while True:
        document = read(store, trigger_id)
        if document is None:
            return False
        changed = how(document.body)
        if changed == document.body:
            return True
        try:
            store.put(document.id, changed, document.revision)
        except RevisionConflict:
            if time.monotonic() >= give_up:
                raise
            time.sleep(random.uniform(0, _LONGEST_PAUSE_S))
        else:
            return True
