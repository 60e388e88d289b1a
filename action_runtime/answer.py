"""What the stock runtime would answer to a result: its status and its body.

Source: OpenWhisk's ActionLoop proxy and Python launcher.
"""

from __future__ import annotations

from enum import Enum

from action_runtime.serde import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Final

NOT_AN_OBJECT: Final = '{"error":"The action did not return a dictionary or array."}'
EXITED: Final = '{"error":"command exited"}'


class Status(Enum):
    """How a function ended; the values are PROTOCOL.md's."""

    OK = "ok"
    """An object without `error`, or an array: HTTP 200."""
    ERROR = "error"
    """An object with a member `error`: HTTP 200, an application error."""
    INVALID = "invalid"
    """No object and no array: HTTP 502."""
    NULL = "null"
    """None: HTTP 200 with body `null`, which the platform calls a developer error."""
    EXITED = "exited"
    """The process would be gone: `sys.exit`, or a result that no JSON can hold. HTTP 400."""


def judge(result: Any, emitted: bool) -> Status:
    """Return how a returned value counts.

    Args:
        result: What the function returned.
        emitted: Something was emitted; then returning nothing is an empty object, not an error.
    """
    if result is None:
        return Status.OK if emitted else Status.NULL
    if isinstance(result, dict):
        return Status.ERROR if "error" in result else Status.OK
    if isinstance(result, str | int | float):
        return Status.INVALID
    return Status.OK


def refusal(error: Exception) -> Status:
    """Return how a result counts for which `dumps` raised `error`.

    The launcher writes NaN, which the proxy then does not take for JSON; anything else ends the launcher.
    """
    if type(error) is ValueError and "float" in str(error):
        return Status.INVALID
    return Status.EXITED


def body(status: Status, result: Any, emitted: Mapping[str, Sequence[str]]) -> str:
    """Return the body without its closing newline.

    Args:
        status: As judged.
        result: What the function returned.
        emitted: JSON texts of the emitted values by output; they become members of an object result, one value as
            it is, several as a list. An array has no members: its emitted values are left out.

    Raises:
        TypeError: The result has no JSON form.
        ValueError: The result has no JSON form.
    """
    if status is Status.INVALID:
        return NOT_AN_OBJECT
    if status is Status.EXITED:
        return EXITED
    if not emitted:
        return dumps({}) if result is None and status is Status.OK else dumps(result)
    if result is not None and not isinstance(result, dict):
        return dumps(result)
    kept = {name: value for name, value in (result or {}).items() if name not in emitted}
    members = [dumps(kept)[1:-1]] if kept else []
    for name, texts in emitted.items():
        members.append(f"{dumps(name)}: {texts[0] if len(texts) == 1 else '[' + ', '.join(texts) + ']'}")
    return "{" + ", ".join(members) + "}"
