"""Parameters of the query, with stock's texts for what cannot be read."""

from __future__ import annotations

import re
from typing import Final

from flask import request

from controller_ext.entities.errors import MalformedQuery
from controller_ext.entities.names import is_segment

LIST_LIMIT: Final = 30
MAX_LIST_LIMIT: Final = 200
MAX_WAIT_MS: Final = 60_000
_FLAGS: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,40}")
_INT_BITS: Final = 32
_LONG_BITS: Final = 64


def flag(name: str, *, default: bool = False) -> bool:
    """Return a boolean parameter."""
    text = request.args.get(name)
    if text is None:
        return default
    value = _FLAGS.get(text.lower())
    if value is None:
        raise MalformedQuery(name, f"'{text}' is not a valid Boolean value")
    return value


def window(collection: str) -> tuple[int, int]:
    """Return how many items of a list to skip, and how many to show at most; `skip` is looked at first, as in stock.

    Args:
        collection: What the texts call the items.
    """
    skip = _integer("skip", 0, collection)
    if skip < 0:
        raise MalformedQuery("skip", f"The value '{skip}' is not greater than or equal to 0 for {collection}.")
    limit = _integer("limit", LIST_LIMIT, collection)
    if not 0 <= limit <= MAX_LIST_LIMIT:
        raise MalformedQuery(
            "limit", f"The value '{limit}' is not in the range of 0 to {MAX_LIST_LIMIT} for {collection}."
        )
    return skip, limit or MAX_LIST_LIMIT


def _integer(name: str, default: int, collection: str) -> int:
    text = request.args.get(name)
    if text is None:
        return default
    value = _number(text, _INT_BITS)
    if value is None:
        raise MalformedQuery(name, f"The value '{text}' is not an integer for {collection}.")
    return value


def _number(text: str, bits: int) -> int | None:
    """Return a whole number that stock can hold in so many bits; None: it is none."""
    value = int(text) if _INTEGER.fullmatch(text) else None
    return value if value is not None and -(1 << bits - 1) <= value < 1 << bits - 1 else None


def instant_ms(name: str) -> int | None:
    """Return an instant in epoch milliseconds, None if it is not given; before 1970 it is negative."""
    text = request.args.get(name)
    if text is None:
        return None
    value = _number(text, _LONG_BITS)
    if value is None:
        raise MalformedQuery(name, f"Parameter is not a valid value for epoch seconds: {text}")
    return value


def wait_s() -> float:
    """Return how long a blocking invocation waits, in seconds."""
    text = request.args.get("timeout")
    if text is None:
        return MAX_WAIT_MS / 1000
    value = _number(text, _LONG_BITS)
    if value is None or not 0 < value <= MAX_WAIT_MS:
        raise MalformedQuery("timeout", f"Timeout must be number of milliseconds up to {MAX_WAIT_MS}.")
    return value / 1000


def activation_name() -> str | None:
    """Return the filter `name`: `NAME` or `PACKAGE/NAME`, further slashes ignored; None: no filter."""
    text = request.args.get("name", "")
    if not text.strip():
        return None
    segments = [segment for segment in text.split("/") if segment]
    if not 1 <= len(segments) <= 2 or not all(map(is_segment, segments)):
        raise MalformedQuery("name", f"Parameter may be a 'simple' name or 'package-name/simple' name: {text}")
    return "/".join(segments)
