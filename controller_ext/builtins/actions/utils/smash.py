"""Nests all parameters under one name."""

from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Return the other parameters under the name that `$fieldName` gives."""
    name = args.pop("$fieldName", None)
    if not isinstance(name, str):
        return {"error": "Expected an argument '$fieldName' of type 'string'."}
    return {name: args}
