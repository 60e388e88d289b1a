"""Bodies of requests."""

from __future__ import annotations

from typing import Any

from flask import request

from controller_ext.api.errors import UnsupportedMedia
from controller_ext.api.replies import JSON_TYPE
from controller_ext.entities.errors import TooLarge
from controller_ext.runs import contents


def check_announced(allowed_bytes: int) -> None:
    """Raise TooLarge if the request announces more than it may have; nothing of it is read yet."""
    size = request.content_length
    if size is not None and size > allowed_bytes:
        raise TooLarge("Request", size, allowed_bytes)


def read(allowed_bytes: int) -> bytes:
    """Return the body, empty if there is none.

    Raises:
        TooLarge: It turned out larger than announced.
        UnsupportedMedia: It is not said to be JSON.
    """
    raw = request.get_data(cache=False)
    if not raw:
        return raw
    if len(raw) > allowed_bytes:
        raise TooLarge("Request", len(raw), allowed_bytes)
    if request.mimetype != JSON_TYPE:
        raise UnsupportedMedia(request.content_type)
    return raw


def check_object(raw: bytes) -> None:
    """Raise Malformed if a body is no JSON object."""
    contents.parse_object(raw)


def read_json(allowed_bytes: int) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value of a body that must be there; raises also Malformed."""
    return contents.parse(read(allowed_bytes))
