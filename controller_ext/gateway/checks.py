"""What a Swagger document must be before it is stored: whole, of the right types, and one that this gateway can serve.

Whatever passed is read elsewhere without another look at its types.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from controller_ext import json_text
from controller_ext.entities.errors import TooLarge
from controller_ext.gateway import swagger
from controller_ext.gateway.backends import target_urls
from controller_ext.gateway.errors import CreationRefused

MAX_DOCUMENT_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 64
MAX_BASE_PATH_CHARS: Final = 1024
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_X_OPENWHISK: Final = ("url", "namespace", "package", "action")


def check(document: dict[str, Any]) -> None:
    """Check a document that is to be stored.

    Raises:
        CreationRefused: It is no API, or none that can be served.
        TooLarge: It has more than 1 MiB.
    """
    _check_size(document)
    base_path = document["basePath"]
    _require(isinstance(base_path, str), "the basePath field must be a string.")
    _require(len(base_path) <= MAX_BASE_PATH_CHARS, f"the base path has more than {MAX_BASE_PATH_CHARS} characters.")
    info = document["info"]
    if not isinstance(info, dict) or not isinstance(info.get("title"), str):
        raise _by_gateway("Missing field 'name' in request body.")
    _check_configuration(document)
    _check_paths(document["paths"])
    if "'" in base_path or _CONTROL.search(base_path):
        raise _by_gateway('basePath contains illegal character "\'".')
    if document.get("securityDefinitions"):
        raise CreationRefused("securityDefinitions are not supported: this gateway asks callers of an API for no key.")
    _check_parameters(document)


def _check_size(document: dict[str, Any]) -> None:
    for depth, _ in enumerate(json_text.levels(document)):
        _require(depth < MAX_DEPTH, f"the API is nested deeper than {MAX_DEPTH}.")
    try:
        size = len(json.dumps(document, ensure_ascii=False, allow_nan=False).encode())
    except UnicodeEncodeError as error:
        raise CreationRefused("half a surrogate pair is no character.") from error
    except ValueError as error:
        raise CreationRefused("the API holds a number that JSON cannot hold.") from error
    if size > MAX_DOCUMENT_BYTES:
        raise TooLarge("API", size, MAX_DOCUMENT_BYTES)


def _check_configuration(document: dict[str, Any]) -> None:
    for name in swagger.CONFIGURATIONS:
        configuration = _object(document, name, "")
        _object(configuration, "cors", name)
        for step in _objects(_object(configuration, "assembly", name), "execute", name):
            _check_step(step, name)
            for case in _objects(_object(step, "operation-switch", name), "case", name):
                ids = case.get("operations", [])
                _require(isinstance(ids, list) and all(isinstance(one, str) for one in ids), _bad("operations", name))
                for inner in _objects(case, "execute", name):
                    _check_step(inner, name)


def _check_step(step: dict[str, Any], name: str) -> None:
    invoke = _object(step, "invoke", name)
    for member in ("target-url", "verb"):
        _require(isinstance(invoke.get(member, ""), str), _bad(member, name))
    _objects(_object(step, "set-variable", name), "actions", name)


def _check_paths(paths: Any) -> None:
    if not isinstance(paths, dict) or not paths:
        raise _by_gateway("Empty resources object.")
    for path, item in paths.items():
        if "'" in path or _CONTROL.search(path):
            raise _by_gateway('resource path contains illegal character "\'".')
        if not path.startswith("/"):
            raise _by_gateway("Resource path must begin with '/'.")
        served = [one for one in item if one != "parameters" and one[:2] != "x-"] if isinstance(item, dict) else []
        if not served:
            raise _by_gateway("Missing or empty field 'operations' or in resource path object.")
        _objects(item, "parameters", path)
        for method in served:
            if method.lower() not in swagger.METHODS:
                raise _by_gateway(f"Resource verb '{method}' not supported.")
            _check_operation(_object(item, method, path), f"{method} {path}")


def _check_operation(operation: dict[str, Any], where: str) -> None:
    _require(isinstance(operation.get("operationId", ""), str), _bad("operationId", where))
    _objects(operation, "parameters", where)
    extension = _object(operation, "x-openwhisk", where)
    for member in _X_OPENWHISK:
        _require(isinstance(extension.get(member, ""), str), _bad(member, where))


def _check_parameters(document: dict[str, Any]) -> None:
    """Check that parameters stand in paths alone, are described, and reach the action."""
    base_path = document["basePath"]
    _require(
        not swagger.has_parameter(base_path),
        f"The base path ({base_path}) cannot have parameters. Only the relative path supports path parameters.",
    )
    targets = target_urls(document)
    for path, _, operation in swagger.operations(document):
        if not swagger.has_parameter(path):
            continue
        _require(
            operation.get("x-openwhisk", {}).get("url", ".http").endswith(".http"),
            "The action must use a response type of '.http' in order to receive the path parameters.",
        )
        operation_id = operation.get("operationId", "")
        _require(
            targets.get(operation_id, f".http{swagger.REQUEST_PATH}").endswith(f".http{swagger.REQUEST_PATH}"),
            f"The target-url for operationId '{operation_id}' must end in '{swagger.REQUEST_PATH}' in order for"
            " actions to receive the path parameters.",
        )
        described = [*document["paths"][path].get("parameters", []), *operation.get("parameters", [])]
        names = {one.get("name") for one in described if isinstance(one.get("name"), str)}
        for name in swagger.parameter_names(path):
            _require(
                name in names,
                f"The parameter '{name}' defined in path '{path}' does not match any of the parameters defined for the"
                " path in the swagger file.",
            )


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise CreationRefused(sentence)


def _object(parent: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    """Return a member that is an object; an empty one if it is missing."""
    value = parent.get(name, {})
    _require(isinstance(value, dict), _bad(name, where))
    found: dict[str, Any] = value
    return found


def _objects(parent: dict[str, Any], name: str, where: str) -> list[dict[str, Any]]:
    """Return a member that is a list of objects; an empty one if it is missing."""
    value = parent.get(name, [])
    _require(isinstance(value, list) and all(isinstance(one, dict) for one in value), _bad(name, where))
    found: list[dict[str, Any]] = value
    return found


def _bad(name: str, where: str) -> str:
    return f"the field {name}{f' in {where}' if where else ''} is of the wrong type."


def _by_gateway(message: str) -> CreationRefused:
    """Return a refusal in the words of the stock gateway, as route management passes them on."""
    answer = json.dumps({"status": 400, "message": f"Error: {message}"}, separators=(",", ":"))
    return CreationRefused(f"Unable to configure the API Gateway (status code 400): {answer}")
