"""Holds answers against the document that the server serves at `/api/v1/api-docs`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from jsonschema import Draft4Validator

from controller_ext.api.openapi.document import OUTSIDE
from controller_ext.api.openapi.operations import METHODS

NO_ROUTE: Final = frozenset({400, 401, 403, 404, 405, 413, 414})
"""How an answer may be refused where the document has no operation."""


@dataclass(frozen=True)
class Deviation:
    """A flag of the query with which an answer is not of the declared schema, in stock as here."""

    reason: str
    schema: dict[str, Any]


DEVIATIONS: Final = {
    "count": Deviation(
        "a number in place of a list; Swagger 2.0 has no alternatives",
        {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": {"type": "integer"}},
    ),
    "docs": Deviation(
        "whole records in place of summaries; Swagger 2.0 has no alternatives",
        {"type": "array", "items": {"$ref": "#/definitions/Activation"}},
    ),
}


@dataclass(frozen=True)
class Operation:
    """One method at one path of the document."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


Outcome = tuple[str, str, str]
"""Method, path, status or `default`."""


class Conformance:
    """One document, ready to be held against."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._definitions = {"definitions": document["definitions"]}
        base = self._base = document["basePath"]
        under = {base + path: of for path, of in document["paths"].items()}
        self._paths = {**under, **document[OUTSIDE]}
        # What names more of the path goes first: `/actions/{packageName}/` is no action.
        patterns = sorted(self._paths, key=lambda path: (path.count("{"), -len(path)))
        self._patterns = [(re.compile(_pattern(path)), path) for path in patterns]
        self._validators: dict[str, Draft4Validator] = {}

    def operations(self) -> list[Operation]:
        """Return all operations."""
        return [
            Operation(method.upper(), path) for path, of in self._paths.items() for method in of if method in METHODS
        ]

    def statuses(self, operation: Operation) -> frozenset[str]:
        """Return which statuses an operation declares."""
        return frozenset(self._of(operation)["responses"])

    def operation(self, method: str, target: str) -> Operation | None:
        """Return the operation that a request asks for; None if the document has none."""
        # WSGI decodes a path as a whole: a slash sent as `%2F` is one like any other, but in a namespace of two parts.
        head, found, tail = urlsplit(target).path.partition("/namespaces/")
        namespace, slash, rest = tail.partition("/")
        path = unquote(head) + found + unquote(namespace).replace("/", "%2F") + slash + unquote(rest)
        path = f"{path}/" if path == self._base else path
        operation = self._match(method, path)
        if operation or method != "GET" or not path.endswith("/") or not re.search("/(namespaces|api-docs)", path):
            return operation
        return self._match(method, path[:-1])  # lists are served with a slash, too

    def outcome(self, method: str, target: str, status: int) -> Outcome | None:
        """Return as what an answer is declared; None: its operation is not in the document."""
        operation = self.operation(method, target)
        if operation is None:
            return None
        exact = str(status) in self._of(operation)["responses"]
        return operation.method, operation.path, str(status) if exact else "default"

    def problems(self, method: str, target: str, status: int, content_type: str | None, body: bytes) -> list[str]:
        """Return what about an answer is not as the document says.

        Args:
            method: Of the request.
            target: Its path and query.
            status: Of the answer.
            content_type: Of the answer.
            body: Of the answer.
        """
        operation = self.operation(method, target)
        if operation is None:
            return self._refused(method, status, content_type, body)
        response = self._response(operation, status)
        if response is None:
            return [f"{operation} does not declare status {status}"]
        return self._body(self._deviation(operation, target, status) or response.get("schema"), content_type, body)

    def _deviation(self, operation: Operation, target: str, status: int) -> dict[str, Any] | None:
        taken = {one["$ref"].rpartition("/")[2] for one in self._of(operation).get("parameters", ()) if "$ref" in one}
        for name, value in parse_qsl(urlsplit(target).query):
            if status == 200 and name in DEVIATIONS and name in taken and value.lower() in ("true", "yes", "on", "1"):
                return DEVIATIONS[name].schema
        return None

    def _of(self, operation: Operation) -> dict[str, Any]:
        found: dict[str, Any] = self._paths[operation.path][operation.method.lower()]
        return found

    def _match(self, method: str, path: str) -> Operation | None:
        for pattern, name in self._patterns:
            if pattern.fullmatch(path) and method.lower() in self._paths[name]:
                return Operation(method, name)
        return None

    def _response(self, operation: Operation, status: int) -> dict[str, Any] | None:
        responses = self._of(operation)["responses"]
        found: dict[str, Any] | None = responses.get(str(status), responses.get("default"))
        if found is not None and "$ref" in found:
            return dict(self.document["responses"][found["$ref"].rpartition("/")[2]])
        return found

    def _refused(self, method: str, status: int, content_type: str | None, body: bytes) -> list[str]:
        if method == "OPTIONS":
            return [] if (status, body) == (200, b"OK") else ["OPTIONS is answered with 200 OK"]
        if status not in NO_ROUTE:
            return [f"the document has no such operation, and yet status {status}"]
        return [] if method == "HEAD" else self._body({"$ref": "#/definitions/ErrorMessage"}, content_type, body)

    def _body(self, schema: dict[str, Any] | None, content_type: str | None, body: bytes) -> list[str]:
        if schema is None:
            return []
        if content_type != "application/json":
            return [f"the body is {content_type}, not application/json"]
        try:
            value = json.loads(body, parse_constant=_refuse)
        except ValueError:
            return ["the body is no JSON"]
        return [f"{error.json_path}: {error.message[:200]}" for error in self._validator(schema).iter_errors(value)]

    def _validator(self, schema: dict[str, Any]) -> Draft4Validator:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            self._validators[key] = Draft4Validator({**schema, **self._definitions})
        return self._validators[key]


def _refuse(word: str) -> None:
    raise ValueError(word)


def _pattern(path: str) -> str:
    named = re.escape(path).replace(r"\{path\}", "(?s:.*)")
    return re.sub(r"\\\{\w+\\\}", "[^/]+", named)


@lru_cache(maxsize=8)
def conformance(document: bytes) -> Conformance:
    """Return what holds answers against a document, given as JSON."""
    return Conformance(json.loads(document))
