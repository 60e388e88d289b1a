"""What all entities have in common: version, publish, the stored document and what is shown of it."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from controller_ext.entities.errors import Malformed

dumps: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""A JSON value as stock's sentences show it."""
FIRST_VERSION: Final = "0.0.1"
_VERSION: Final = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?", re.ASCII)


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
