"""From an HTTP request to the arguments of a web action."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from controller_ext import json_text
from controller_ext.entities.errors import Malformed
from controller_ext.webactions import media
from controller_ext.webactions.media import MediaType

METHOD: Final = "__ow_method"
HEADERS: Final = "__ow_headers"
PATH: Final = "__ow_path"
USER: Final = "__ow_user"
QUERY: Final = "__ow_query"
BODY: Final = "__ow_body"
RESERVED: Final = frozenset({METHOD, HEADERS, PATH, USER, QUERY, BODY})
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})?")


@dataclass(slots=True, frozen=True, kw_only=True)
class WebRequest:
    """What a client sent.

    Attributes:
        method: In capitals.
        headers: Lower-case name → value, but for those about the body.
        path: What follows the action, encoded; empty or begins with a slash.
        query: As it was sent.
        user: Namespace of the caller, None if it came without a valid key.
        content_type: Header, None if there is none.
        body: Empty if there is none.
    """

    method: str
    headers: Mapping[str, str]
    path: str
    query: bytes
    user: str | None
    content_type: str | None
    body: bytes


@dataclass(slots=True, frozen=True)
class Arguments:
    """What the action gets beside its own parameters.

    Attributes:
        members: Name → JSON text.
        body: JSON text of an object that goes over them; empty: none.
        names: Of its members.
        asked: What the client named itself, in the query or the body.
    """

    members: Mapping[str, bytes]
    body: bytes
    names: Collection[str]
    asked: frozenset[str]

    def over(self, defaults: Mapping[str, bytes]) -> bytes:
        """Return all arguments as one JSON object, over an action's parameters."""
        below = {**defaults, **self.members}
        return json_text.merge(below, json_text.join(below), self.body, self.names)

    def allowed(self, immutable: frozenset[str]) -> bool:
        """Return whether the client named neither what is reserved nor what the action does not let it give."""
        return self.asked.isdisjoint(RESERVED) and self.asked.isdisjoint(immutable)


def build(request: WebRequest, *, raw: bool) -> Arguments:
    """Return the arguments for a request.

    Args:
        request: What was sent.
        raw: The action wants query and body as they were sent.

    Raises:
        Malformed: Query, form or JSON cannot be read.
    """
    kind = _type_of(request)
    if raw:
        members = _frame(request, kind)
        members[QUERY] = orjson.dumps(_text(request.query))
        members[BODY] = orjson.dumps("") if kind is None else _opaque(request.body, kind)
        return Arguments(members, b"", (), frozenset())
    query = _strings(request.query)
    members = {**_frame(request, kind), **query}
    if kind is None or (kind.json and not request.body):
        return Arguments(members, b"", (), frozenset(query))
    if kind.json:
        value = json_text.parse(request.body, goes_on=True)
        if isinstance(value, dict):
            return Arguments(members, request.body, value.keys(), frozenset((*query, *value)))
        members[BODY] = request.body
    elif kind.name == media.FORM:
        form = _strings(request.body)
        return Arguments(members | form, b"", (), frozenset((*query, *form)))
    else:
        members[BODY] = _opaque(request.body, kind)
    return Arguments(members, b"", (), frozenset(query))


def _type_of(request: WebRequest) -> MediaType | None:
    """Return the type of the body; None: there is neither a body nor a type."""
    if request.content_type is None:
        return media.BYTES if request.body else None
    return media.parse(request.content_type) or media.BYTES


def _frame(request: WebRequest, kind: MediaType | None) -> dict[str, bytes]:
    headers = dict(request.headers) if kind is None else {**request.headers, "content-type": kind.of_request()}
    members = {
        METHOD: orjson.dumps(request.method.lower()),
        HEADERS: orjson.dumps(headers),
        PATH: orjson.dumps(request.path),
    }
    if request.user is not None:
        members[USER] = orjson.dumps(request.user)
    return members


def _opaque(body: bytes, kind: MediaType) -> bytes:
    """Return a body that nobody looks into, as a JSON string. Stock encodes `application/json` too, where it is raw."""
    if kind.binary or kind.name == media.JSON.name:
        return b'"' + base64.b64encode(body) + b'"'
    return orjson.dumps(_text(body))


def _strings(encoded: bytes) -> dict[str, bytes]:
    """Read a query or a form: name → JSON text; of equal names the last one stays."""
    if not encoded:
        return {}
    pairs = (one.partition(b"=") for one in encoded.split(b"&"))
    return {_decoded(name): orjson.dumps(_decoded(value)) for name, _, value in pairs}


def _decoded(encoded: bytes) -> str:
    def char(match: re.Match[bytes]) -> bytes:
        if match[1] is None:
            raise Malformed("'%' must be followed by two hexadecimal digits")
        return bytes.fromhex(match[1].decode())

    return _text(_ESCAPE.sub(char, encoded.replace(b"+", b" ")))


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
