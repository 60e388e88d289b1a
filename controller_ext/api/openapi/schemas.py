"""What bodies of requests and responses look like; names are stock's, as clients look them up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

Schema = dict[str, Any]

STOCK_KINDS: Final = (
    "blackbox", "dotnet:3.1", "dotnet:6.0", "dotnet:default", "go:1.20", "go:default", "java:8", "java:default",
    "nodejs:16", "nodejs:18", "nodejs:20", "nodejs:default", "php:8.1", "php:default", "python:3.10", "python:3.11",
    "python:default", "ruby:2.5", "ruby:default", "rust:1.34", "rust:default", "sequence", "swift:5.3", "swift:5.7",
    "swift:default",
)  # fmt: skip
"""What stock's document allows as `exec.kind`; its clients may send any of them."""
_ANY: Final[Schema] = {}
_INTEGER: Final[Schema] = {"type": "integer"}
_BOOLEAN: Final[Schema] = {"type": "boolean"}
_TEXT: Final[Schema] = {"type": "string"}
_WORD: Final[Schema] = {"type": "string", "minLength": 1}
_OBJECT: Final[Schema] = {"type": "object"}
_TEXTS: Final[Schema] = {"type": "array", "items": _TEXT}
_VERSION: Final[Schema] = {"type": "string", "pattern": "^[0-9]+([.][0-9]+){0,2}$", "description": "MAJOR.MINOR.PATCH"}
_INSTANT: Final[Schema] = {**_INTEGER, "description": "Milliseconds since 1970"}
_ID: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{32}$"}


def ref(name: str) -> Schema:
    """Return a reference to a definition."""
    return {"$ref": f"#/definitions/{name}"}


def array(name: str) -> Schema:
    """Return an array of what a definition describes."""
    return {"type": "array", "items": ref(name)}


def _closed(properties: Schema, required: Iterable[str] = (), *, typed: bool = True) -> Schema:
    """Return an object that has no other members.

    Args:
        properties: Member → its schema.
        required: Members that are always there.
        typed: False: what is no object is let pass, as in stock's document.
    """
    schema: Schema = {"type": "object"} if typed else {}
    if required:
        schema["required"] = list(required)
    return {**schema, "properties": properties, "additionalProperties": False}


_HEAD: Final[Schema] = {
    "namespace": {**_WORD, "description": "With the package, if it is in one"},
    "name": _WORD,
    "version": _VERSION,
    "publish": _BOOLEAN,
    "annotations": array("KeyValue"),
}
_ENTITY: Final[Schema] = {**_HEAD, "updated": _INSTANT}
_PUT: Final[Schema] = {"version": _VERSION, "publish": _BOOLEAN, "annotations": array("KeyValue")}
_ALWAYS: Final = ("namespace", "name", "version", "publish")
_PARAMETERS: Final[Schema] = {"parameters": array("Parameter")}


def definitions(kinds: Iterable[str]) -> dict[str, Schema]:
    """Return all definitions.

    Args:
        kinds: Of this server, beside those of stock.
    """
    return {**_shared(), **_actions(kinds), **_packages(), **_triggers_and_rules(), **_activations(), **_server()}


def _shared() -> dict[str, Schema]:
    item = {"key": _WORD, "value": _ANY}
    parameter = {**item, "init": _BOOLEAN, "encryption": {**_TEXT, "x-nullable": True}}
    return {
        "KeyValue": _closed(item, item, typed=False),
        "Parameter": _closed(parameter, item, typed=False),
        # Items of any collection, as far as they are alike.
        "EntityBrief": {"type": "object", "required": list(_ALWAYS), "properties": _ENTITY},
        "ErrorMessage": _closed({"error": _TEXT, "code": _WORD}, ("error", "code")),
        "Payload": {**_OBJECT, "description": "Parameters by their names"},
    }


def _actions(kinds: Iterable[str]) -> dict[str, Schema]:
    limits = dict.fromkeys(("timeout", "memory", "logs", "concurrency", "instances"), _INTEGER)
    execution = {
        "kind": {"type": "string", "enum": sorted({*STOCK_KINDS, *kinds})},
        "code": {**_TEXT, "description": "Source, an archive in base64, or a workflow"},
        "binary": _BOOLEAN,
        "main": _TEXT,
        "image": {**_TEXT, "description": "Of kind blackbox"},
        "components": {**_TEXTS, "description": "Of kind sequence"},
    }
    action = {**_ENTITY, **_PARAMETERS, "exec": ref("ActionExec"), "limits": ref("ActionLimits")}
    put = {**_PUT, **_PARAMETERS, "exec": ref("ActionExec"), "limits": ref("ActionLimits"), "delAnnotations": _TEXTS}
    return {
        "ActionLimits": _closed(limits),
        "ActionExec": _closed(execution, ("kind",)),
        "Action": _closed(action, (*_ALWAYS, "exec", "limits")),
        "ActionMeta": _closed(
            {**_ENTITY, "exec": _closed({"binary": _BOOLEAN}, ("binary",)), "limits": ref("ActionLimits")},
            (*_ALWAYS, "exec", "limits"),
        ),
        "ActionPut": _closed(put),
    }


