"""What the path of a web action names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from controller_ext.entities.names import Name, is_segment

METHODS: Final = ("GET", "DELETE", "POST", "PUT", "HEAD", "OPTIONS", "PATCH")
DEFAULT_PACKAGE: Final = "default"
_EXTENSION: Final = re.compile(r"(.*)\.(http|json|html|svg|text)", re.DOTALL)


@dataclass(slots=True, frozen=True)
class Target:
    """A web action, and how its result is wanted.

    Attributes:
        name: Of the action.
        extension: `http`, `json`, `html`, `svg` or `text`.
        rest: Segments that follow, decoded.
    """

    name: Name
    extension: str
    rest: tuple[str, ...]


def parse(segments: Sequence[str]) -> Target | None:
    """Read what follows `/web/`, decoded; None: no web action can be of this path."""
    if len(segments) < 3 or not all(is_segment(one) for one in segments[:3]):
        return None
    namespace, package, action = segments[:3]
    match = _EXTENSION.fullmatch(action)
    name, extension = match.groups() if match else (action, "http")
    full = Name(namespace, None if package == DEFAULT_PACKAGE else package, name)
    return Target(full, extension, tuple(segments[3:]))
