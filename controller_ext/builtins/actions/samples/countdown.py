"""Invokes itself until it has counted down to zero."""

import base64
import json
import os
import urllib.request
from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Print `n` and invoke this action with the number before it."""
    n = int(args["n"])
    print(n)
    if n > 0:
        return invoke(os.environ["__OW_ACTION_NAME"], {"n": n - 1})
    if n == 0:
        print("Happy New Year!")
    return {}


def invoke(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Invoke an action by its full name `/NAMESPACE/[PACKAGE/]NAME`; return the activation id."""
    _, namespace, path = name.split("/", 2)
    key = base64.b64encode(os.environ["__OW_API_KEY"].encode()).decode()
    request = urllib.request.Request(
        f"{os.environ['__OW_API_HOST']}/api/v1/namespaces/{namespace}/actions/{path}",
        data=json.dumps(parameters).encode(),
        headers={"Authorization": f"Basic {key}", "Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        answer: dict[str, Any] = json.load(reply)
    return answer
