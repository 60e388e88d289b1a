"""Between data in the sink and JSON text: parameters of a run in, its result out. Off the data path."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from action_runtime.wire.values import WHOLE, Head, Media
from invoker_ext.dataflow.commands import Bound, Chunks, Constant, Streamed, Value
from invoker_ext.dataflow.wants import RunMembers
from invoker_ext.sink.datum import Stored

_dumps: Final = json.JSONEncoder(ensure_ascii=False).encode


def as_json(head: Head, data: bytes) -> bytes:
    """Return a value as JSON text; bytes and arrays become `{"$data": {"type", "shape"?, "dtype"?, "base64"}}`."""
    if head.media is Media.JSON:
        return data
    described: dict[str, Any] = {"type": head.media.value}
    if head.shape is not None:
        described |= {"shape": list(head.shape), "dtype": head.dtype}
    described["base64"] = base64.b64encode(data).decode()
    return _dumps({"$data": described}).encode()


def value_json(value: Value) -> bytes:
    """Return a bound value as JSON text.

    Raises:
        OSError: Spilled bytes cannot be read back.
    """
    match value:
        case Constant():
            return value.json.encode()
        case Chunks():
            data = b"".join(cast("Stored", part).read() for part in value.parts)
            return as_json(Head(Media.BYTES, len(data)), data)
        case tuple():
            return b"[" + b",".join(map(value_json, value)) + b"]"
        case Streamed():
            raise TypeError("a streamed value has no text")
        case _:
            stored = cast("Stored", value)
            return as_json(stored.head, stored.read())


def object_json(inputs: Iterable[Bound]) -> bytes:
    """Return what is bound as one JSON object (or array, if the only input is a whole array); later inputs win."""
    bounds = list(inputs)
    if len(bounds) == 1 and bounds[0].name == WHOLE:
        return value_json(bounds[0].value)
    members: dict[str, bytes] = {}
    for bound in bounds:
        if bound.name == WHOLE:
            whole = json.loads(value_json(bound.value))
            if not isinstance(whole, dict):
                members = {}
                continue
            members |= {name: _dumps(value).encode() for name, value in whole.items()}
        else:
            members[bound.name] = value_json(bound.value)
    return join_members(members)


def join_members(members: Mapping[str, bytes]) -> bytes:
    """Return a JSON object made of the JSON text of its members."""
    return b"{" + b", ".join(_dumps(name).encode() + b": " + text for name, text in members.items()) + b"}"


def data_of(value: Value) -> list[Stored]:
    """Return the data in a bound value, for accounting."""
    match value:
        case tuple():
            return [one for item in value for one in data_of(item)]
        case Chunks():
            return [cast("Stored", part) for part in value.parts]
        case Constant() | Streamed():
            return []
        case _:
            return [cast("Stored", value)]


Parameters = tuple[dict[str, bytes], dict[str, list[bytes]]]
"""JSON text of each member that a graph reads as a value, and of each element of a list that it reads item by item."""


def parameters_of_json(content: bytes, wanted: RunMembers) -> Parameters:
    """Cut out of a JSON object what a graph reads; the whole of it is passed on unparsed.

    Args:
        content: The run's parameters; an array (inside sequences only) has no members.
        wanted: What the graph reads.
    """
    values = {WHOLE: content} if WHOLE in wanted.values else {}
    names = (wanted.values | wanted.items) - {WHOLE}
    if not names:
        return values, {}
    members = json.loads(content)
    if not isinstance(members, dict):
        return values, {}
    return _cut({name: members[name] for name in names if name in members}, wanted, values)


def parameters_of_spool(raw: bytes, places: Mapping[str, tuple[int, int]], wanted: RunMembers) -> Parameters:
    """Do the same for spooled parameters, of which every member has its place; parses only what is read as items.

    Args:
        raw: The spooled bytes.
        places: Member name → (offset, bytes).
        wanted: What the graph reads.
    """
    members = {name: raw[at : at + count] for name, (at, count) in places.items()}
    values = {name: text for name, text in members.items() if name in wanted.values}
    if WHOLE in wanted.values:
        values[WHOLE] = join_members(members)
    return _cut({name: json.loads(members[name]) for name in wanted.items if name in members}, wanted, values)


def _cut(members: Mapping[str, object], wanted: RunMembers, values: dict[str, bytes]) -> Parameters:
    items: dict[str, list[bytes]] = {}
    for name, value in members.items():
        if name in wanted.items and isinstance(value, list):
            items[name] = [_dumps(one).encode() for one in value]
            if name not in wanted.values:
                continue
        if name not in values:
            values[name] = _dumps(value).encode()
    return values, items
