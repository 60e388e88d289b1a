"""JSON as JavaScript writes it → JSON as all others read it. Pure."""

from __future__ import annotations

import re
from typing import Final

_ESCAPE: Final = re.compile(r"\\(?:(?P<half>ud[89a-f][0-9a-f]{2})|.)")
"""Of JSON; `half` is half a character."""


def utf8(text: str) -> bytes:
    """Return JSON text as bytes. Halves of a character, which JavaScript allows and UTF-8 has not, are replaced.

    Engines write an escape for such a half alone; the text may nest deeper than a parser here would go.
    """
    if "\\ud" in text:
        text = _ESCAPE.sub(lambda found: found[0] if found["half"] is None else "\ufffd", text)
    return text.encode()
