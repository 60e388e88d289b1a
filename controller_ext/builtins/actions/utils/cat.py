"""Joins lines to one text."""

import json
from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Return the lines, and their text as `payload`."""
    lines = args.get("lines") or []
    return {"lines": lines, "payload": "\n".join(_text(one) for one in lines)}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
