"""The routes of a namespace: all its APIs in one tree of path segments.

As in the stock gateway the longest route that a path begins with serves it. A segment that is written out goes before
one with parameters; where two APIs have the same route, the longer base path wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller_ext.gateway import backends, swagger
from controller_ext.gateway.backends import Backend


@dataclass(slots=True, frozen=True)
class Route:
    """The longest route that a path begins with.

    Attributes:
        methods: Upper case → what serves it; None: no web action does.
        cors: Whether the gateway answers for CORS; None: that is left to the web action.
        parameters: Name → what of the path it stands for.
        rest: Segments of the path that the route does not name.
    """

    methods: Mapping[str, Backend | None]
    cors: bool | None
    parameters: Mapping[str, str]
    rest: Sequence[str]


@dataclass(slots=True)
class _Pattern:
    """A segment with parameters.

    Attributes:
        parts: What is written out before, between and behind the parameters.
        names: Of the parameters; one less than parts.
    """

    parts: list[str]
    names: list[str]

    def match(self, segment: str) -> dict[str, str] | None:
        """Return what each parameter stands for, at least one character; takes time that is linear in both lengths."""
        first, *middle, last = self.parts
        end = len(segment) - len(last)
        if not segment.startswith(first) or not segment.endswith(last):
            return None
        at = len(first)
        values = []
        for part in middle:
            found = segment.find(part, at + 1, end)
            if found < 0:
                return None
            values.append(segment[at:found])
            at = found + len(part)
        if at >= end:
            return None
        return dict(zip(self.names, [*values, segment[at:end]], strict=True))


@dataclass(slots=True)
class _Node:
    """A place in the tree; a route ends here if there are methods."""

    literals: dict[str, _Node] = field(default_factory=dict)
    patterns: dict[str, tuple[_Pattern, _Node]] = field(default_factory=dict)
    methods: dict[str, Backend | None] = field(default_factory=dict)
    cors: bool | None = None


class Routes:
    """Finds the route of a path.

    Args:
        apis: Documents, checked.
    """

    def __init__(self, apis: Iterable[dict[str, Any]]) -> None:
        self._root = _Node()
        for document in sorted(apis, key=lambda one: len(split(one["basePath"])), reverse=True):
            self._add(document)

    def find(self, path: Sequence[str]) -> Route | None:
        """Return the route of a path; None: there is none. No place of the tree is visited twice.

        Args:
            path: Segments, decoded.
        """
        best: tuple[int, _Node, dict[str, str]] | None = None
        waiting: list[tuple[int, _Node, dict[str, str]]] = [(0, self._root, {})]
        while waiting:
            depth, node, parameters = waiting.pop()
            # What is wanted most is visited first: what comes later must be longer to win.
            if node.methods and (best is None or depth > best[0]):
                best = depth, node, parameters
            if depth < len(path):
                waiting.extend(_followers(node, path[depth], depth + 1, parameters))
        if best is None:
            return None
        depth, node, parameters = best
        return Route(node.methods, node.cors, parameters, path[depth:])

    def _add(self, document: dict[str, Any]) -> None:
        cors = backends.cors(document)
        base = split(document["basePath"])
        for path, method, backend in backends.compile_document(document):
            node = self._root
            for segment in (*base, *split(path)):
                node = _follower(node, segment)
            if not node.methods:
                node.cors = cors
            node.methods.setdefault(method, backend)


def split(path: str) -> list[str]:
    """Return the segments of a path; slashes at its ends and doubled ones make none."""
    return [segment for segment in path.split("/") if segment]


def _follower(node: _Node, segment: str) -> _Node:
    names, parts = swagger.taken_apart(segment)
    if not names:
        return node.literals.setdefault(segment, _Node())
    return node.patterns.setdefault(segment, (_Pattern(parts, names), _Node()))[1]


def _followers(
    node: _Node, segment: str, depth: int, parameters: dict[str, str]
) -> Iterable[tuple[int, _Node, dict[str, str]]]:
    """Return where a segment leads, least wanted first: the more of it is written out, the better."""
    found = []
    for pattern, follower in node.patterns.values():
        values = pattern.match(segment)
        if values is not None:
            written = sum(map(len, pattern.parts))
            found.append((written, (depth, follower, {**parameters, **values})))
    found.sort(key=lambda one: one[0])
    literal = node.literals.get(segment)
    return [one for _, one in found] if literal is None else [*(one for _, one in found), (depth, literal, parameters)]
