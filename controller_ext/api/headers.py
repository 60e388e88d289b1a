"""What is read from the headers of a request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from flask import request

from controller_ext.entities.errors import Rejected

LAST_VALUES: Final = "last_values"
"""Attribute of `wsgi.input`: name in capitals → value of the last header of that name; only where one is repeated."""
MAX_KEY_CHARS: Final = 255
"""Of an idempotency key; a UUID has 36."""


def idempotency_key() -> str | None:
    """Return the header `Idempotency-Key`; None: the request has none.

    Source: draft-ietf-httpapi-idempotency-key-header. Deviates: a key needs no quotes; with them it is another key.

    Raises:
        Rejected: It is empty or too long.
    """
    key: str | None = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not 0 < len(key) <= MAX_KEY_CHARS:
        raise Rejected(f"The header Idempotency-Key must have 1 to {MAX_KEY_CHARS} characters.")
    return key


def for_action(unseen: Collection[str]) -> dict[str, str]:
    """Return the headers that an action gets, by their names in lower case.

    Of a header that is repeated it gets the last one, as from stock; nothing else here looks at them one by one.

    Args:
        unseen: Those that it does not get.
    """
    last: Mapping[str, str] = getattr(request.environ.get("wsgi.input"), LAST_VALUES, {})
    named = ((name, value, name.lower()) for name, value in request.headers.items())
    return {low: utf8(last.get(name.upper(), value)) for name, value, low in named if low not in unseen}


def utf8(value: str) -> str:
    """Return the value of a header, which WSGI hands on as Latin-1 whatever it is."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return value
