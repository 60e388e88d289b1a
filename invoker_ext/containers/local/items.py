"""What a body at the local door is, by its `Content-Type`. Pure."""

from __future__ import annotations

from typing import Final

import orjson

from action_runtime.wire.values import Head, Media
from invoker_ext.relay.results import revived

JSON_TYPE: Final = "application/json"
BYTES_TYPE: Final = "application/octet-stream"
LINES_TYPE: Final = "application/x-ndjson"
_NAME_CHARS: Final = 256
_FORM: Final = "application/x-www-form-urlencoded"


class Refused(Exception):
    """A request that is not carried out; the text says what to do.

    Attributes:
        status: Of the answer.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def output_name(text: str) -> str:
    """Return the name of an output; raises Refused if it can be none."""
    if not 0 < len(text) <= _NAME_CHARS or not text.isprintable():
        raise Refused(400, f"an output's name has 1 to {_NAME_CHARS} printable characters")
    return text


def media_of(content_type: str) -> Media:
    """Return what a body is: JSON or bytes.

    Raises:
        Refused: It is what clients say of text or a form when nobody told them better.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON_TYPE or kind.endswith("+json"):
        return Media.JSON
    if not kind or kind == _FORM or kind.startswith("text/"):
        raise Refused(415, f"say Content-Type: {JSON_TYPE} for a JSON value, or {BYTES_TYPE} for bytes")
    return Media.BYTES


def read_json(text: bytes) -> tuple[Head, bytes] | None:
    """Check a JSON text.

    Returns:
        None: it is a value as it is; else the bytes or the array that its `{"$data": …}` stands for.

    Raises:
        Refused: It is none.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the body is no JSON text: {error}") from error
    return revived(value)
