"""Request headers beyond stock."""

from __future__ import annotations

from typing import Final

from flask import request

from controller_ext.entities.errors import Rejected

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
