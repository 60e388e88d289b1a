"""Parameters and annotations: arrays of `{"key", "value"}`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from controller_ext.entities.errors import Malformed

Parameters = list[dict[str, Any]]
_dumps: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def parse(value: object) -> Parameters:
    """Read an array of parameters or annotations; of equal keys the last one stays.

    Raises:
        Malformed: It is none.
    """
    if not isinstance(value, list):
        raise Malformed("parameters malformed!")
    return merge([_parse_one(one) for one in value])


def parse_optional(value: object) -> Parameters | None:
    """Read an array that may be left out or null."""
    return None if value is None else parse(value)


def _parse_one(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not isinstance(value.get("key"), str) or "value" not in value:
        raise Malformed("parameters malformed!")
    if not value["key"] or not isinstance(value.get("init", False), bool):
        raise Malformed("parameters malformed!")
    one = {"key": value["key"], "value": value["value"]}
    if value.get("init"):
        one["init"] = True
    cipher = value.get("encryption")
    if isinstance(cipher, str):
        one["encryption"] = cipher
    elif cipher is not None:
        raise Malformed("parameters malformed!")
    return one


def merge(*layers: Iterable[dict[str, Any]]) -> Parameters:
    """Return all parameters; of equal keys that of the last layer, in the place of the first."""
    merged: dict[str, dict[str, Any]] = {}
    for layer in layers:
        for one in layer:
            merged[one["key"]] = one
    return list(merged.values())


def without(parameters: Parameters, keys: Iterable[str]) -> Parameters:
    """Return the parameters but for those of some keys."""
    dropped = set(keys)
    return [one for one in parameters if one["key"] not in dropped]


def value_of(parameters: Parameters, key: str) -> Any:
    """Return the value under a key, or None."""
    return next((one["value"] for one in parameters if one["key"] == key), None)


def has(parameters: Parameters, key: str) -> bool:
    """Return whether the key is there, whatever its value."""
    return any(one["key"] == key for one in parameters)


def size_bytes(parameters: Parameters) -> int:
    """Return the size that stock measures: keys and compact JSON of the values."""
    return sum(len(one["key"].encode()) + len(_dumps(one["value"]).encode()) for one in parameters)


def raw_members(parameters: Parameters) -> dict[str, bytes]:
    """Return name → JSON text of the value."""
    return {one["key"]: _dumps(one["value"]).encode() for one in parameters}
