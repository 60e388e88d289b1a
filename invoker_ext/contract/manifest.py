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
_DURATION: Final = re.compile(r"(\d+) ?(s|seconds?|m|minutes?|h|hours?)")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600}
_COUNTS: Final = ("minCount", "maxCount", "threshold", "increment")
_REACTIVE: Final = (
    "'reactive' of a stem cell of {} needs whole numbers 0 <= minCount <= maxCount, maxCount, threshold and increment "
    'above 0, and a ttl above 0, as in "2 minutes"'
)


@dataclass(slots=True, frozen=True, kw_only=True)
class Reactive:
    """How the number of a kind's stem cells follows its cold starts."""

    min_count: int
    max_count: int
    ttl_s: float
    """One above the number goes when nobody has used it for so long."""
    threshold: int
    """So many cold starts between two checks call for `increment` stem cells."""
    increment: int

    def wanted(self, cold_starts: int) -> int:
        """Return how many stem cells so many cold starts since the last check call for."""
        return min(max(self.min_count, cold_starts // self.threshold * self.increment), self.max_count)


@dataclass(slots=True, frozen=True)
class Stem:
    """Containers of a kind that are started before anybody asks."""

    kind: str
    memory_mb: int
    count: int
    reactive: Reactive | None = None


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
        fields = cell if isinstance(cell, dict) else {}
        count = fields.get("initialCount", fields.get("count"))
        memory = _MEMORY.fullmatch(str(fields.get("memory", "")).strip())
        if not isinstance(count, int) or memory is None:
            raise ValueError(f"a stem cell of {kind} needs 'initialCount' and 'memory', as in \"256 MB\"")
        memory_mb = int(memory[1]) * (_GB if memory[2].lower().startswith("g") else 1)
        yield Stem(kind, memory_mb, count, _reactive(kind, fields.get("reactive")))


def _reactive(kind: str, found: Any) -> Reactive | None:
    if found is None:
        return None
    fields = found if isinstance(found, dict) else {}
    ttl = _DURATION.fullmatch(str(fields.get("ttl", "")).strip())
    counts = [fields.get(one) for one in _COUNTS]
    if ttl is None or not all(type(one) is int for one in counts):
        raise ValueError(_REACTIVE.format(kind))
    made = Reactive(
        min_count=fields["minCount"],
        max_count=fields["maxCount"],
        ttl_s=int(ttl[1]) * _UNITS_S[ttl[2][0]],
        threshold=fields["threshold"],
        increment=fields["increment"],
    )
    if not 0 <= made.min_count <= made.max_count or min(made.max_count, made.ttl_s, made.threshold, made.increment) < 1:
        raise ValueError(_REACTIVE.format(kind))
    return made
