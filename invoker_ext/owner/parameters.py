"""What of a run's parameters its graph reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from action_runtime.wire.values import WHOLE
from invoker_ext.dataflow.wants import RunMembers

_dumps: Final = json.JSONEncoder(ensure_ascii=False).encode

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


def is_quick(places: Mapping[str, tuple[int, int]] | None, wanted: RunMembers) -> bool:
    """Return whether `parameters_of_spool` parses nothing."""
    return not wanted.items and (places is not None or wanted.values <= {WHOLE})


def parameters_of_spool(raw: bytes, places: Mapping[str, tuple[int, int]] | None, wanted: RunMembers) -> Parameters:
    """Do the same for spooled parameters; where every member has its place, parses only what is read as items.

    For a thread unless it is quick: what is spooled may be some ten megabytes.

    Args:
        raw: The spooled bytes.
        places: Member name → (offset, bytes); None: not known.
        wanted: What the graph reads.
    """
    if places is None:
        return parameters_of_json(raw, wanted)
    names = (wanted.values | wanted.items) & places.keys()
    members = {name: raw[at : at + count] for name, (at, count) in places.items() if name in names}
    values = {name: text for name, text in members.items() if name in wanted.values}
    if WHOLE in wanted.values:
        values[WHOLE] = raw
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
