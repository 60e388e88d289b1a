"""Returns the time."""

import time
from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Return date and time in UTC with milliseconds, `2016-03-22T00:59:55.961Z`."""
    now_s = time.time()
    date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_s)) + f".{int(now_s * 1000) % 1000:03d}Z"
    print(f"It is now {date}")
    return {"date": date}
