"""The whole document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from controller_ext.api.openapi import operations, schemas

_IN_PATH: Final = re.compile(r"\{(\w+)\}")
OUTSIDE: Final = "x-outside"
"""Member with the paths above the API; Swagger's own `paths` are all below the base path."""


def make(base: str, kinds: Iterable[str]) -> dict[str, Any]:
    """Return the description of the API.

    Args:
        base: Path of the API.
        kinds: Of runtimes that this server knows.
    """
    return {
        "swagger": "2.0",
        "info": {"title": "OpenWhisk REST API", "description": "API for OpenWhisk", "version": "1.0.0"},
        "basePath": base,
        "produces": ["application/json"],
        "securityDefinitions": {"basic": {"type": "basic"}},
        "security": [{"basic": []}],
        "paths": {path: _with_place(path, of) for path, of in operations.paths().items()},
        OUTSIDE: operations.outside_paths(),
        "parameters": dict(operations.PARAMETERS),
        "responses": {
            str(status): {"description": text, "schema": schemas.ref("ErrorMessage")}
            for status, text in operations.ERRORS.items()
        },
        "definitions": schemas.definitions(kinds),
    }


def _with_place(path: str, of: dict[str, Any]) -> dict[str, Any]:
    """Return what is at a path, with the parameters that the path names and the tag of its collection."""
    named = [{"$ref": f"#/parameters/{name}"} for name in _IN_PATH.findall(path)]
    parts = path.split("/")
    tag = parts[3] if len(parts) > 3 and parts[1] == "namespaces" else parts[1] or "api"
    tagged = {method: {"tags": [tag], **operation} for method, operation in of.items()}
    return {"parameters": named, **tagged} if named else tagged
