"""What a client sends to create an API, read and checked in the order of OpenWhisk's route management."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller_ext import json_text
from controller_ext.entities.errors import Malformed, Rejected
from controller_ext.entities.names import check_entity, check_namespace
from controller_ext.gateway.errors import CreationRefused
from controller_ext.workflow import text
from controller_ext.workflow.errors import WorkflowSyntax

RESPONSE_TYPES: Final = ("html", "http", "json", "svg", "text")
DEFAULT_PACKAGE: Final = "default"
_ACTION_URL: Final = re.compile(r"(\w+://[\[\]:/\w.-]+)/api/v\d/web/[^/]+/[^/]+/.+\.\w+")
_ENDPOINT_FIELDS: Final = ("gatewayBasePath", "gatewayPath", "gatewayMethod")
_ACTION_FIELDS: Final = ("backendMethod", "backendUrl", "namespace", "name", "authkey")


@dataclass(slots=True, frozen=True)
class Action:
    """The web action behind an operation.

    Attributes:
        origin: Scheme and host of its URL, as the client named them.
        namespace: Whose it is; never `_`.
        package: Empty: the default one.
        name: Without its package.
        secure_key: Value of its annotation `require-whisk-auth`, None if it has none.
    """

    origin: str
    namespace: str
    package: str
    name: str
    secure_key: Any

    def url(self, response_type: str) -> str:
        """Return where it answers in a form."""
        package = self.package or DEFAULT_PACKAGE
        return f"{self.origin}/api/v1/web/{self.namespace}/{package}/{self.name}.{response_type}"


@dataclass(slots=True, frozen=True)
class Endpoint:
    """One operation to be added to an API, or replaced in it.

    Attributes:
        api: Base path, or the name of an API that is there.
        title: Name of the API if it is made by this; None: its base path.
        path: Below the base path.
        method: Lower case.
        action: What serves it.
        response_type: Extension of the web action's URL.
        parameters: Swagger's, of the path.
    """

    api: str
    title: str | None
    path: str
    method: str
    action: Action
    response_type: str
    parameters: list[Any] | None


@dataclass(slots=True, frozen=True)
class Upload:
    """A whole API.

    Attributes:
        document: Not checked yet, but an object with `basePath`, `paths` and `info`.
    """

    document: dict[str, Any]


def parse(message: Mapping[str, Any], own: str) -> Endpoint | Upload:
    """Return what is to be created.

    Args:
        message: Query and body of the request in one.
        own: Namespace of the caller.

    Raises:
        Rejected: Something is missing or of the wrong type.
    """
    doc = _apidoc(message.get("apidoc"))
    if _falsy(doc.get("namespace")):
        raise Rejected("apidoc is missing the namespace field")
    swagger = doc.get("swagger")
    if not _falsy(swagger):
        if not _falsy(doc.get("gatewayBasePath")):
            raise Rejected("swagger and gatewayBasePath are mutually exclusive and cannot be specified together.")
        return Upload(_document(swagger))
    for name in _ENDPOINT_FIELDS:
        if _falsy(doc.get(name)):
            raise Rejected(f"apidoc is missing the {name} field")
    action = doc.get("action")
    if _falsy(action):
        raise Rejected("apidoc is missing the action field.")
    members = action if isinstance(action, dict) else {}
    for name in _ACTION_FIELDS:
        if _falsy(members.get(name)):
            raise Rejected(f"action is missing the {name} field.")
    return _endpoint(doc, members, message.get("responsetype"), own)


def _apidoc(value: Any) -> dict[str, Any]:
    if _falsy(value):
        raise Rejected("apidoc is required.")
    if isinstance(value, str):
        try:
            value = json_text.parse(value.encode())
        except (Malformed, UnicodeEncodeError) as error:
            raise Rejected("apidoc field cannot be parsed. Ensure it is valid JSON.") from error
    elif isinstance(value, bool | int | float):
        raise Rejected(f"apidoc field is of type {_type_name(value)} and should be a JSON object or a JSON string.")
    return value if isinstance(value, dict) else {}


def _document(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = _from_text(value)
    elif isinstance(value, bool | int | float):
        raise Rejected(f"swagger field is {_type_name(value)} and should be an object or a JSON string.")
    document: dict[str, Any] = value if isinstance(value, dict) else {}
    for name in ("basePath", "paths", "info"):
        if _falsy(document.get(name)):
            raise Rejected(f"swagger is missing the {name} field.")
    return document


def _from_text(swagger: str) -> Any:
    """Return the value of a JSON text; YAML is taken as well, which stock leaves to its clients."""
    try:
        return json_text.parse(swagger.encode())
    except (Malformed, UnicodeEncodeError):
        pass
    try:
        read = text.load(swagger)
    except WorkflowSyntax as error:
        raise Rejected("swagger field cannot be parsed. Ensure it is valid JSON.") from error
    if read.findings or not isinstance(read.value, dict):
        raise Rejected("swagger field cannot be parsed. Ensure it is valid JSON.")
    return read.value


def _endpoint(doc: dict[str, Any], action: dict[str, Any], response_type: Any, own: str) -> Endpoint:
    for name, value in (
        *((one, doc[one]) for one in _ENDPOINT_FIELDS),
        *((one, action[one]) for one in _ACTION_FIELDS),
    ):
        if not isinstance(value, str):
            raise CreationRefused(f"the {name} field must be a string.")
    title = doc.get("apiName")
    parameters = doc.get("pathParameters")
    if not _falsy(title) and not isinstance(title, str):
        raise CreationRefused("the apiName field must be a string.")
    if parameters is not None and not isinstance(parameters, list):
        raise CreationRefused("the pathParameters field must be an array.")
    if _falsy(response_type):
        response_type = "json"
    if response_type not in RESPONSE_TYPES:
        raise CreationRefused(f"the response type must be one of {', '.join(RESPONSE_TYPES)}.")
    return Endpoint(
        api=doc["gatewayBasePath"],
        title=title or None,
        path=doc["gatewayPath"],
        method=doc["gatewayMethod"].lower(),
        action=_action(action, own),
        response_type=response_type,
        parameters=parameters,
    )


def _action(action: dict[str, Any], own: str) -> Action:
    url = _ACTION_URL.match(action["backendUrl"])
    if url is None:
        raise CreationRefused("API swagger generation error: backendUrl is not the URL of a web action.")
    *front, name = action["name"].removeprefix("/").split("/")
    if len(front) > 2:
        raise Rejected("The name of the entity contains illegal characters.")
    package = front[-1] if front else ""
    secure_key = action.get("secureKey")
    return Action(
        origin=url[1],
        namespace=check_namespace(action["namespace"], own),
        package=check_entity(package) if front else "",
        name=check_entity(name),
        secure_key=None if _falsy(secure_key) else secure_key,
    )


def _falsy(value: Any) -> bool:
    """Return whether JavaScript, in which stock's checks are written, takes a value for false."""
    return value is None or (isinstance(value, bool | int | float | str) and not value)


def _type_name(value: object) -> str:
    return "boolean" if isinstance(value, bool) else "number"
