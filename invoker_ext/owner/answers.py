"""What the machine of a region asks about values, answered by reading them.

Copies nothing of the sink's books: any thread may, while the data are pinned.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, cast

from action_runtime.wire.errors import DataflowError
from invoker_ext.contract import expressions
from invoker_ext.dataflow.regions.commands import Ask, Question
from invoker_ext.dataflow.regions.forks import MAX_THREADS
from invoker_ext.dataflow.regions.values import Items, Leaf, Members, Shape, Text, Value, truthy
from invoker_ext.owner.elements import cut
from invoker_ext.owner.reading import Copies
from invoker_ext.relay.json_form import as_json
from invoker_ext.sink.datum import Stored

_dumps: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_NONE: Final[Copies] = MappingProxyType({})
_UNREADABLE: Final = "The value cannot be read: {}"


@dataclass(slots=True, frozen=True)
class Found:
    """An answer whose data are not in the sink yet; fields as of `Answered`."""

    holds: bool = False
    shape: Shape = Shape.UNKNOWN
    name: str = ""
    error: str | None = None
    texts: tuple[bytes, ...] = ()
    shapes: tuple[Shape, ...] = ()


def data_of(value: Value) -> Iterator[Stored]:
    """Yield every datum that a value is made of."""
    match value:
        case Leaf():
            yield cast("Stored", value.datum)
        case Members():
            for one in value.members.values():
                yield from data_of(one)
        case Items():
            for one in value.items:
                yield from data_of(one)
        case Text():
            return


def pieces_of(value: Value, copies: Copies = _NONE) -> Iterator[bytes]:
    """Yield a value as JSON text, in pieces: what is not joined is not copied.

    Args:
        value: What to read.
        copies: Of what other hosts hold of it.

    Raises:
        OSError: Spilled bytes cannot be read back.
    """
    match value:
        case Leaf():
            stored = cast("Stored", value.datum)
            yield as_json(stored.head, copies.get(id(stored), stored).read())
        case Text():
            yield value.text.encode()
        case Members():
            before = "{"
            for name, one in value.members.items():
                yield f"{before}{json.dumps(name)}:".encode()
                yield from pieces_of(one, copies)
                before = ","
            yield b"}" if value.members else b"{}"
        case Items():
            before = "["
            for one in value.items:
                yield before.encode()
                yield from pieces_of(one, copies)
                before = ","
            yield b"]" if value.items else b"[]"


def json_of(value: Value, copies: Copies = _NONE) -> bytes:
    """Return the same in one piece; raises as it."""
    return b"".join(pieces_of(value, copies))


def result_shape(datum: Stored) -> Shape:
    """Return the shape of what an action resulted in, which the runtime says is no error: only its first byte tells.

    What was made on another host has a copy here.
    """
    first = datum.inline[:1] if datum.inline is not None else os.pread(datum.descriptor(), 1, 0)
    return Shape.OTHER if first == b"[" else Shape.CLEAN


def shape_of(parsed: Any) -> Shape:
    """Return the shape of a JSON value."""
    if not isinstance(parsed, dict):
        return Shape.OTHER
    return Shape.FAULTY if "error" in parsed else Shape.CLEAN


def text_json(text: str) -> bytes:
    """Return a sentence as JSON text."""
    return json.dumps(text).encode()


def find(command: Ask, copies: Copies = _NONE) -> Found:
    """Answer a question; what cannot be read is an answer with an error.

    Args:
        command: The question.
        copies: Of what other hosts hold of the value.
    """
    try:
        return _ANSWERS[command.question](command, json_of(command.value, copies))
    except (DataflowError, ValueError, KeyError, OSError, RecursionError) as error:
        return unread(command, error)


def unread(command: Ask, error: Exception) -> Found:
    """Return the answer to a question about what cannot be read."""
    text = _UNREADABLE.format(error)
    if command.question is Question.SHAPE:
        return Found(shape=Shape.FAULTY, error=json.dumps(text))
    return Found(error=text)


def _text(value: object) -> bytes:
    return _dumps(value).encode("utf-8", "surrogatepass")


def shape_of_text(text: bytes) -> Shape:
    """Return the shape of JSON text; most of it is not parsed for that."""
    if text[:1] == b"{" and b'"error"' not in text and b"\\u" not in text:
        return Shape.CLEAN
    return shape_of(json.loads(text))


def _shape(command: Ask, text: bytes) -> Found:
    if shape_of_text(text) is Shape.CLEAN:
        return Found(shape=Shape.CLEAN)
    parsed = json.loads(text)
    shape = shape_of(parsed)
    return Found(shape=shape, error=json.dumps(parsed["error"]) if shape is Shape.FAULTY else None)


def _truth(command: Ask, text: bytes) -> Found:
    parsed = json.loads(text)
    return Found(holds=isinstance(parsed, dict) and truthy(parsed.get("value")))


def _truth_in_python(command: Ask, text: bytes) -> Found:
    return Found(holds=bool(json.loads(text)["value"]))


def _true_itself(command: Ask, text: bytes) -> Found:
    return Found(holds=truthy(json.loads(text)))


def _elements(command: Ask, text: bytes) -> Found:
    apart = cut(text, shape_of, MAX_THREADS)
    if apart is not None:
        return Found(texts=tuple(apart[0]), shapes=tuple(apart[1]))
    parsed = json.loads(text)
    found = parsed.get("value") if isinstance(parsed, dict) else None
    if not truthy(found):
        return Found()
    if not isinstance(found, list):
        return Found(error="no array")
    if len(found) > MAX_THREADS:
        return Found(error="too many elements")  # before a datum is made of each
    return Found(texts=tuple(map(_text, found)), shapes=tuple(map(shape_of, found)))


def _join(command: Ask, text: bytes) -> Found:
    return Found(texts=(text,), shape=Shape.CLEAN)


def _overlay(command: Ask, text: bytes) -> Found:
    parsed = json.loads(text)
    params, result = parsed["params"], parsed["result"]
    if not (isinstance(params, dict) and isinstance(result, dict)):
        raise ValueError("merge is of objects")
    made = {**params, **result}
    return Found(texts=(_text(made),), shape=shape_of(made))


def _dynamic(command: Ask, text: bytes) -> Found:
    parsed = json.loads(text)
    if not isinstance(parsed, dict) or parsed.get("type") != "action" or not isinstance(parsed.get("name"), str):
        raise ValueError("no action")
    params = parsed.get("params", "")
    if params is not None and not isinstance(params, dict | list):
        raise ValueError("no params")
    return Found(texts=(_text(params),), shape=shape_of(params), name=parsed["name"])


def _condition(command: Ask, text: bytes) -> Found:
    return Found(holds=expressions.evaluate(command.condition, json.loads(text)))


_ANSWERS: Final[Mapping[Question, Callable[[Ask, bytes], Found]]] = {
    Question.SHAPE: _shape,
    Question.TRUTH: _truth,
    Question.TRUTH_IN_PYTHON: _truth_in_python,
    Question.TRUE_ITSELF: _true_itself,
    Question.ELEMENTS: _elements,
    Question.JOIN: _join,
    Question.OVERLAY: _overlay,
    Question.DYNAMIC: _dynamic,
    Question.CONDITION: _condition,
}
