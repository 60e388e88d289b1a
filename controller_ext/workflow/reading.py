"""What the readers of one document share: findings, checks of keys and numbers, and the uses of outputs by edges."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controller_ext.workflow.errors import Finding, Path, WorkflowInvalid
from controller_ext.workflow.text import Document
from invoker_ext.contract import expressions
from invoker_ext.contract.graph import EdgeKind, Source

MAX_FINDINGS: Final = 100
_MAX_COMPARED: Final = 200
"""Names that `meant` compares with: enough for people, bounded for machines."""
_MAX_NAMED: Final = 8
"""Names that a sentence lists."""


@dataclass(slots=True, frozen=True)
class Use:
    """One output that an edge names.

    Attributes:
        reader: The step whose input it is; None: the result.
        path: Of the edge.
        kind: How it is read; alternatives of `any` count as VALUE.
        source: What is read.
    """

    reader: str | None
    path: Path
    kind: EdgeKind
    source: Source


@dataclass(slots=True)
class Reading:
    """State of reading one document.

    Attributes:
        document: The text, read.
        steps: Names of all steps, in the order of the text; for references.
        findings: What is wrong so far.
        uses: What has been read so far.
        broken: Steps with an edge that could not be read: their scope cannot be told.
        loops: Steps with `repeat`.
    """

    document: Document
    steps: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    loops: set[str] = field(default_factory=set)

    def note(self, path: Path, sentence: str) -> None:
        """Add a finding.

        Raises:
            WorkflowInvalid: There are so many that more would not help anybody.
        """
        self.findings.append(Finding(path, sentence, self.document.line(path)))
        if len(self.findings) >= MAX_FINDINGS:
            self.findings.append(Finding((), f"stopped after {MAX_FINDINGS} findings; there may be more"))
            raise WorkflowInvalid(self.findings)

    def keys(
        self, path: Path, value: dict[str, Any], known: Iterable[str], required: Mapping[str, str] | None = None
    ) -> None:
        """Note unknown keys, with the known one that was probably meant, and missing ones.

        Args:
            path: Of the mapping.
            value: The mapping.
            known: All keys that it may have.
            required: Those that it must have, and what each says.
        """
        known = tuple(known)
        for key in value:
            if key not in known:
                self.note((*path, key), f"unknown key `{key}`{meant(key, known)}; known are {', '.join(known)}")
        for key, says in (required or {}).items():
            if key not in value:
                self.note(path, f"`{key}` is missing: {says}")

    def mapping(self, path: Path, value: object, what: str) -> dict[str, Any]:
        """Return the value if it is a mapping, else note it and return an empty one."""
        if isinstance(value, dict):
            return value
        self.note(path, f"{what} must be a mapping, not {kind_of(value)}")
        return {}

    def integer(self, path: Path, value: object, low: int, high: int) -> int | None:
        """Return a whole number in bounds, else note it."""
        if type(value) is int and low <= value <= high:
            return value
        self.note(path, f"must be a whole number from {low} to {high}, not {shown(value)}")
        return None

    def seconds(self, path: Path, value: object, low: float, high: float) -> float | None:
        """Return a number of seconds in bounds, else note it."""
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        self.note(path, f"must be a number of seconds from {low:g} to {high:g}, not {shown(value)}")
        return None


def meant(word: str, known: Iterable[str]) -> str:
    """Return `: did you mean …?` if a known word is near, else nothing."""
    near = difflib.get_close_matches(word[:128], list(known)[:_MAX_COMPARED], 1)
    return f": did you mean `{near[0]}`?" if near else ""


def there_are(names: Iterable[str]) -> str:
    """Return `; there are …` if the names are few enough to be read."""
    found = list(names)
    return f"; there are {', '.join(found)}" if 0 < len(found) <= _MAX_NAMED else ""


def kind_of(value: object) -> str:
    """Name the type of a value, in the words of YAML."""
    return "a mapping" if isinstance(value, dict) else expressions.kind_of(value)


def shown(value: object) -> str:
    """Return a scalar as it was written, anything else by its type."""
    match value:
        case bool():
            return str(value).lower()
        case int() if abs(value) >= 10**18:
            return "such a large number"
        case float() if not math.isfinite(value):
            return "such a large number"
        case int() | float():
            return f"{value:g}" if isinstance(value, float) else str(value)
        case str():
            return f"`{value[:60]}`"
        case _:
            return kind_of(value)
