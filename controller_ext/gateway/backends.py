"""Which web action serves an operation of a document, and what the gateway does to the request on the way."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from controller_ext.gateway import swagger

_WEB_PATH: Final = re.compile(r"/api/v1/web/[^/?#]+/[^/?#]+/[^/?#]+[^?#]*")
_HEADER: Final = re.compile(r"message\.headers\.([!#$%&'*+.^_`|~0-9A-Za-z-]+)")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_OF_THE_CONNECTION: Final = frozenset({"connection", "content-length", "host", "transfer-encoding"})
"""Headers that say where the request ends and whom it reached: no document may change them."""


@dataclass(slots=True, frozen=True)
class Backend:
    """What serves an operation.

    Attributes:
        path: Of the web action on this server, as the document has it.
        whole_path: The action gets the whole path of the request below its tenant, else what the route left over.
        method: By which it is called; None: that of the request.
        headers: Set on the request, `(name, value)`.
    """

    path: str
    whole_path: bool
    method: str | None
    headers: tuple[tuple[str, str], ...]


def target_urls(document: dict[str, Any]) -> dict[str, str]:
    """Return operationId → URL of what serves it, as the document's cases say."""
    return {
        operation_id: step["invoke"]["target-url"]
        for case in swagger.cases(document)
        for step in case.get("execute", [])
        if step.get("invoke", {}).get("target-url")
        for operation_id in case.get("operations", [])
    }


def compile_document(document: dict[str, Any]) -> list[tuple[str, str, Backend | None]]:
    """Return path, method (upper case) and backend of all operations; None: no web action serves it."""
    steps = swagger.execute_steps(document)
    by_id: dict[str, list[dict[str, Any]]] = {}
    for case in swagger.cases(document):
        for operation_id in case.get("operations", []):
            by_id[operation_id] = case.get("execute", [])
    return [
        (path, method.upper(), _backend(operation, [*steps, *by_id.get(operation.get("operationId", ""), ())]))
        for path, method, operation in swagger.operations(document)
    ]


def cors(document: dict[str, Any]) -> bool | None:
    """Return whether the gateway answers for CORS; None: that is left to the web action."""
    for name in swagger.CONFIGURATIONS:
        if name in document:
            enabled = document[name].get("cors", {}).get("enabled")
            return enabled if isinstance(enabled, bool) else None
    return None


def _backend(operation: dict[str, Any], steps: list[dict[str, Any]]) -> Backend | None:
    url, verb = _described(operation), "keep"
    for step in steps:
        invoke = step.get("invoke", {})
        if invoke.get("target-url"):
            url, verb = invoke["target-url"], invoke.get("verb", "keep")
    found = _WEB_PATH.search(url.removesuffix(swagger.REQUEST_PATH))
    if found is None:
        return None
    method = verb.upper() if verb.lower() in swagger.METHODS else "GET"
    return Backend(
        path=found[0],
        whole_path=url.endswith(swagger.REQUEST_PATH),
        method=None if verb == "keep" else method,
        headers=tuple(_headers(steps)),
    )


def _described(operation: dict[str, Any]) -> str:
    """Return the URL that an operation itself names, for documents without an assembly."""
    url: str = operation.get("x-openwhisk", {}).get("url", "")
    return url + swagger.REQUEST_PATH if url.endswith(".http") else url


def _headers(steps: Iterable[dict[str, Any]]) -> Iterable[tuple[str, str]]:
    for step in steps:
        for action in step.get("set-variable", {}).get("actions", []):
            header = _HEADER.fullmatch(action["set"]) if isinstance(action.get("set"), str) else None
            value = action.get("value")
            if header is None or header[1].lower() in _OF_THE_CONNECTION:
                continue
            if isinstance(value, str | int | float) and not isinstance(value, bool) and _VALUE.fullmatch(str(value)):
                yield header[1], str(value)
