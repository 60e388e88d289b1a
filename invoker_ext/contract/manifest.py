"""A runtimes manifest of stock's form: which image runs which kind, and which are kept started ahead. Pure.

Source: Apache OpenWhisk, `ExecManifest.scala`, `runtimes.json`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_MEMORY: Final = re.compile(r"(\d+) ?(m|mb|g|gb)", re.IGNORECASE)
_GB: Final = 1024


@dataclass(slots=True, frozen=True)
class Stem:
    """Containers of a kind that are started before anybody asks."""

    kind: str
    memory_mb: int
    count: int


@dataclass(slots=True, frozen=True)
class Runtimes:
    """What a manifest says.

    Attributes:
        images: Kind → reference of its image; the default of each family first.
        stems: Kept started.
    """

    images: Mapping[str, str]
    stems: tuple[Stem, ...] = field(default=())


def read_runtimes(text: str) -> Runtimes:
    """Read a manifest.

    Raises:
        ValueError: It is none, with a sentence that says where.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from error
    families = document.get("runtimes") if isinstance(document, dict) else None
    if not isinstance(families, dict):
        raise ValueError("has no object 'runtimes'")
    images: dict[str, str] = {}
    stems: list[Stem] = []
    for name, entries in families.items():
        if not (isinstance(entries, list) and all(isinstance(one, dict) for one in entries)):
            raise ValueError(f"runtimes.{name} is no list of objects")
        for entry in sorted(entries, key=lambda one: not one.get("default")):
            kind = entry.get("kind")
            if not (isinstance(kind, str) and kind.partition(":")[2]):
                raise ValueError(f"runtimes.{name} has an entry whose kind is not FAMILY:VERSION")
            images[kind] = _reference(kind, entry.get("image"))
            stems += _stems(kind, entry.get("stemCells") or [])
    return Runtimes(images, tuple(stems))


def _reference(kind: str, image: Any) -> str:
    """Return what the engine knows an image by: `registry/prefix/name:tag`."""
    parts = image if isinstance(image, dict) else {}
    if not (isinstance(parts.get("name"), str) and all(isinstance(one, str) for one in parts.values())):
        raise ValueError(f"the image of {kind} has no name")
    path = "/".join(parts[one].strip("/") for one in ("registry", "prefix", "name") if parts.get(one))
    return f"{path}:{parts.get('tag') or 'latest'}"


def _stems(kind: str, cells: Any) -> Iterator[Stem]:
    for cell in cells if isinstance(cells, list) else [None]:
        count = cell.get("initialCount", cell.get("count")) if isinstance(cell, dict) else None
        memory = _MEMORY.fullmatch(str(cell.get("memory", "")).strip()) if isinstance(cell, dict) else None
        if not isinstance(count, int) or memory is None:
            raise ValueError(f"a stem cell of {kind} needs 'initialCount' and 'memory', as in \"256 MB\"")
        yield Stem(kind, int(memory[1]) * (_GB if memory[2].lower().startswith("g") else 1), count)
