"""Feed of alarms: makes, tells of, changes and deletes the alarm that fires a trigger."""

import base64
import json
import os
import urllib.error
import urllib.request
from typing import Any

METHODS = {"CREATE": "POST", "READ": "GET", "UPDATE": "PUT", "DELETE": "DELETE"}
PATH = "/api/v1/web/whisk.system/alarmsWeb/alarmWebAction.http"
TIMEOUT_S = 30


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Do what `lifecycleEvent` says with the alarm of `triggerName`, by the key `authKey`; the rest is the alarm's."""
    method = METHODS.get(args.pop("lifecycleEvent", None))
    if method is None:
        return {"error": "unsupported lifecycleEvent"}
    trigger = str(args.get("triggerName") or "").rpartition("/")[2]
    if trigger:
        args["triggerName"] = f"/{os.environ['__OW_NAMESPACE']}/{trigger}"
    key = base64.b64encode(str(args.get("authKey")).encode()).decode()
    request = urllib.request.Request(
        os.environ["__OW_API_HOST"] + PATH,
        data=json.dumps(args).encode(),
        headers={"Authorization": f"Basic {key}", "Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
            answer: dict[str, Any] = json.load(reply)
    except urllib.error.HTTPError as error:
        return {"error": json.load(error)}
    return answer
