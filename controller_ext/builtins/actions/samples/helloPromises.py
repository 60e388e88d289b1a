"""Greets somebody, as a coroutine."""

import asyncio
from typing import Any


async def main(args: dict[str, Any]) -> dict[str, Any]:
    """Return the words of a greeting for `name` from `place`."""
    await asyncio.sleep(0)  # here it would wait for others, and its container could do something else
    return {"lines": ["Hello,", str(args.get("name") or "stranger"), "from", f"{args.get('place') or 'somewhere'}!"]}
