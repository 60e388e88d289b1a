"""Route management: what `wsk api` calls as the web actions `/whisk.system/apimgmt/…`, served by the API itself.

Parameters come as those of a web action: from the query, and over it from the body. Answers have the form of stock's
route management; refusals have its texts, with the status of a request that is wrong where it says 502.
"""

from __future__ import annotations

import re
from typing import Any, Final

from flask import Blueprint, Response, request

from controller_ext import json_text
from controller_ext.api import bodies, replies
from controller_ext.api.context import caller
from controller_ext.api.services import Services
from controller_ext.entities.catalog import DELETE, PUT, READ
from controller_ext.entities.errors import Forbidden, Malformed, ParametersNotAllowed, Rejected
from controller_ext.gateway import creation, swagger
from controller_ext.gateway.apis import Apis
from controller_ext.webactions.arguments import RESERVED
from invoker_ext.contract.messages import Identity

PREFIX: Final = "/api/v1/web/whisk.system/apimgmt"
_METHODS: Final = ("GET", "POST", "PUT", "DELETE", "PATCH")
_EXTENSIONS: Final = ("", ".http", ".json")
_OUTPUT_FORMATS: Final = ("apigw", "swagger")
_UNUSED: Final = "Not Used"
_NO_VALUE: Final = "undefined"
"""What the client for JavaScript sends for an option that its caller left open."""
_NUMBER: Final = re.compile(r"[0-9]{1,18}")


def make(services: Services) -> Blueprint:
    """Return the routes."""
    blueprint = Blueprint("apimgmt", __name__)
    handlers = _Management(Apis(services.catalog.store, services.now_ms), services.settings.limits.request_bytes)
    for name, view in (("getApi", handlers.get), ("createApi", handlers.create), ("deleteApi", handlers.delete)):
        for extension in _EXTENSIONS:
            blueprint.add_url_rule(f"/{name}{extension}", name, view, methods=_METHODS)
    return blueprint


class _Management:
    def __init__(self, apis: Apis, most_bytes: int) -> None:
        self._apis = apis
        self._most_bytes = most_bytes

    def get(self) -> Response:
        user = _caller(READ)
        given = _Parameters(user, self._most_bytes)
        if (given.text("outputFormat") or _OUTPUT_FORMATS[0]).lower() not in _OUTPUT_FORMATS:
            raise Rejected("Invalid outputFormat value. Valid values are: apigw, swagger")
        first, most = given.number("skip") or 0, given.number("limit")
        path, method = given.text("relpath"), given.method()
        found = self._apis.listed(user.namespace, given.text("basepath"))
        if path or method:
            found = [one for one in (swagger.narrowed(each, path, method) for each in found) if one is not None]
        shown = found[first : first + most] if most else found[first:]
        return replies.json_object(
            {"apis": [{"id": _UNUSED, "key": _UNUSED, "value": _value(one, user)} for one in shown]}
        )

    def create(self) -> Response:
        user = _caller(PUT)
        wanted = creation.parse(_Parameters(user, self._most_bytes).all, user.namespace)
        return replies.json_object(_value(self._apis.create(user.namespace, wanted), user))

    def delete(self) -> Response:
        user = _caller(DELETE)
        given = _Parameters(user, self._most_bytes)
        api, path, method = given.text("basepath"), given.text("relpath"), given.method()
        if api is None:
            raise Rejected("basepath is required.")
        if path is None and method is not None:
            raise Rejected("When specifying an operation, the path is required.")
        self._apis.delete(user.namespace, api, path, method)
        return replies.json_object({})


class _Parameters:
    """What a request gives; a space other than the caller's own is refused.

    Attributes:
        all: Name → value.
    """

    def __init__(self, user: Identity, most_bytes: int) -> None:
        bodies.check_announced(most_bytes)
        raw = bodies.read(most_bytes)
        body = json_text.parse_object(raw) if raw else {}
        self.all: dict[str, Any] = {**request.args.to_dict(), **body}
        if not RESERVED.isdisjoint(self.all):
            raise ParametersNotAllowed
        space = self.text("spaceguid")
        if space is not None and space.lower() != user.uuid.lower():
            raise Forbidden([space])

    def text(self, name: str) -> str | None:
        """Return a parameter that is a string, None if it is missing or empty."""
        value = self.all.get(name)
        if value is not None and not isinstance(value, str):
            raise Malformed(f"the parameter {name} must be a string")
        return None if value in ("", _NO_VALUE) else value

    def number(self, name: str) -> int | None:
        """Return a parameter that is a whole number, None if it is none: stock looks at no such parameter."""
        value = self.text(name)
        return int(value) if value is not None and _NUMBER.fullmatch(value) else None

    def method(self) -> str | None:
        """Return the operation that is asked for, in lower case."""
        method = self.text("operation")
        return None if method is None else method.lower()


def _caller(right: str) -> Identity:
    user = caller()
    if right not in user.rights:
        raise Forbidden([f"{user.namespace}/apis"])
    return user


def _value(document: dict[str, Any], user: Identity) -> dict[str, Any]:
    base = swagger.base_key(document["basePath"])
    return {
        "namespace": _UNUSED,
        "gwApiActivated": True,
        "tenantId": _UNUSED,
        "gwApiUrl": f"{_origin()}/api/{user.uuid}{base.rstrip('/')}",
        "apidoc": document,
    }


def _origin() -> str:
    """Return scheme and host by which the client reached this server, through a proxy if there is one."""
    scheme = _first("X-Forwarded-Proto")
    if scheme not in ("http", "https"):
        scheme = request.scheme
    return f"{scheme}://{_first('X-Forwarded-Host') or request.host}"


def _first(header: str) -> str:
    return request.headers.get(header, "").partition(",")[0].strip()
