"""From the result of a web action to an HTTP response."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from controller_ext.entities.code import is_binary
from controller_ext.webactions import media
from controller_ext.webactions.media import MediaType
from controller_ext.webactions.printing import pretty, scalar

_HTTP: Final = "message/http"
_TYPES: Final = {
    "http": _HTTP,
    "json": media.JSON.name,
    "html": media.HTML.name,
    "svg": media.SVG.name,
    "text": media.TEXT.name,
}
_WHOLE: Final = re.compile(r"[-+]?[0-9]{1,9}")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD: Final = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")
_OURS: Final = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "server",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that the server alone decides; an action's `content-type` is that of its body, where there is one."""
_CODES: Final = range(200, 1000)
"""Statuses that can end a request."""
_BODILESS: Final = frozenset({204, 205, 304})

Headers = tuple[tuple[str, str], ...]


@dataclass(slots=True, frozen=True)
class Answer:
    """What an action answers.

    Attributes:
        status: HTTP's.
        body: Empty: none.
        content_type: None: there is no body.
        headers: All others; Latin-1, as WSGI has them.
    """

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: Headers = ()


@dataclass(slots=True, frozen=True)
class Refusal:
    """What is said of a result that is no answer."""

    status: int
    text: str


MISSING: Final = Refusal(404, "Response does not include requested property.")
FAILED: Final = Refusal(400, "There was an error processing your request.")
UNKNOWN_TYPE: Final = Refusal(400, "Response did not specify a known content-type.")
WRONG_TYPE: Final = Refusal(400, "Response type in header did not match generated content type.")


def invalid(media_type: str) -> Refusal:
    """Return what is said of a result that cannot be of a type."""
    return Refusal(400, f"Response is not valid '{media_type}'.")


def unfit(extension: str) -> Refusal:
    """Return what is said of a result of which nothing can be shown under an extension."""
    return invalid(_TYPES[extension])


def transcode(result: bytes | None, status: int, extension: str) -> Answer | Refusal:
    """Return the answer that a result stands for.

    Args:
        result: JSON text; None: there is none.
        status: Of the record: 0 success, 1 application, 2 developer, 3 internal error.
        extension: What is asked for, see `target.Target`.
    """
    if status > 1:
        return FAILED
    try:
        value = json.loads(result or b"{}", parse_float=Decimal, parse_constant=_refuse)
        if status:
            if not isinstance(value, dict) or "error" not in value:
                return MISSING
            value = value["error"]
        return _TRANSCODERS[extension](value)
    except (ValueError, ArithmeticError, RecursionError):
        return unfit(extension)


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not a JSON value")


def _json(value: Any) -> Answer | Refusal:
    if isinstance(value, dict | list):
        return _text(media.JSON, pretty(value))
    return invalid(media.JSON.name)


def _member(name: str, media_type: MediaType) -> Callable[[Any], Answer | Refusal]:
    def transcoder(value: Any) -> Answer | Refusal:
        found = value.get("body", value.get(name)) if isinstance(value, dict) else value
        return _text(media_type, found) if isinstance(found, str) else invalid(media_type.name)

    return transcoder


def _plain(value: Any) -> Answer | Refusal:
    if isinstance(value, dict):
        if "body" not in value and "text" not in value:
            return MISSING
        value = value["body"] if "body" in value else value["text"]
    return _text(media.TEXT, value if isinstance(value, str) else pretty(value))


def _http(value: Any) -> Answer | Refusal:
    if not isinstance(value, dict):
        return invalid(_HTTP)
    try:
        headers = list(_headers(value.get("headers", {})))
        status = _status(value["statusCode"]) if "statusCode" in value else None
    except ValueError:
        return invalid(_HTTP)
    kept = tuple((name, _latin(text)) for name, text in headers if name.lower() not in _OURS)
    body = value.get("body")
    if body is None or body == "":
        return Answer(204 if status is None else status, headers=kept)
    given = next((text for name, text in headers if name.lower() == "content-type"), None)
    made = _entity(given, body)
    if isinstance(made, Refusal):
        return made
    if status in _BODILESS:
        return Answer(status, headers=kept)
    return Answer(200 if status is None else status, *made, kept)


def _entity(content_type: str | None, body: Any) -> tuple[bytes, str] | Refusal:
    """Return the bytes of a body that is not empty, and their type."""
    default = media.HTML if isinstance(body, str) else media.JSON
    media_type = default if content_type is None else media.parse(content_type)
    if not isinstance(body, str):
        if media_type is None or not media_type.json:
            return WRONG_TYPE
        return pretty(body).encode(errors="replace"), media_type.name
    if media_type is None:
        return UNKNOWN_TYPE
    data = _string_body(media_type, body)
    return WRONG_TYPE if data is None else (data, media_type.of_response())


def _string_body(media_type: MediaType, body: str) -> bytes | None:
    """Return the bytes of a body that is a string; None: it should be base64 and is not."""
    if not media_type.binary and not (media_type.json and is_binary(body)):
        return body.encode(errors="replace")
    padding = "" if "=" in body else "=" * (-len(body) % 4)  # stock's decoder can do without
    try:
        return base64.b64decode(body + padding, validate=True)
    except (binascii.Error, ValueError):
        return None


def _status(code: object) -> int:
    """Return a status; raises ValueError if it is none that can end a request."""
    if isinstance(code, str) and _WHOLE.fullmatch(code):
        code = int(code)
    if isinstance(code, bool) or not isinstance(code, int | Decimal) or code not in _CODES:
        raise ValueError("no status that ends a request")
    return int(code)


def _headers(given: object) -> Iterator[tuple[str, str]]:
    """Yield headers, one a value; raises ValueError if they are none."""
    if not isinstance(given, Mapping):
        raise ValueError("no headers")
    for name, value in given.items():
        for text in _values(value):
            if not _TOKEN.fullmatch(name) or not _FIELD.fullmatch(text):
                raise ValueError("no header")
            yield name, text


def _values(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _values(one)
    elif isinstance(value, int | Decimal):
        yield scalar(value)
    else:
        raise ValueError("no header")


def _latin(text: str) -> str:
    """Return the form in which WSGI sends a text as UTF-8."""
    return text.encode(errors="replace").decode("latin-1")


def _text(media_type: MediaType, text: str) -> Answer:
    return Answer(200, text.encode(errors="replace"), media_type.of_response())


_TRANSCODERS: Final[Mapping[str, Callable[[Any], Answer | Refusal]]] = {
    "http": _http,
    "json": _json,
    "html": _member("html", media.HTML),
    "svg": _member("svg", media.SVG),
    "text": _plain,
}
