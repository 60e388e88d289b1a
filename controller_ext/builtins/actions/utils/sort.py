"""Sorts lines."""

import json
from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Return the lines in the order of their texts, and how many there are."""
    lines = sorted(args.get("lines") or [], key=_text)
    return {"lines": lines, "length": len(lines)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
