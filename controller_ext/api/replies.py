"""Answers: compact JSON without a charset, and the headers that all of them carry."""

from __future__ import annotations

import json
from typing import Any, Final

from flask import Response, g

from controller_ext.webactions.printing import pretty

JSON_TYPE: Final = "application/json"
ID_HEADER: Final = "X-Openwhisk-Activation-Id"
_CORS: Final = (
    ("Access-Control-Allow-Origin", "*"),
    (
        "Access-Control-Allow-Headers",
        "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent",
    ),
)
CORS: Final = (*_CORS, ("Access-Control-Allow-Methods", "GET, DELETE, POST, PUT, HEAD"))
"""Of the API, as stock's `CorsSettings`."""
OPERATOR_CORS: Final = (*_CORS, ("Access-Control-Allow-Methods", "OPTIONS, GET, POST"))
"""Of what an operator asks outside of it: invokers, counts."""
_dumps: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def json_bytes(body: bytes, status: int = 200) -> Response:
    """Return an answer whose JSON is made already."""
    return Response(body, status, content_type=JSON_TYPE)


def json_object(value: Any, status: int = 200) -> Response:
    """Return an answer of a JSON value."""
    return Response(_dumps(value).encode(), status, content_type=JSON_TYPE)


def error(text: str, status: int) -> Response:
    """Return what is said of a request that failed; for one of a web action laid out as stock does."""
    document = {"error": text, "code": g.transid}
    if g.web is None:
        return json_object(document, status)
    return json_bytes(pretty(document).encode(), status)


def json_array(items: list[bytes]) -> Response:
    """Return an array of JSON texts."""
    return json_bytes(b"[" + b",".join(items) + b"]")


def text(body: str, status: int = 200) -> Response:
    """Return an answer in plain text."""
    return Response(body, status, content_type="text/plain; charset=UTF-8")


def html(body: str, status: int = 200) -> Response:
    """Return an answer for a browser."""
    return Response(body, status, content_type="text/html; charset=UTF-8")


def accepted(activation_id: str) -> Response:
    """Return the answer of an invocation or a fire that goes on (202)."""
    reply = json_bytes(b'{"activationId":"' + activation_id.encode() + b'"}', 202)
    reply.headers[ID_HEADER] = activation_id
    return reply


def nothing() -> Response:
    """Return an answer without a body (204)."""
    reply = Response(status=204)
    del reply.headers["Content-Type"]
    return reply
