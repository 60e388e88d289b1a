"""Which routes there are, with what they take and every status that they answer with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from controller_ext.api.openapi.schemas import Schema, array, ref

Operation = dict[str, Any]
Paths = dict[str, dict[str, Operation]]

METHODS: Final = ("get", "put", "post", "delete", "head", "options", "patch")

ERRORS: Final[Mapping[int, str]] = {
    400: "The request is malformed, or asks for what is not allowed",
    401: "No credentials, or wrong ones",
    403: "The credentials do not reach so far",
    404: "There is no such resource",
    406: "The client does not accept what it would get",
    408: "The body of the request did not arrive in time",
    409: "In conflict with what is stored",
    413: "The request is too large",
    415: "The body of the request is not JSON",
    422: "The idempotency key stands for a request with another body",
    429: "Too many requests",
    500: "The server failed",
    503: "The server is not able to answer for the moment",
}
_COMMON: Final = (401, 500, 503)
_NOT_ACCEPTED: Final = {"406": {"$ref": "#/responses/406"}}
_BODY: Final = (408, 413, 415)
_JSON: Final = "application/json"
_TEXT: Final = "text/plain"
_FLAG: Final = {"type": "boolean"}
_IN_PATH: Final = {"in": "path", "required": True, "type": "string"}
_NAME: Final = {**_IN_PATH, "pattern": "^[A-Za-z0-9_]([A-Za-z0-9_@ .&-]{0,254}[A-Za-z0-9_@.&-])?$"}

PARAMETERS: Final[Mapping[str, Schema]] = {
    "namespace": {"name": "namespace", **_NAME, "description": "`_`: the caller's own", "x-example": "_"},
    **{name: {"name": name, **_NAME} for name in ("packageName", "actionName", "triggerName", "ruleName")},
    "path": {"name": "path", **_IN_PATH, "description": "For the action; may hold slashes"},
    "activationId": {"name": "activationId", **_IN_PATH, "pattern": "^[0-9a-f]{32}$"},
    "limit": {
        "name": "limit", "in": "query", "type": "integer", "minimum": 0, "maximum": 200, "default": 30,
        "description": "How many items to show; 0: as many as possible",
    },
    "skip": {"name": "skip", "in": "query", "type": "integer", "minimum": 0, "description": "How many to pass over"},
    "count": {"name": "count", "in": "query", **_FLAG, "description": "Answer with `{COLLECTION: number}` instead"},
    "overwrite": {"name": "overwrite", "in": "query", **_FLAG, "description": "Update what is there"},
    "force": {"name": "force", "in": "query", **_FLAG, "description": "Delete what is in the package, too"},
    "code": {"name": "code", "in": "query", **_FLAG, "default": True, "description": "Show the code"},
    "blocking": {"name": "blocking", "in": "query", **_FLAG, "description": "Answer when the activation has ended"},
    "result": {"name": "result", "in": "query", **_FLAG, "description": "Of a blocking call: answer with the result"},
    "timeout": {
        "name": "timeout", "in": "query", "type": "integer", "minimum": 1, "maximum": 60000, "default": 60000,
        "description": "Milliseconds that a blocking call waits before it answers 202",
    },
    "idempotencyKey": {
        "name": "Idempotency-Key", "in": "header", "type": "string", "minLength": 1, "maxLength": 255,
        "description": "A request with the key of an earlier one becomes no second activation",
    },
    "name": {"name": "name", "in": "query", "type": "string", "description": "Only of `NAME` or `PACKAGE/NAME`"},
    "since": {"name": "since", "in": "query", "type": "integer", "minimum": 0, "description": "Epoch milliseconds"},
    "upto": {"name": "upto", "in": "query", "type": "integer", "minimum": 0, "description": "Epoch milliseconds"},
    "docs": {"name": "docs", "in": "query", **_FLAG, "description": "Whole records"},
}  # fmt: skip
"""Parameters that routes share, by the name under which they are referred to."""


def _operation(
    summary: str,
    ok: Mapping[int, Schema | None],
    errors: Sequence[int] = (),
    parameters: Sequence[str] = (),
    body: Schema | None = None,
) -> Operation:
    """Return one operation.

    Args:
        summary: What it does.
        ok: Status → schema of the body, None if it has none or any.
        errors: Statuses of `ERRORS` beside those that every operation with a key has.
        parameters: Names in `PARAMETERS`; those of the path are known from it.
        body: Schema of the request's body, `required` beside it if it must be there.
    """
    described: dict[str, Schema] = {}
    for status, schema in ok.items():
        described[str(status)] = {"description": "Done", **({} if schema is None else {"schema": schema})}
    negotiated = (406,) if any(status in (200, 202) for status in ok) else ()
    for status in sorted({*_COMMON, *negotiated, *errors, *(_BODY if body else ())} - ok.keys()):
        described[str(status)] = {"$ref": f"#/responses/{status}"}
    operation: Operation = {"summary": summary, "responses": described}
    given: list[Schema] = [{"$ref": f"#/parameters/{name}"} for name in parameters]
    if body:
        given.append({"name": "body", "in": "body", **body})
        operation["consumes"] = [_JSON]
    return {**operation, "parameters": given} if given else operation


def _list(noun: str, item: str) -> Operation:
    return _operation(f"List {noun}", {200: array(item)}, (400, 403), ("limit", "skip", "count"))


def _entity(
    noun: str, shown: str, query: Mapping[str, Sequence[str]] | None = None, missing: bool = False
) -> dict[str, Operation]:
    """Return how an entity is read, written and deleted.

    Args:
        noun: What it is called.
        shown: Its definition.
        query: Method → parameters.
        missing: Writing it may fail for want of a package.
    """
    one = {200: ref(shown)}
    there = (400, 403, 404, 409)
    put = {"required": True, "schema": ref(f"{shown}Put")}
    given = query or {}
    return {
        "get": _operation(f"Read {noun}", one, there, given.get("get", ())),
        "put": _operation(f"Create or update {noun}", one, there if missing else (400, 403, 409), ("overwrite",), put),
        "delete": _operation(f"Delete {noun}", one, there, given.get("delete", ())),
    }


def _action() -> dict[str, Operation]:
    # What a blocking call answers with is the action's own, unless it is a whole record.
    invoke = _operation(
        "Invoke an action",
        {200: None, 202: ref("ActivationId"), 500: None, 502: None},
        (400, 403, 404, 409, 422, 429),
        ("blocking", "result", "timeout", "idempotencyKey"),
        {"schema": ref("Payload")},
    )
    return {**_entity("an action", "Action", {"get": ("code",)}, missing=True), "post": invoke}


def _triggers() -> Paths:
    fire = _operation(
        "Fire a trigger; 204: none of its rules is active",
        {202: ref("ActivationId"), 204: None},
        (400, 403, 404, 409, 422, 429),
        ("idempotencyKey",),
        body={"schema": ref("Payload")},
    )
    return {
        "": {"get": _list("triggers", "TriggerMeta")},
        "/{triggerName}": {**_entity("a trigger", "Trigger"), "post": fire},
    }


def _rules() -> Paths:
    switch = _operation(
        "Enable or disable a rule",
        {200: None},
        (400, 403, 404, 409),
        body={"required": True, "schema": ref("RuleStatus")},
    )
    switch["produces"] = [_TEXT, _JSON]
    del switch["responses"]["406"]  # its OK is no JSON
    return {
        "": {"get": _list("rules", "RuleMeta")},
        "/{ruleName}": {**_entity("a rule", "Rule", missing=True), "post": switch},
    }


def _activations() -> Paths:
    there = (400, 403, 404)
    listing = _list("activations", "ActivationMeta")
    listing["parameters"] += [{"$ref": f"#/parameters/{name}"} for name in ("name", "since", "upto", "docs")]

    def read(summary: str, shown: str) -> dict[str, Operation]:
        return {"get": _operation(summary, {200: ref(shown)}, there)}

    cancel = _operation("End a run", {202: ref("ActivationId")}, (*there, 409))
    one = "/{activationId}"
    return {
        "": {"get": listing},
        one: read("Read a record", "Activation"),
        f"{one}/logs": read("Read the logs of an activation", "ActivationLogs"),
        f"{one}/result": read("Read the response of an activation", "ActivationResult"),
        f"{one}/trace": read("Read the time line of a run, also while it goes on", "Trace"),
        f"{one}/cancel": {"post": cancel},
    }


def _web() -> dict[str, Operation]:
    answer = {"default": {"description": "What the action answers, or why it was not invoked"}}
    return {one: {"summary": "Invoke a web action", "security": [], "responses": answer} for one in METHODS}


def _open(summary: str, schema: Schema | None, produces: str = _JSON, status: int = 200) -> dict[str, Operation]:
    """Return the one operation of a document that needs no key."""
    answer = {"description": "Done", **({} if schema is None else {"schema": schema})}
    responses = {str(status): answer, **(_NOT_ACCEPTED if produces == _JSON else {})}
    return {"get": {"summary": summary, "security": [], "produces": [produces], "responses": responses}}


def paths() -> Paths:
    """Return all routes of the API."""
    actions: Paths = {
        "": {"get": _list("actions", "ActionMeta")},
        "/{actionName}": _action(),
        "/{packageName}/": {"get": _list("the actions of a package", "ActionMeta")},
        "/{packageName}/{actionName}": _action(),
    }
    actions["/{packageName}/"]["get"]["responses"].update(
        {str(one): {"$ref": f"#/responses/{one}"} for one in (404, 409)}
    )
    packages: Paths = {
        "": {"get": _list("packages", "PackageMeta")},
        "/{packageName}": _entity("a package", "Package", {"delete": ("force",)}),
    }
    own = "/namespaces/{namespace}"
    found: Paths = {
        "/": _open("What this API is", ref("ApiInfo")),
        "/api-docs": _open("This document", {"type": "object"}),
        "/docs": _open("Where the page is that shows this document", None, "text/html", 308),
        "/docs/index.html": _open("The page that shows this document", None, "text/html"),
        "/namespaces": {
            "get": _operation("List the caller's namespaces", {200: {"type": "array", "items": {"type": "string"}}})
        },
        f"{own}/limits": {"get": _operation("Read the limits of a namespace", {200: ref("Limits")}, (400, 403))},
    }
    collections = (
        ("actions", actions), ("packages", packages), ("triggers", _triggers()), ("rules", _rules()),
        ("activations", _activations()),
    )  # fmt: skip
    for collection, below in collections:
        found |= {f"{own}/{collection}{path}": of for path, of in below.items()}
    web = "/web/{namespace}/{packageName}/{actionName}"
    found |= {path: _web() for path in (web, f"{web}/{{path}}")}
    return found


def outside_paths() -> Paths:
    """Return what is served above the API, for operators and for clients that look for an API."""
    number = {"type": "integer"}
    ready = _open("Whether all invokers are well", {"type": "object"})
    ready["get"]["responses"]["500"] = {"description": "Not all are", "schema": {"type": "object"}}
    return {
        "/": _open("What this server is", ref("ServerInfo")),
        "/ping": _open("Whether it answers", None, _TEXT),
        "/invokers": _open("Invokers and their states", {"type": "object", "additionalProperties": {"type": "string"}}),
        "/invokers/healthy/count": _open("How many invokers are well", number),
        "/invokers/ready": ready,
        "/activation/count": _open("How many activations are under way", number),
        "/metrics": _open("Figures in Prometheus' text form", None, _TEXT),
    }
