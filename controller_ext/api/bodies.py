"""Bodies of requests."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from flask import request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected, HTTPException
from werkzeug.wrappers import Request

from controller_ext import json_text
from controller_ext.api.errors import Stalled, UnsupportedMedia
from controller_ext.api.replies import JSON_TYPE
from controller_ext.api.services import ApiSettings
from controller_ext.entities import limited
from controller_ext.entities.errors import Malformed, TooLarge
from controller_ext.entities.limited import Limited
from invoker_ext.contract.messages import Identity

_DISCARDED_BYTES: Final = 16 << 20
"""Of a body that nobody wanted; a larger one costs its sender the connection."""
_STRIDE_BYTES: Final = 64 << 10
_ESCAPE_BYTES: Final = 6
"""Of `\\u0041`."""


def check_announced(allowed_bytes: int) -> None:
    """Raise TooLarge if the request announces more than it may have; nothing of it is read yet."""
    size = request.content_length
    if size is not None and size > allowed_bytes:
        raise TooLarge("Request", size, allowed_bytes)


def read(allowed_bytes: int) -> bytes:
    """Return the body, empty if there is none.

    Raises:
        Malformed: Its chunks are none.
        Stalled: It broke off.
        TooLarge: It turned out larger than announced.
        UnsupportedMedia: It is said to be something else than JSON; nothing said is JSON, as in stock.
    """
    raw = read_any(allowed_bytes)
    said = request.content_type
    if raw and said and request.mimetype != JSON_TYPE:
        raise UnsupportedMedia(said)
    return raw


def read_any(allowed_bytes: int) -> bytes:
    """Return the body, of whatever type it is; raises otherwise as `read`."""
    try:
        raw = request.get_data(cache=False)
    except ParseException as error:
        raise Malformed(str(error)) from error
    except (OSError, ClientDisconnected) as error:
        raise Stalled from error
    if len(raw) > allowed_bytes:
        raise TooLarge("Request", len(raw), allowed_bytes)
    return raw


def discard(refused: Request) -> None:
    """Read what is left of the body of a request that was refused, so that its connection serves the next one."""
    size = refused.content_length
    if not size or size > _DISCARDED_BYTES:
        return
    with suppress(OSError, HTTPException):  # it breaks off: there is no next one
        while refused.stream.read(_STRIDE_BYTES):
            pass


def check_object(raw: bytes) -> None:
    """Raise Malformed if a body is no JSON object."""
    json_text.parse_object(raw, goes_on=True)


def read_json(allowed_bytes: int) -> Any:
    """Return the JSON value of a body that must be there; raises also Malformed."""
    return json_text.parse(read(allowed_bytes))


def read_put(user: Identity, settings: ApiSettings) -> Limited:
    """Return what stock reads first of a PUT of something without code: there, parameters are all that may be large.

    Raises:
        Malformed: It is no JSON object, or one of these members is none.
        TooLarge: Parameters or annotations are above their bound, or the body is so large that they must be.
    """
    system = settings.limits.of(user.limits)
    # Parameters and annotations of which every byte is written as an escape, with as much again around them.
    allowed_bytes = 4 * _ESCAPE_BYTES * system.parameter_bytes
    check_announced(allowed_bytes)
    return limited.read(read_json(allowed_bytes), settings.manifest, user.namespace, system)
