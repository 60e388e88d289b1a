"""Returns the first lines."""

from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Return the first `num` lines, by default one."""
    lines = args.get("lines") or []
    num = args.get("num") or 1
    return {"lines": lines[: int(num)], "num": num}
