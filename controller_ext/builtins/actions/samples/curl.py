"""Fetches a web page."""

import urllib.error
import urllib.request
from typing import Any

TIMEOUT_S = 3
MAX_BYTES = 512 * 1024
"""Of the page: the result of an action is bounded, too."""


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Return what the host or URL in `payload` answers, or why it does not."""
    url = str(args["payload"])
    print(f"Curl to {url}")
    if "://" not in url:
        url = f"http://{url}"
    if not url.startswith(("http://", "https://")):
        return {"error": "only http and https are fetched"}
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as reply:
            message = reply.read(MAX_BYTES).decode(errors="replace")
    except urllib.error.HTTPError as error:
        message = error.read(MAX_BYTES).decode(errors="replace")
    except OSError as error:
        message = str(error)
    return {"msg": message}