def _packages() -> dict[str, Schema]:
    content = {"name": _WORD, "version": _VERSION, "annotations": array("KeyValue"), **_PARAMETERS}
    package = {**_ENTITY, "binding": ref("PackageBinding")}
    contents = {"actions": array("PackageContent"), "feeds": array("PackageContent")}
    return {
        # Empty, or `false` in a list: no binding.
        "PackageBinding": _closed({"namespace": _WORD, "name": _WORD}, typed=False),
        "PackageContent": _closed(content, ("name", "version")),
        "Package": _closed({**package, **_PARAMETERS, **contents}, _ALWAYS),
        "PackageMeta": _closed(package, _ALWAYS),
        "PackagePut": _closed({**_PUT, **_PARAMETERS, "binding": ref("PackageBinding")}),
    }


def _triggers_and_rules() -> dict[str, Schema]:
    status = {"type": "string", "enum": ["active", "inactive", "activating", "deactivating"]}
    ends = {"trigger": ref("PathName"), "action": ref("PathName")}
    limits = {"limits": _OBJECT}
    named = {"description": "`/NAMESPACE/NAME`, or an object of `path` and `name`"}
    return {
        "PathName": _closed({"path": _WORD, "name": _WORD}, ("path", "name")),
        "Trigger": _closed({**_ENTITY, **_PARAMETERS, **limits, "rules": _OBJECT}, _ALWAYS),
        "TriggerMeta": _closed(_ENTITY, _ALWAYS),
        "TriggerPut": _closed({**_PUT, **_PARAMETERS, **limits}),
        "Rule": _closed({**_ENTITY, **ends, "status": status}, (*_ALWAYS, *ends, "status")),
        "RuleMeta": _closed({**_ENTITY, **ends}, (*_ALWAYS, *ends)),
        "RulePut": _closed({**_PUT, "trigger": named, "action": named, "status": _TEXT}),
        "RuleStatus": {**_OBJECT, "required": ["status"], "properties": {"status": status}},
    }


def _activations() -> dict[str, Schema]:
    result = {"result": _ANY, "status": _WORD, "success": _BOOLEAN, "size": _INTEGER}
    times = {"start": _INSTANT, "end": _INSTANT, "duration": {**_INTEGER, "description": "Milliseconds"}}
    common = {**_HEAD, "activationId": _ID, **times, "cause": _ID}
    code = {"type": "integer", "enum": [0, 1, 2, 3]}
    always = (*_ALWAYS, "activationId", "start")
    return {
        "ActivationId": _closed({"activationId": _ID}, ("activationId",)),
        "ActivationResult": _closed(result, ("status", "success")),
        "ActivationLogs": _closed({"logs": _TEXTS}, ("logs",)),
        "Activation": _closed(
            {**common, "subject": _WORD, "response": ref("ActivationResult"), "logs": _TEXTS},
            (*always, "subject", "response", "logs"),
        ),
        "ActivationMeta": _closed({**common, "statusCode": code}, always),
        "Trace": _closed(
            {
                "activationId": _ID,
                "live": {"description": "What an invoker knows of a run that goes on; else null"},
                "run": {"description": "Its record, once it has ended; else null"},
                "firings": {"type": "array", "items": _OBJECT},
            },
            ("activationId", "live", "run", "firings"),
        ),
    }


def _server() -> dict[str, Schema]:
    rates = ("invocationsPerMinute", "concurrentInvocations", "firesPerMinute", "maxActionInstances")
    ranges = [f"{end}Action{what}" for what in ("Memory", "Timeout", "Logs", "Concurrency") for end in ("min", "max")]
    sizes = ("maxParameterSize", "maxPayloadSize", "truncationSize")
    own = {
        "allowedKinds": _TEXTS,
        "storeActivations": _BOOLEAN,
        "warmedContainerKeepingCount": _INTEGER,
        "warmedContainerKeepingTimeout": _ANY,
    }
    numbers = dict.fromkeys((*rates, *ranges), _INTEGER)
    root = {"description": _TEXT, "support": _OBJECT, "api_paths": _TEXTS, "limits": _OBJECT, "runtimes": _OBJECT}
    api = dict.fromkeys(("description", "api_version", "api_version_path", "build", "buildno"), _WORD)
    return {
        "Limits": _closed({**numbers, **dict.fromkeys(sizes, _WORD), **own}, (*numbers, "maxParameterSize")),
        "ServerInfo": _closed(root, root),
        "ApiInfo": _closed({**api, "swagger_paths": _OBJECT}, (*api, "swagger_paths")),
    }
