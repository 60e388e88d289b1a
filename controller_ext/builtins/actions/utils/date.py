"""Returns the time."""

from datetime import UTC, datetime
from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Return date and time in UTC with milliseconds, `2016-03-22T00:59:55.961Z`."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    print(f"It is now {now}")
    return {"date": now}
