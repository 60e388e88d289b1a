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
_NUMBER: Final = re.compile(r"\+?\d{1,40}", re.ASCII)
_LARGEST: Final = (1 << 31) - 1
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


def parse_version(value: object) -> str | None:
    """Return a semantic version, None if there is none: as in stock, its first three numbers, not all of them zero."""
    if value is None:
        return None
    texts = value.rstrip(".").split(".")[:3] if isinstance(value, str) else []
    parts = [int(text) for text in texts if _NUMBER.fullmatch(text)]
    if len(parts) < len(texts) or not any(parts) or max(parts) > _LARGEST:
        raise Malformed("semantic version malformed")
    return ".".join(map(str, [*parts, 0, 0][:3]))


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
