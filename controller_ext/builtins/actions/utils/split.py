"""Splits a text into lines."""

import json
import re
from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of `payload` between separators as `lines`; by default the separator is the end of a line."""
    payload = args.get("payload")
    if payload is None:
        return {"error": "Expected an argument 'payload'."}
    text = payload if isinstance(payload, str) else json.dumps(payload)
    separator = args.get("separator")
    lines = text.split(str(separator)) if separator else re.split(r"\r?\n", text)
    return {"lines": lines, "payload": payload}
