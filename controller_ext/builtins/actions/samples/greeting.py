"""Greets somebody."""

from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Return a greeting for `name` from `place`."""
    print("params:", args)
    name = args.get("name") or args.get("payload") or "stranger"
    place = args.get("place") or "somewhere"
    return {"payload": f"Hello, {name} from {place}!"}
