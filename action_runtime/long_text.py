"""Printing JSON whose bulk is a few long strings, as encoded files, images and keys are.

The encoder of the standard library looks at each character twice, whether it needs escaping or not: 1 ms for 900 KB.
That none of them does is known after one search a control character, each at the speed of memory: 0.2 ms.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

LONG_CHARACTERS: Final = 16 * 1024
"""From here on the searches cost less than they save."""
_FEW_MEMBERS: Final = 64
"""An object of more members is printed by the encoder alone: looking at each of them would cost, too."""
# What ordinary text holds comes first, so that the search ends at once there.
_ESCAPED: Final = ('"', "\n", "\\", *(chr(code) for code in range(0x20) if chr(code) != "\n"))


def printed(value: Any, encode: Callable[[Any], str]) -> str:
    """Return the JSON text that `encode` would return, faster if `value` is a long string or has some as members.

    Args:
        value: Anything.
        encode: The `encode` of an encoder with `ensure_ascii` off and the standard separators.
    """
    if type(value) is str:
        return _quoted(value, encode)
    if type(value) is not dict or len(value) > _FEW_MEMBERS:
        return encode(value)
    if not any(type(member) is str and len(member) >= LONG_CHARACTERS for member in value.values()):
        return encode(value)
    texts = []
    for name, member in value.items():
        if type(name) is not str:
            return encode(value)
        texts.append(f"{encode(name)}: ")
        texts.append(_quoted(member, encode) if type(member) is str else encode(member))
        texts.append(", ")
    texts[-1] = "}"
    return "{" + "".join(texts)


def _quoted(text: str, encode: Callable[[Any], str]) -> str:
    if len(text) < LONG_CHARACTERS or not text.isascii():
        return encode(text)
    for character in _ESCAPED:
        if character in text:
            return encode(text)
    return f'"{text}"'
