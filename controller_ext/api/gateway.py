"""The gateway: requests below `/api/TENANT/` become requests to web actions, inside the same process.

It stands in front of the application (WSGI), so that a web action's route serves them as it serves any other request:
only path, method and headers are other ones. Nobody is asked for a key here; what the web action asks for still holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from werkzeug.wrappers import Request, Response

from action_runtime.wire.errors import DataflowError
from controller_ext.api import bodies
from controller_ext.api.context import transaction_id
from controller_ext.api.errors import told
from controller_ext.gateway.apis import Tables
from controller_ext.gateway.backends import Backend
from controller_ext.gateway.routes import Route, split

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH_PARAMETERS: Final = "dataflower.path_parameters"
"""In the environment of a request that the gateway passed on: name → value."""
_TENANT: Final = re.compile(r"/api/([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})(?:/|$)")
_RAW: Final = ("RAW_URI", "REQUEST_URI")
_METHODS: Final = "GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS"
_REPLACED: Final = frozenset(
    {"access-control-allow-origin", "access-control-allow-methods", "access-control-allow-credentials"}
)
_REMOVED: Final = _REPLACED | {
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
}
_EXC_INFO = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None


class Gateway:
    """Passes requests for APIs on to web actions, all others as they are.

    Args:
        app: The application behind it.
        tables: Routes of all tenants.
    """

    def __init__(self, app: WSGIApplication, tables: Tables) -> None:
        self._app = app
        self._tables = tables

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request (WSGI)."""
        tenant = _TENANT.match(environ["PATH_INFO"])
        if tenant is None:
            return self._app(environ, start_response)
        path = _segments(environ)
        try:
            routes = self._tables.routes(tenant[1].lower())
        except DataflowError as error:
            return _refused(environ, start_response, *told(error, _transaction_id(environ)))
        route = None if routes is None else routes.find(path)
        if route is None:
            return _refused(environ, start_response, 404, "Not found.")
        method = environ["REQUEST_METHOD"]
        if method == "OPTIONS" and route.cors:
            return _preflight(environ, start_response)
        if method not in route.methods:
            return _refused(environ, start_response, 404, "Whoops. Verb not supported.")
        backend = route.methods[method]
        if backend is None:
            return _refused(environ, start_response, 404, "No web action serves this operation.")
        answer = start_response if route.cors is None else _with_cors(environ, start_response, route.cors)
        return self._app(_passed_on(environ, path, route, backend), answer)


def _segments(environ: WSGIEnvironment) -> list[str]:
    """Return the segments of the path below the tenant, each decoded by itself: an encoded slash ends none."""
    raw = environ.get(_RAW[0], "").partition("?")[0]
    if raw.startswith("/"):
        return [unquote(segment) for segment in split(raw)[2:]]
    return split(environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace"))[2:]


def _passed_on(environ: WSGIEnvironment, path: list[str], route: Route, backend: Backend) -> WSGIEnvironment:
    action = unquote(backend.path)
    tail = path if backend.whole_path else route.rest
    query = environ.get("QUERY_STRING")
    raw = "/".join([quote(action), *(quote(segment, safe="") for segment in tail)]) + (f"?{query}" if query else "")
    changed: dict[str, Any] = {
        **environ,
        "PATH_INFO": "/".join([action, *tail]).encode().decode("latin-1"),
        "REQUEST_METHOD": backend.method or environ["REQUEST_METHOD"],
        PATH_PARAMETERS: dict(route.parameters),
        **{name: raw for name in _RAW if name in environ},
    }
    for name, value in backend.headers:
        key = name.upper().replace("-", "_")
        changed[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    return changed


def _cors(environ: WSGIEnvironment) -> list[tuple[str, str]]:
    return [
        ("Access-Control-Allow-Origin", environ.get("HTTP_ORIGIN", "*")),
        ("Access-Control-Allow-Methods", _METHODS),
        ("Access-Control-Allow-Credentials", "true"),
    ]


def _with_cors(environ: WSGIEnvironment, start_response: StartResponse, enabled: bool) -> StartResponse:
    """Return what starts an answer with the gateway's headers for CORS, or without any."""
    dropped = _REPLACED if enabled else _REMOVED
    added = _cors(environ) if enabled else []

    def start(status: str, headers: list[tuple[str, str]], exc_info: _EXC_INFO = None, /) -> Any:
        kept = [(name, value) for name, value in headers if name.lower() not in dropped]
        return start_response(status, [*kept, *added], exc_info)

    return start


def _preflight(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    headers = _cors(environ)
    asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS")
    if asked is not None:
        headers.append(("Access-Control-Allow-Headers", asked))
    return _own(environ, start_response, Response(status=200, headers=headers))


def _refused(environ: WSGIEnvironment, start_response: StartResponse, status: int, message: str) -> Iterable[bytes]:
    """Answer as the stock gateway does where it passes nothing on."""
    body = json.dumps({"status": status, "message": f"Error: {message}"}, separators=(",", ":"))
    return _own(environ, start_response, Response(body, status, content_type="application/json; charset=utf-8"))


def _own(environ: WSGIEnvironment, start_response: StartResponse, response: Response) -> Iterable[bytes]:
    bodies.discard(Request(environ))
    response.headers["X-Request-ID"] = _transaction_id(environ)
    return response(environ, start_response)


def _transaction_id(environ: WSGIEnvironment) -> str:
    """Return the id of a request; the same one when asked again, also by the application behind."""
    found = transaction_id(environ.get("HTTP_X_REQUEST_ID"))
    environ["HTTP_X_REQUEST_ID"] = found
    return found
