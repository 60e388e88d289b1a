"""The elements of an array in a JSON text, cut out as they stand there. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

_BLANK: Final = r"[ \t\n\r]*"
_HEAD: Final = re.compile(f'{_BLANK}{{{_BLANK}"value"{_BLANK}:{_BLANK}\\[{_BLANK}')
_BETWEEN: Final = re.compile(f"{_BLANK},{_BLANK}")
_TAIL: Final = re.compile(f"{_BLANK}\\]{_BLANK}}}{_BLANK}")
_read: Final = json.JSONDecoder().raw_decode


def cut(text: bytes, look: Callable[[Any], _T], most: int) -> tuple[list[bytes], list[_T]] | None:
    """Return the text of each element of the array that is an object's only member, `value`, and what is seen in it.

    None of them is written anew, and each is read apart, so that threads take turns in between. Copies each once.

    Args:
        text: JSON.
        look: Looks at what an element says.
        most: Elements that are of use.

    Returns:
        Both, in order. None: it is something else, or has more elements: read it whole.
    """
    try:
        return _cut(text, look, most)
    except ValueError:
        return None


def _cut(text: bytes, look: Callable[[Any], _T], most: int) -> tuple[list[bytes], list[_T]] | None:
    read = text.decode()
    head = _HEAD.match(read)
    if head is None:
        return None
    plain = read.isascii()  # then characters are where their bytes are
    texts: list[bytes] = []
    seen: list[_T] = []
    at = head.end()
    while len(texts) < most:
        value, end = _read(read, at)
        texts.append(text[at:end] if plain else read[at:end].encode())
        seen.append(look(value))
        between = _BETWEEN.match(read, end)
        if between is None:
            return (texts, seen) if _TAIL.fullmatch(read, end) else None
        at = between.end()
    return None
