"""What all entities have in common: version, publish, the stored document and what is shown of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from controller_ext.entities.errors import Malformed
from controller_ext.entities.names import Name

dumps: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""A JSON value as stock's sentences show it."""
FIRST_VERSION: Final = "0.0.1"
_VERSION: Final = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?", re.ASCII)


_LISTED: Final = ("namespace", "name", "version", "publish", "updated", "annotations")


@dataclass(slots=True, frozen=True, kw_only=True)
class Put:
    """What the body of any PUT says; None: nothing about it."""

    version: str | None
    publish: bool | None


def new(entity_type: str, name: Name, put: Put, now_ms: int) -> dict[str, Any]:
    """Return what every new document begins with."""
    return {
        "namespace": name.path,
        "name": name.name,
        "entityType": entity_type,
        "version": put.version or FIRST_VERSION,
        "publish": bool(put.publish),
        "updated": now_ms,
    }


def renewed(old: dict[str, Any], put: Put, now_ms: int) -> dict[str, Any]:
    """Return a document that replaces another, with all members that a PUT does not name as they were."""
    return {
        **old,
        "version": put.version or next_version(old["version"]),
        "publish": old["publish"] if put.publish is None else put.publish,
        "updated": now_ms,
    }


def listed(body: dict[str, Any]) -> dict[str, Any]:
    """Return what every item of a list shows of a stored document."""
    return {name: body[name] for name in _LISTED}


def parse_object(value: object) -> dict[str, Any]:
    """Return the body of a PUT; raises Malformed if it is no object."""
    if not isinstance(value, dict):
        # Stock looks for code first, whatever the entity is.
        raise Malformed("Object expected in field 'exec'")
    return value


def parse_version(value: object) -> str | None:
    """Return a semantic version, None if there is none: as in stock, up to three numbers, not all of them zero."""
    if value is None:
        return None
    match = _VERSION.fullmatch(value) if isinstance(value, str) else None
    parts = [int(part or 0) for part in match.groups()] if match else []
    if not any(parts):
        raise Malformed("semantic version malformed")
    return ".".join(map(str, parts))


def parse_flag(value: object) -> bool | None:
    """Return a boolean member, None if there is none."""
    if value is None or isinstance(value, bool):
        return value
    raise Malformed(f"Expected JsBoolean, but got {dumps(value)}")


def next_version(version: str) -> str:
    """Return the version with its patch level up by one."""
    front, _, patch = version.rpartition(".")
    return f"{front}.{int(patch) + 1}"


def shown(body: dict[str, Any]) -> dict[str, Any]:
    """Return a stored document as the API shows it."""
    return {name: value for name, value in body.items() if name != "entityType"}
