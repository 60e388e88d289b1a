"""The result of a container that has no DLU, cut into the outputs that one would have emitted. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final

from action_runtime.wire.values import WHOLE, Head, Media
from invoker_ext.relay.json_form import join_members

_dumps: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


@dataclass(slots=True, frozen=True)
class Output:
    """One EMIT."""

    output: str
    index: int
    how: str
    head: Head
    data: bytes


@dataclass(slots=True)
class Split:
    """What a result consists of.

    Attributes:
        status: `ok error invalid null`, as in RETURNED.
        outputs: In the order they would have left.
        counts: Output → (how, number), for every field, wanted or not.
    """

    status: str
    outputs: list[Output] = field(default_factory=list)
    counts: dict[str, tuple[str, int]] = field(default_factory=dict)


def split_json(text: bytes, wants: Mapping[str, str]) -> Split:
    """Cut the body of a stock `/run` reply into outputs; parses it once.

    A member `{"$data": …}` becomes the bytes or the array that it stands for. The outputs of a failed function are not
    cut out, only its whole result is given if it is wanted.

    Args:
        text: The body of an HTTP 200.
        wants: Output → `value` | `items`.
    """
    try:
        result = json.loads(text)
    except (ValueError, RecursionError):
        return Split("invalid")
    if result is None:
        return Split("null")
    if not isinstance(result, dict | list):
        return Split("invalid")
    split = Split("error" if isinstance(result, dict) and "error" in result else "ok")
    if isinstance(result, dict) and split.status == "ok":
        for name, value in result.items():
            _cut(split, name, value, wants.get(name))
    if WHOLE in wants:
        whole = text.strip()
        split.outputs.append(Output(WHOLE, 0, "whole", Head(Media.JSON, len(whole)), whole))
    return split


def merge_items(
    split: Split, text: bytes, counts: Mapping[str, int], members: Mapping[str, bytes], wants: Mapping[str, str]
) -> tuple[bytes, tuple[str, ...]]:
    """Put what a function handed over while it ran to what it returned.

    Args:
        split: Of the result; changed.
        text: The result.
        counts: Output → items handed over.
        members: Output → JSON text of its items, if the whole result is wanted.
        wants: Output → `value` | `items`.

    Returns:
        The result with these members, if it is an object; outputs that were returned as well and that somebody wants.
    """
    clashes = tuple(name for name in counts if name in split.counts and (WHOLE in wants or name in wants))
    split.outputs = [one for one in split.outputs if one.output not in counts]
    split.counts |= {name: ("emit", count) for name, count in counts.items()}
    text = text.strip()
    if members and not clashes and split.status == "ok" and text[:1] == b"{":
        front = text[:-1].rstrip()
        text = front + (b"" if front == b"{" else b", ") + join_members(members)[1:]
        whole = Output(WHOLE, 0, "whole", Head(Media.JSON, len(text)), text)
        split.outputs = [whole if one.output == WHOLE else one for one in split.outputs]
    return text, clashes


def _cut(split: Split, name: str, value: object, how: str | None) -> None:
    if name == WHOLE:
        return
    if how == "items" and isinstance(value, list):
        split.counts[name] = ("spread", len(value))
        split.outputs.extend(Output(name, index, "spread", *_value(one)) for index, one in enumerate(value))
        return
    split.counts[name] = ("field", 1)
    if how is not None:
        split.outputs.append(Output(name, 0, "field", *_value(value)))


def _value(value: object) -> tuple[Head, bytes]:
    found = revived(value)
    if found is not None:
        return found
    text = _dumps(value).encode("utf-8", "surrogatepass")
    return Head(Media.JSON, len(text)), text


def revived(value: object) -> tuple[Head, bytes] | None:
    """Return the bytes or the array that `{"$data": {"type", "shape"?, "dtype"?, "base64"}}` stands for, else None."""
    if not isinstance(value, dict) or value.keys() != {"$data"}:
        return None
    content: Any = value["$data"]
    try:
        data = base64.b64decode(content["base64"], validate=True)
        media = Media(content["type"])
        if media is Media.BYTES:
            return Head(media, len(data)), data
        shape, dtype = tuple(content["shape"]), content["dtype"]
        if media is Media.ARRAY and type(dtype) is str and len(data) == prod(shape) * int(dtype[2:]):
            return Head(media, len(data), shape, dtype), data
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None
    return None
