"""JSON as stock's printer lays it out: a member a line, arrays on one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

_string: Final[Callable[[str], str]] = json.encoder.encode_basestring


def pretty(value: Any) -> str:
    """Return the text of a JSON value; raises RecursionError beyond some 900 levels."""
    out: list[str] = []
    _print(value, "\n", out.append)
    return "".join(out)


def scalar(value: Any) -> str:
    """Return the text of what is neither string, object nor array."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _print(value: Any, line: str, put: Callable[[str], None]) -> None:
    """Print a value.

    Args:
        value: Of it.
        line: A line's end and the indentation of what encloses the value.
        put: Takes the pieces.
    """
    if isinstance(value, str):
        put(_string(value))
    elif isinstance(value, dict):
        put("{")
        inner, between = line + "  ", ""
        for name, member in value.items():
            put(f"{between}{inner}{_string(name)}: ")
            _print(member, inner, put)
            between = ","
        put(f"{line}}}" if value else f"\n{line}}}")
    elif isinstance(value, list):
        put("[")
        between = ""
        for item in value:
            put(between)
            _print(item, line, put)
            between = ", "
        put("]")
    else:
        put(scalar(value))
