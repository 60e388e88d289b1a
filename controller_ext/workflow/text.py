"""YAML or JSON text → plain values, and the line of each. Nothing but JSON's own types is built.

Scalars follow YAML 1.2's core schema: `on`, `yes` and dates are strings. Events are read one by one and without
recursion; size, depth and number of values (aliases expanded) are bounded, so no text is expensive.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from controller_ext.workflow.errors import Finding, Path, WorkflowSyntax

MAX_TEXT_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 50_000
"""Aliases expanded."""

_LOADER: Final[Any] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_STR_TAG: Final = "tag:yaml.org,2002:str"
_WORDS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT: Final = re.compile(r"[-+]?[0-9]{1,100}")
_BASED: Final = re.compile(r"0o[0-7]{1,100}|0x[0-9a-fA-F]{1,100}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,5})?")


@dataclass(slots=True, frozen=True)
class Document:
    """A text that could be read.

    Attributes:
        value: Plain JSON value.
        lines: Path → line from 1; a path that is missing stands on the line of the nearest one above it.
        findings: What the text itself does wrong (a key that stands twice, a tag).
    """

    value: Any
    lines: Mapping[Path, int]
    findings: tuple[Finding, ...]

    def line(self, path: Path) -> int | None:
        """Return the line of a path, or of the nearest thing around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None


def load(text: str) -> Document:
    """Read a text.

    Raises:
        WorkflowSyntax: It is no YAML or JSON, more than one document, too large or too deep.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise _refuse("the text is not valid Unicode") from error
    if size > MAX_TEXT_BYTES:
        raise _refuse(f"the text has {size} bytes, at most {MAX_TEXT_BYTES} are allowed")
    try:
        return _Builder().build(text)
    except yaml.YAMLError as error:
        # JSON that YAML cannot take: tabs between tokens, surrogate pairs, keys above 1,024 characters.
        if text.lstrip()[:1] == "{" and (document := _from_json(text)) is not None:
            return document
        raise _unreadable(text, error) from error


def _unreadable(text: str, error: yaml.YAMLError) -> WorkflowSyntax:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
    lines = text.splitlines()
    if mark is None:
        return _refuse(f"not valid YAML or JSON: {problem}")
    if mark.line >= len(lines):  # what is missing at the end is reported on the line after it
        return _refuse(f"not valid YAML or JSON: {problem}", len(lines))
    line = lines[mark.line]
    if line[mark.column : mark.column + 1] == "\t":
        return _refuse("the line is indented with a tab, which YAML does not take: use spaces", mark.line + 1)
    return _refuse(f"not valid YAML or JSON at column {mark.column + 1}: {problem}", mark.line + 1)


def _refuse(sentence: str, line: int | None = None) -> WorkflowSyntax:
    return WorkflowSyntax([Finding((), sentence, line)])


def _line(event: yaml.Event) -> int | None:
    return None if event.start_mark is None else event.start_mark.line + 1


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read."""

    value: Any
    path: Path
    anchor: str | None
    began: int
    key: str | None = None


