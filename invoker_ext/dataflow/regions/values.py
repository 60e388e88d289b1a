"""What a thread of a region holds: JSON, most of it by reference to data that nobody reads.

A `Leaf` answers for one datum. The datum is given back when nothing refers to the leaf any more: values are shared by
threads, cells and commands under way, and Python counts who holds them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import cached_property
from typing import Any, Final, NamedTuple

from action_runtime.wire.values import WHOLE
from invoker_ext.dataflow import commands
from invoker_ext.dataflow.events import Datum

_dumps: Final = json.JSONEncoder(separators=(",", ":")).encode


class Shape(Enum):
    """What is known of a JSON text."""

    UNKNOWN = "unknown"
    CLEAN = "clean"
    """An object without `error`."""
    FAULTY = "faulty"
    """An object with `error`."""
    OTHER = "other"
    """No object."""


class Leaf:
    """A datum; JSON text in the sink.

    Attributes:
        datum: The ref.
        shape: What is known of it.
    """

    __slots__ = ("_free", "datum", "shape")

    def __init__(self, datum: Datum, shape: Shape, free: Callable[[Datum], None]) -> None:
        """Take a datum over; `free` is called with it once nobody holds this leaf."""
        self.datum = datum
        self.shape = shape
        self._free = free

    def __del__(self) -> None:
        self._free(self.datum)


class Text:
    """A small JSON text that the program has."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def parsed(self) -> Any:
        """What it says; not to be changed."""
        return json.loads(self.text)


class Members:
    """An object made of values."""

    __slots__ = ("members", "size")

    def __init__(self, members: Mapping[str, Value]) -> None:
        self.members = members
        self.size = _around(members.values())


class Items:
    """An array made of values."""

    __slots__ = ("items", "size")

    def __init__(self, items: tuple[Value, ...]) -> None:
        self.items = items
        self.size = _around(items)


Value = Leaf | Text | Members | Items


class Size(NamedTuple):
    """What a value would be as text: values are shared, so it may be far more than what is held."""

    bytes: int
    depth: int


MAX_VALUE: Final = Size(256 * 1024 * 1024, 200)
_TOO_LARGE: Final = "The composition put together a value of more than {} MB, or {} levels; have it keep less."


def size_of(value: Value) -> Size:
    """Return how large a value is."""
    match value:
        case Leaf():
            return Size(value.datum.size_bytes, 0)
        case Text():
            return Size(len(value.text), 0)
        case _:
            return value.size


def _around(values: Iterable[Value]) -> Size:
    bytes_, depth = 2, 0
    for value in values:
        size = size_of(value)
        bytes_ += size.bytes + 1
        depth = max(depth, size.depth)
    return Size(bytes_, depth + 1)


def too_large(value: Value) -> str | None:
    """Return what is told of a value that is beyond the bounds."""
    size = size_of(value)
    if size.bytes <= MAX_VALUE.bytes and size.depth <= MAX_VALUE.depth:
        return None
    return _TOO_LARGE.format(MAX_VALUE.bytes // 1024**2, MAX_VALUE.depth)


def text_of(value: Any) -> Text:
    """Return a value of the program's own making."""
    return Text(_dumps(value))


def boxed(value: Value) -> Members:
    """Return the object that stands for a value that is none."""
    return Members({"value": value})


def error_of(text: str) -> Members:
    """Return the object that tells of an error."""
    return Members({"error": text_of(text)})


def shape_of(value: Value) -> Shape:
    """Return what is known of a value without reading it."""
    match value:
        case Leaf():
            return value.shape
        case Members():
            return Shape.FAULTY if "error" in value.members else Shape.CLEAN
        case Items():
            return Shape.OTHER
        case Text():
            if not isinstance(value.parsed, dict):
                return Shape.OTHER
            return Shape.FAULTY if "error" in value.parsed else Shape.CLEAN


def member(value: Value, name: str) -> Value | None:
    """Return a member that can be told without reading; None: there is none, or it is in a Leaf (ask `is_open`)."""
    match value:
        case Members():
            return value.members.get(name)
        case Text():
            if isinstance(value.parsed, dict) and name in value.parsed:
                return text_of(value.parsed[name])
            return None
        case _:
            return None


def is_open(value: Value) -> bool:
    """Return whether the members of a value can be told without reading it."""
    return not isinstance(value, Leaf)


def is_null(value: Value) -> bool:
    """Return whether a value of the program's own is null."""
    return isinstance(value, Text) and value.parsed is None


def truth(value: Value) -> bool | None:
    """Return whether JavaScript takes a value for true; None: it must be read."""
    match value:
        case Leaf():
            return True if value.shape in (Shape.CLEAN, Shape.FAULTY) else None
        case Text():
            return truthy(value.parsed)
        case _:
            return True


def truthy(parsed: Any) -> bool:
    """Return whether JavaScript takes a JSON value for true: all objects and arrays are."""
    return isinstance(parsed, dict | list) or bool(parsed)


def inputs_of(value: Value) -> tuple[commands.Bound, ...] | None:
    """Return a value as the inputs of a firing; None: it nests too deep for that, and must be joined."""
    if not isinstance(value, Members):
        whole = _bound(value)
        return None if whole is None else (commands.Bound(WHOLE, whole),)
    bounds = []
    for name, one in value.members.items():
        given = _bound(one)
        if given is None or name == WHOLE:
            return None
        bounds.append(commands.Bound(name, given))
    return tuple(bounds)


def _bound(value: Value) -> commands.Value | None:
    match value:
        case Leaf():
            return value.datum
        case Text():
            return commands.Constant(value.text)
        case Items():
            items = tuple(_bound(one) for one in value.items)
            return None if any(one is None for one in items) else tuple(one for one in items if one is not None)
        case Members():
            return None
