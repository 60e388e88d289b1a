"""Returns its parameters."""

from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters as they came."""
    return args
