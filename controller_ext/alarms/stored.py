"""Alarms as documents of the entity store; no name of the API leads to one."""

from __future__ import annotations

from typing import Any, Final

from controller_ext.alarms.feed import Alarm
from controller_ext.alarms.machine import Stored
from controller_ext.entities.names import Name
from invoker_ext.store import Document, EntityStore

TYPE: Final = "alarm"
_HOME: Final = ".alarms"
_NAMESPACE: Final = "whisk.system"


def alarm_id(trigger: Name) -> str:
    """Return the id of the alarm of a trigger: each has at most one."""
    return f"{_HOME}/{trigger.namespace}/{trigger.name}"


def document(doc_id: str, alarm: Alarm, now_ms: int) -> dict[str, Any]:
    """Return the body of a document; it holds the key that the alarm fires with."""
    return {
        "namespace": f"{_NAMESPACE}/{_HOME}",
        "name": doc_id.partition("/")[2],
        "entityType": TYPE,
        "updated": now_ms,
        "alarm": alarm,
    }


def stored(found: Document) -> Stored:
    """Return an alarm and where it stands."""
    return Stored(found.id, found.revision, found.body["alarm"])


def all_alarms(store: EntityStore) -> list[Stored]:
    """Return all alarms of all namespaces."""
    return [stored(one) for one in store.list(TYPE, _NAMESPACE, _HOME)]
