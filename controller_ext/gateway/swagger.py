"""Swagger documents of APIs: made, extended by an operation, reduced, narrowed; what is given stays as it is."""

from __future__ import annotations

import copy
import re
from typing import Any, Final

from controller_ext.gateway.creation import Endpoint
from controller_ext.gateway.errors import DeletionRefused

METHODS: Final = ("get", "put", "post", "delete", "patch", "head", "options")
REQUEST_PATH: Final = "$(request.path)"
"""At the end of a target's URL: the path of the request is appended there."""
CONFIGURATIONS: Final = ("x-gateway-configuration", "x-ibm-configuration")
SECURE_KEY_HEADER: Final = "X-Require-Whisk-Auth"
_PARAMETER: Final = re.compile(r"\{([^/{}]+)\}")


def base_key(base_path: str) -> str:
    """Return the base path by which an API is known: one slash in front, none behind."""
    return "/" + base_path.strip("/")


def has_parameter(path: str) -> bool:
    """Return whether some segment of a path is a parameter."""
    return any(_PARAMETER.fullmatch(segment) for segment in path.split("/"))


def taken_apart(segment: str) -> tuple[list[str], list[str]]:
    """Return the names of a segment's parameters, and what is written out before, between and behind them."""
    pieces = _PARAMETER.split(segment)
    return pieces[1::2], pieces[::2]


def parameter_names(path: str) -> list[str]:
    """Return the names of a path's parameters, each once, in their order."""
    return list(dict.fromkeys(_PARAMETER.findall(path)))


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return path, method and operation of everything that a document serves."""
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method.lower() in METHODS
    ]


def _methods(item: dict[str, Any]) -> list[str]:
    """Return what of a path's members are operations, as they are written."""
    return [name for name in item if name.lower() in METHODS]


def new(base_path: str, title: str | None) -> dict[str, Any]:
    """Return an API without operations."""
    return {
        "swagger": "2.0",
        "info": {"title": title or base_path, "version": "1.0.0"},
        "basePath": base_path,
        "paths": {},
        "x-ibm-configuration": {"assembly": {}, "cors": {"enabled": True}},
    }


def add(document: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """Return an API with an operation added, or replaced if it has one for this path and method."""
    changed = copy.deepcopy(document)
    item = changed["paths"].setdefault(endpoint.path, {})
    for replaced in [one for one in item if one.lower() == endpoint.method]:
        _drop_case(changed, item.pop(replaced).get("operationId"))
    operation_id = _free_id(changed, endpoint.method, endpoint.path)
    url = endpoint.action.url(endpoint.response_type)
    item[endpoint.method] = {
        "operationId": operation_id,
        **_parameters(endpoint),
        "x-openwhisk": {
            "url": url,
            "namespace": endpoint.action.namespace,
            "package": endpoint.action.package,
            "action": endpoint.action.name,
        },
        "responses": {"default": {"description": "Default response"}},
    }
    target = url + REQUEST_PATH if endpoint.response_type == "http" else url
    execute: list[dict[str, Any]] = [{"invoke": {"target-url": target, "verb": "keep"}}]
    if endpoint.action.secure_key is not None:
        header = {"set": f"message.headers.{SECURE_KEY_HEADER}", "value": endpoint.action.secure_key}
        execute.append({"set-variable": {"actions": [header]}})
    _cases(changed).append({"operations": [operation_id], "execute": execute})
    return changed


def remove(document: dict[str, Any], path: str, method: str | None) -> dict[str, Any] | None:
    """Return an API without an operation (method in lower case), or without a path; None: nothing is left of it.

    Raises:
        DeletionRefused: It has no such operation or path.
    """
    changed = copy.deepcopy(document)
    item = changed["paths"].get(path)
    if method is None:
        if item is None:
            raise DeletionRefused(f"path '{path}' does not exist in the API")
        gone = _methods(item)
    else:
        gone = [one for one in _methods(item or {}) if one.lower() == method]
        if not gone:
            raise DeletionRefused(f"path '{path}' with operation '{method}' does not exist in the API")
    for one in gone:
        _drop_case(changed, changed["paths"][path].pop(one).get("operationId"))
    if not _methods(changed["paths"][path]):
        del changed["paths"][path]
    return changed if changed["paths"] else None


def narrowed(document: dict[str, Any], path: str | None, method: str | None) -> dict[str, Any] | None:
    """Return what a list shows of an API if it is asked for one path or method (in lower case); None: nothing."""
    paths = {}
    for one, item in document["paths"].items():
        kept = {name: value for name, value in item.items() if name.lower() in (method, "parameters") or method is None}
        if path in (None, one) and _methods(kept):
            paths[one] = kept
    return {**document, "paths": paths} if paths else None


def execute_steps(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the steps of a document's assembly."""
    for name in CONFIGURATIONS:
        if name in document:
            steps: list[dict[str, Any]] = document[name].get("assembly", {}).get("execute", [])
            return steps
    return []


def cases(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all cases of a document: which operations (`operations`) are served by what (`execute`)."""
    return [case for step in execute_steps(document) for case in step.get("operation-switch", {}).get("case", [])]


def _parameters(endpoint: Endpoint) -> dict[str, Any]:
    """Return the parameters that a client described; those of the path if it left that to the server."""
    parameters = endpoint.parameters
    if parameters is None:
        parameters = [
            {
                "name": name,
                "in": "path",
                "description": f"Default description for '{name}'",
                "required": True,
                "type": "string",
            }
            for name in parameter_names(endpoint.path)
        ]
        if not parameters:
            return {}
    return {"parameters": parameters}


def _free_id(document: dict[str, Any], method: str, path: str) -> str:
    """Return stock's id of an operation; paths that differ in signs alone (`/a/b`, `/a.b`) would share one."""
    words = re.sub(r"[^0-9a-zA-Z_-]", " ", path)
    camel = re.sub(r"\w\S*", lambda word: word[0][0].upper() + word[0][1:].lower(), words, flags=re.ASCII)
    operation_id = method + camel.replace(" ", "")
    taken = {operation.get("operationId") for _, _, operation in operations(document)}
    while operation_id in taken:
        operation_id += "_"
    return operation_id


def _cases(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the list of cases that a new one joins; made if it is missing."""
    for step in execute_steps(document):
        if "operation-switch" in step:
            found: list[dict[str, Any]] = step["operation-switch"].setdefault("case", [])
            return found
    name = next((one for one in CONFIGURATIONS if one in document), CONFIGURATIONS[-1])
    steps = document.setdefault(name, {}).setdefault("assembly", {}).setdefault("execute", [])
    made: list[dict[str, Any]] = []
    steps.append({"operation-switch": {"case": made}})
    return made


def _drop_case(document: dict[str, Any], operation_id: Any) -> None:
    """Take an operation out of all cases, and the cases that were for it alone."""
    for step in execute_steps(document):
        switch = step.get("operation-switch", {})
        for case in switch.get("case", []):
            case["operations"] = [one for one in case.get("operations", []) if one != operation_id]
        if "case" in switch:
            switch["case"] = [case for case in switch["case"] if case["operations"]]
