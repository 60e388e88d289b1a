"""What a function returned, prepared to leave: its status, its body, and the fields that somebody wants."""

from __future__ import annotations

from action_runtime.answer import Status, body, judge, refusal
from action_runtime.function_unit import report
from action_runtime.serde import Encoded, dumps, encode, json_length
from action_runtime.wire.frames import KNEE_BYTES
from action_runtime.wire.values import WHOLE, Head, Media

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from action_runtime.data_unit.firing import Firing

ITEMS = "items"


class Return:
    """A prepared return.

    Attributes:
        status: How it counts.
        characters: Of the body and its closing newline.
        body: Below the knee; else None.
        whole: A body from the knee on, if somebody wants it.
        digest: Of a body that stays here.
        fields: (output, how, value) to send first.
        empty: Outputs that are spread into no items.
        clash: Outputs that somebody wants, by their name or in the whole, and that were emitted and returned.
    """

    __slots__ = ("body", "characters", "clash", "digest", "empty", "fields", "status", "whole")

    def __init__(self, status: Status, text: str | None = None) -> None:
        self.status = status
        self.characters = 0
        self.body: bytes | None = None
        self.whole: Encoded | None = None
        self.digest: str | None = None
        self.fields: list[tuple[str, str, Encoded]] = []
        self.empty: list[str] = []
        self.clash: list[str] = []
        if text is not None:
            self.body = text.encode()
            self.characters = len(text) + 1

    def let_go(self) -> None:
        """Drop the values: they may lie over inputs."""
        self.fields = []
        self.whole = None

    def meta(self, firing: Firing) -> dict[str, Any]:
        """Return the meta of RETURNED; all fields have been counted."""
        meta: dict[str, Any] = {
            "f": firing.number,
            "status": self.status.value,
            "n": self.characters,
            "counts": firing.counts,
        }
        if self.digest is not None:
            meta["digest"] = self.digest
        if self.clash:
            meta["clash"] = self.clash
        return meta


def prepare(firing: Firing, exited: bool) -> Return:
    """Serialise all that must leave of a result, or judge it as what it is worth.

    Args:
        firing: Whose.
        exited: The function did not return; else `firing.result` is what it returned.
    """
    result = firing.result
    status = Status.EXITED if exited else judge(result, bool(firing.counts))
    try:
        return _prepare(firing, status, result)
    except Exception as error:  # noqa: BLE001 - serialising calls code of the user's classes
        status = refusal(error)
        if status is Status.EXITED:
            report(error)
        return Return(status, body(status, None, {}))


def failed(error: Exception) -> Return:
    """Return the return of a function whose outputs cannot leave: as if it had raised."""
    report(error)
    return Return(Status.ERROR, dumps({"error": str(error)}))


def _prepare(firing: Firing, status: Status, result: Any) -> Return:
    given = Return(status)
    if status is Status.OK and isinstance(result, dict):
        _fields(firing, result, given)
    size = sum(value.head.size_bytes for _, _, value in given.fields)
    if size < KNEE_BYTES or WHOLE in firing.wants:
        _body(given, firing, body(status, result, firing.kept()))
    else:
        _digest(given, result)
    return given


def _fields(firing: Firing, result: dict[str, Any], given: Return) -> None:
    wanted = firing.counts if WHOLE in firing.wants else firing.wants
    given.clash = [name for name in wanted if name in firing.counts and name in result]
    for name, how in firing.wants.items():
        if name == WHOLE or name not in result or name in firing.counts:
            continue
        value = result[name]
        if how == ITEMS and isinstance(value, list | tuple):
            given.fields.extend((name, "spread", encode(element)) for element in value)
            if not value:
                given.empty.append(name)
        else:
            given.fields.append((name, "field", encode(value)))


def _body(given: Return, firing: Firing, text: str) -> None:
    data = text.encode()
    given.characters = len(text) + 1
    if len(data) < KNEE_BYTES:
        given.body = data
    elif WHOLE in firing.wants:
        given.whole = Encoded(Head(Media.JSON, len(data)), data, text=text)
    else:
        given.digest = f"sha256-{_hash(data).hexdigest()}"


def _digest(given: Return, result: dict[str, Any]) -> None:
    """Measure and digest a body too large to build for nothing: wanted fields as they travel, then all the others."""
    digest = _hash()
    rest = dumps({name: value for name, value in result.items() if name not in {field[0] for field in given.fields}})
    characters = len(rest) + len("\n") - (0 if len(rest) > len("{}") else len(", "))
    seen = ""
    for name, how, value in given.fields:
        if name != seen:
            key = dumps(name)
            digest.update(key.encode())
            characters += len(key) + len(": ") + len(", ")
        if how == "spread":
            characters += len(", ") if name == seen else len("[]")
        seen = name
        digest.update(value.data)
        characters += json_length(value)
    digest.update(rest.encode())
    given.characters = characters
    given.digest = f"sha256-{digest.hexdigest()}"


def _hash(data: bytes = b"") -> Any:
    import hashlib  # 3 ms that few need

    return hashlib.sha256(data)
