"""Joins lines to one text, each with its end of line."""

import json
from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Return the lines, and their text as `payload`."""
    lines = args.get("lines") or []
    return {"lines": lines, "payload": "".join(f"{_text(one)}\n" for one in lines)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