@dataclass(slots=True)
class _Builder:
    """Turns a stream of events into values."""

    lines: dict[Path, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    opened: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    values: int = 0
    documents: int = 0
    root: Any = None

    def build(self, text: str) -> Document:
        steps: dict[type, Callable[[Any], None]] = {
            yaml.DocumentStartEvent: self._document,
            yaml.MappingStartEvent: lambda event: self._open(event, {}),
            yaml.SequenceStartEvent: lambda event: self._open(event, []),
            yaml.MappingEndEvent: lambda event: self._close(),
            yaml.SequenceEndEvent: lambda event: self._close(),
            yaml.ScalarEvent: self._scalar,
            yaml.AliasEvent: self._alias,
        }
        for event in yaml.parse(text, Loader=_LOADER):
            step = steps.get(type(event))
            if step is not None:
                step(event)
        return Document(self.root, self.lines, tuple(self.findings))

    def _document(self, event: yaml.DocumentStartEvent) -> None:
        self.documents += 1
        if self.documents > 1:
            raise _refuse("the text holds more than one document", _line(event))

    def _count(self, number: int, event: yaml.Event) -> None:
        self.values += number
        if self.values > MAX_VALUES:
            raise _refuse(f"more than {MAX_VALUES} values, aliases expanded", _line(event))

    def _open(self, event: yaml.CollectionStartEvent, value: Any) -> None:
        if len(self.opened) >= MAX_DEPTH:
            raise _refuse(f"nested deeper than {MAX_DEPTH}", _line(event))
        path = self._place(event, value)
        self._tag(event, path)
        self._count(1, event)
        self.opened.append(_Open(value, path, event.anchor, self.values))

    def _close(self) -> None:
        done = self.opened.pop()
        if done.anchor is not None:
            self.anchors[done.anchor] = done.value, self.values - done.began + 1

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if self._takes_key():
            self._key(event, event.value)
            return
        value = _resolve(event.value) if event.implicit[0] else event.value
        path = self._place(event, value)
        self._tag(event, path)
        self._count(1, event)
        if isinstance(value, float) and not math.isfinite(value):
            self.findings.append(Finding(path, f"{event.value} is not a JSON number", _line(event)))
        if event.anchor is not None:
            self.anchors[event.anchor] = value, 1

    def _alias(self, event: yaml.AliasEvent) -> None:
        if event.anchor not in self.anchors:
            raise _refuse(f"alias *{event.anchor} names nothing that ends before it", _line(event))
        value, size = self.anchors[event.anchor]
        if self._takes_key():
            self._key(event, value)
            return
        self._count(size, event)
        self._place(event, value)

    def _takes_key(self) -> bool:
        return bool(self.opened) and isinstance(self.opened[-1].value, dict) and self.opened[-1].key is None

    def _key(self, event: yaml.Event, key: object) -> None:
        inner = self.opened[-1]
        line = _line(event)
        if not isinstance(key, str):
            raise _refuse("a key must be a plain word or a string", line)
        if key in inner.value:
            self.findings.append(Finding((*inner.path, key), f"the key `{key}` stands twice", line))
        if key == "<<":
            self.findings.append(Finding((*inner.path, key), "merge keys (<<) are not supported", line))
        inner.key = key
        self._mark((*inner.path, key), line)

    def _place(self, event: yaml.Event, value: Any) -> Path:
        """Put a value where it belongs and return its path."""
        line = _line(event)
        if not self.opened:
            self.root = value
            self._mark((), line)
            return ()
        inner = self.opened[-1]
        if isinstance(inner.value, list):
            path: Path = (*inner.path, len(inner.value))
            inner.value.append(value)
            self._mark(path, line)
            return path
        if inner.key is None:
            raise _refuse("a key must be a plain word or a string", line)
        path = (*inner.path, inner.key)
        inner.value[inner.key] = value
        inner.key = None
        return path

    def _mark(self, path: Path, line: int | None) -> None:
        if line is not None:
            self.lines[path] = line

    def _tag(self, event: Any, path: Path) -> None:
        if event.tag not in (None, "!", _STR_TAG):
            self.findings.append(Finding(path, f"the tag {event.tag} is not allowed", _line(event)))


def _resolve(word: str) -> Any:
    if word in _WORDS:
        return _WORDS[word]
    if _INT.fullmatch(word):
        return int(word)
    if _BASED.fullmatch(word):
        return int(word, 0)
    if _FLOAT.fullmatch(word):
        return float(word)
    return word


def _from_json(text: str) -> Document | None:
    """Read JSON, without lines; None: it is none."""
    findings: list[Finding] = []

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for key, value in members:
            if key in read:
                findings.append(Finding((), f"the key `{key}` stands twice in one object"))
            read[key] = value
        return read

    def refuse(word: str) -> None:
        findings.append(Finding((), f"{word} is not a JSON number"))

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=refuse)
    except RecursionError as error:
        raise _refuse(f"nested deeper than {MAX_DEPTH}") from error
    except ValueError:
        return None
    _bound(value)
    return Document(value, {}, tuple(findings))


def _bound(value: Any) -> None:
    level, seen = [value], 0
    for _ in range(MAX_DEPTH + 1):
        seen += len(level)
        if seen > MAX_VALUES:
            raise _refuse(f"more than {MAX_VALUES} values")
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise _refuse(f"nested deeper than {MAX_DEPTH}")
