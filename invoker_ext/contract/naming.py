"""How a composition names its actions, and what it is told of one that cannot be run."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

HERE: Final = "_"
"""Stands for the caller's namespace."""
SEGMENT: Final = re.compile(r"(\w|\w[\w@ .&-]{0,254}[\w@.&-])", re.ASCII)
"""What can name a namespace, a package or an entity."""
_UNREADABLE: Final = "Failed to parse action name from json value {} during composition."
_OUT_OF_REACH: Final = "Failed entitlement check for action with name '{}' during composition."
_ABSENT: Final = "Failed to resolve action with name '{}' during composition."


class Parts(NamedTuple):
    """Of a full name."""

    namespace: str
    package: str | None
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in self if part is not None)


def parts_of(action: Any, namespace: str) -> Parts | None:
    """Return the full name of a component; None: it has none.

    Args:
        action: `[package/]name` in the caller's namespace, `namespace/package/name`, or `/namespace/[package/]name`;
            any other JSON value names nothing.
        namespace: The caller's.
    """
    if not isinstance(action, str):
        return None
    segments = [one for one in action.split("/") if one]  # stock ignores empty ones
    absolute = action.startswith("/") or len(segments) == 3
    if not (1 + absolute <= len(segments) <= 2 + absolute and all(map(SEGMENT.fullmatch, segments))):
        return None
    if not absolute:
        segments = [namespace, *segments]
    elif segments[0] == HERE:
        segments[0] = namespace
    first, *package, name = segments
    return Parts(first, package[0] if package else None, name)


def unreadable(action: Any) -> str:
    """Return what is told of a JSON value that names no action."""
    return _UNREADABLE.format(json.dumps(action, separators=(",", ":"), ensure_ascii=False))


def out_of_reach(name: object) -> str:
    """Return what is told of an action that its caller must not run."""
    return _OUT_OF_REACH.format(name)


def absent(name: object) -> str:
    """Return what is told of an action that does not exist."""
    return _ABSENT.format(name)
