"""Dates as alarms have them: milliseconds since 1970, or ISO 8601. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

_MOST_MS: Final = 8_640_000_000_000_000
"""What a date of JavaScript can hold."""


def parse_ms(value: Any) -> int | None:
    """Return epoch milliseconds of a number or a text; None: it is no date. Without an offset it is in UTC."""
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value.strip())
            return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
        except (ValueError, OverflowError):
            return None
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MOST_MS:
        return int(value)
    return None


def iso(ms: int) -> str:
    """Return a time in UTC to the second."""
    return datetime.fromtimestamp(ms // 1000, UTC).isoformat().replace("+00:00", "Z")
