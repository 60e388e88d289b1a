"""A value as JSON text, where JSON is all there is: records, REST, conditions, stock containers. Off the data path."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from action_runtime.wire.values import WHOLE, Head, Media
from invoker_ext.dataflow.commands import Bound, Chunks, Constant, Streamed, Value
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


def localised(value: Value, copies: Mapping[int, Stored]) -> Value:
    """Return a bound value with the copies that are here in place of data of other hosts.

    Args:
        value: As the machine bound it.
        copies: Id of the datum → its copy.
    """
    match value:
        case tuple():
            return tuple(localised(one, copies) for one in value)
        case Chunks():
            return Chunks(tuple(copies.get(id(part), part) for part in value.parts))
        case Constant() | Streamed():
            return value
        case _:
            return copies.get(id(value), value)
