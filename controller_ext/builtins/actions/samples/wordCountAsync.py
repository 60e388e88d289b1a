"""Counts words, as a coroutine."""

from typing import Any


async def main(args: dict[str, Any]) -> dict[str, Any]:
    """Return how many words `payload` has: what is between single spaces."""
    text = str(args["payload"])
    count = len(text.split(" "))
    print(f"The message '{text}' has {count} words")
    return {"count": count}
