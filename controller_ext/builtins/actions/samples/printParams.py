"""Prints its parameters."""

from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Print the parameters in the order of their names and return them."""
    ordered = dict(sorted(args.items()))
    for name, value in ordered.items():
        print(f"params.{name}: {value}")
    return {"params": ordered}
