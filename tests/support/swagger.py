"""Swagger documents and requests of route management, for tests."""

from __future__ import annotations

from typing import Any

HOST = "https://some.host"


def apidoc(path: Any = "/path", method: str = "GET", base: str = "/base", **more: Any) -> dict[str, Any]:
    """Return what `wsk api create` sends; members of `more` that are members of an action go there."""
    action = {
        "name": "hello",
        "namespace": "_",
        "backendMethod": method,
        "backendUrl": f"{HOST}/api/v1/web/_/default/hello.http",
        "authkey": "uuid:key",
    }
    action.update({name: more.pop(name) for name in (*action, "secureKey") if name in more})
    return {
        "namespace": "_",
        "gatewayBasePath": base,
        "gatewayPath": path,
        "gatewayMethod": method,
        "action": action,
        **more,
    }


def operation(operation_id: str, url: Any, **more: Any) -> dict[str, Any]:
    """Return an operation that names a web action itself."""
    return {"operationId": operation_id, "x-openwhisk": {"url": url}, **more}


def document(paths: Any, base: Any = "/base", **more: Any) -> dict[str, Any]:
    """Return a whole API."""
    return {
        "swagger": "2.0",
        "basePath": base,
        "info": {"title": "an API", "version": "1.0.0"},
        "paths": paths,
        **more,
    }
