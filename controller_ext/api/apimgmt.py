"""Route management: what `wsk api` calls as the web actions `/whisk.system/apimgmt/…`, served by the API itself.

Parameters come as those of a web action: from the query, and over it from the body. Answers have the form of stock's
route management; refusals have its texts, with the status of a request that is wrong where it says 502.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, Response, request

from controller_ext.api import bodies, queries, replies
from controller_ext.api.auth import Authenticator
from controller_ext.api.errors import Unauthenticated
from controller_ext.api.services import Services
from controller_ext.entities.catalog import DELETE, PUT, READ
from controller_ext.entities.errors import Forbidden, Malformed, Rejected
from controller_ext.gateway import documents, requests
from controller_ext.gateway.apis import Apis
from controller_ext.runs import contents
from invoker_ext.contract.messages import Identity

PREFIX: Final = "/api/v1/web/whisk.system/apimgmt"
_METHODS: Final = ("GET", "POST", "PUT", "DELETE", "PATCH")
_EXTENSIONS: Final = ("", ".http", ".json")
_MAX_BODY_BYTES: Final = 1 << 20
"""Of a request to a web action."""
_OUTPUT_FORMATS: Final = ("apigw", "swagger")
_UNUSED: Final = "Not Used"


def make(services: Services, authenticator: Authenticator) -> Blueprint:
    """Return the routes."""
    blueprint = Blueprint("apimgmt", __name__)
    handlers = _Management(Apis(services.catalog.store, services.now_ms), authenticator)
    for name, view in (("getApi", handlers.get), ("createApi", handlers.create), ("deleteApi", handlers.delete)):
        for extension in _EXTENSIONS:
            blueprint.add_url_rule(f"/{name}{extension}", name, view, methods=_METHODS)
    return blueprint


class _Management:
    def __init__(self, apis: Apis, authenticator: Authenticator) -> None:
        self._apis = apis
        self._authenticator = authenticator

    def get(self) -> Response:
        user = self._caller(READ, "Invalid authentication.")
        given = _Parameters(user)
        if (given.text("outputFormat") or _OUTPUT_FORMATS[0]).lower() not in _OUTPUT_FORMATS:
            raise Rejected("Invalid outputFormat value. Valid values are: apigw, swagger")
        skip, limit = queries.window("apis")
        path, method = given.text("relpath"), given.method()
        found = self._apis.listed(user.namespace, given.text("basepath"))
        if path or method:
            found = [one for one in (documents.narrowed(each, path, method) for each in found) if one is not None]
        shown = found[skip : skip + limit] if "limit" in request.args else found[skip:]
        return replies.json_object(
            {"apis": [{"id": _UNUSED, "key": _UNUSED, "value": _value(one, user)} for one in shown]}
        )

    def create(self) -> Response:
        user = self._caller(PUT, "A valid auth key is required.")
        wanted = requests.parse(_Parameters(user).all, user.namespace)
        return replies.json_object(_value(self._apis.create(user.namespace, wanted), user))

    def delete(self) -> Response:
        user = self._caller(DELETE, "__ow_user is required.")
        given = _Parameters(user)
        api, path, method = given.text("basepath"), given.text("relpath"), given.method()
        if api is None:
            raise Rejected("basepath is required.")
        if path is None and method is not None:
            raise Rejected("When specifying an operation, the path is required.")
        self._apis.delete(user.namespace, api, path, method)
        return replies.json_object({})

    def _caller(self, right: str, text: str) -> Identity:
        """Return who asks; raises Unauthenticated with a text of stock's if the key is missing or wrong."""
        try:
            user = self._authenticator.identify(request.environ.get("HTTP_AUTHORIZATION"))
        except Unauthenticated as error:
            raise Unauthenticated(text) from error
        if right not in user.rights:
            raise Forbidden([f"{user.namespace}/apis"])
        return user


class _Parameters:
    """What a request gives; a space other than the caller's own is refused.

    Attributes:
        all: Name → value.
    """

    def __init__(self, user: Identity) -> None:
        bodies.check_announced(_MAX_BODY_BYTES)
        raw = bodies.read(_MAX_BODY_BYTES)
        body = contents.parse_object(raw) if raw else {}
        self.all: dict[str, Any] = {**request.args.to_dict(), **body}
        if any(name.startswith("__ow_") for name in self.all):
            raise Rejected("Request defines parameters that are not allowed (e.g., reserved properties).")
        space = self.text("spaceguid")
        if space is not None and space.lower() != user.uuid.lower():
            raise Forbidden([space])

    def text(self, name: str) -> str | None:
        """Return a parameter that is a string, None if it is missing or empty."""
        value = self.all.get(name)
        if value is not None and not isinstance(value, str):
            raise Malformed(f"the parameter {name} must be a string")
        return value or None

    def method(self) -> str | None:
        """Return the operation that is asked for, in lower case."""
        method = self.text("operation")
        return None if method is None else method.lower()


def _value(document: dict[str, Any], user: Identity) -> dict[str, Any]:
    base = documents.base_key(document["basePath"])
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
