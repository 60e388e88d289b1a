"""Returns the URL at which an action or a trigger of the caller's is reached."""

import os
from typing import Any

EXTENSIONS = (".json", ".text", ".html", ".http")


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Return the URL of `path`.

    Args:
        args: `path`, the name of an action as NAME or PACKAGE/NAME, or of a trigger; without it the URL of all.
            `web`: the URL of a web action, with the extension `ext`. `trigger`: the path is that of a trigger.
    """
    api = f"{os.environ['__OW_API_HOST']}/api/v1"
    namespace = os.environ["__OW_NAMESPACE"]
    path = args.get("path") or ""
    trigger = args.get("trigger")
    if args.get("web") is True:
        return _web(f"{api}/web/{namespace}", path, args.get("ext"), trigger=bool(trigger))
    if trigger and "/" in path:
        return {"error": "triggers are not allowed in packages."}
    base = f"{api}/namespaces/{namespace}/{'triggers' if trigger is True else 'actions'}"
    return {"url": f"{base}/{path}" if path else base}


def _web(base: str, path: str, extension: str | None, *, trigger: bool) -> dict[str, Any]:
    if trigger:
        return {"error": "triggers are not allowed for web actions."}
    if extension and extension not in EXTENSIONS:
        return {"error": 'extension for web action must be one of [".json", ".text", ".html", ".http"].'}
    if not path:
        return {"url": base}
    return {"url": f"{base}/{path if '/' in path else f'default/{path}'}{extension or '.json'}"}
