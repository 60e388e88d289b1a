"""Readers of edges: the mapping or string at an input → an Edge of the graph. The first place for a new kind of edge.

A kind of edge is one entry of `_FORMS` and one reader below it. A reader notes what is wrong, records which outputs the
edge uses (from that `scopes.py` derives order and scopes) and returns the Edge, or None if there is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from controller_ext.workflow.errors import Path
from controller_ext.workflow.reading import Reading, Use, kind_of, meant, there_are
from invoker_ext.contract import expressions
from invoker_ext.contract.graph import ERROR, RUN, WHOLE, Edge, EdgeKind, Source

MAX_ALTERNATIVES: Final = 64

_REFERENCE: Final = re.compile(r"(\$run|[A-Za-z_][A-Za-z0-9_-]*)(?:\.([\s\S]*))?")
_WRITTEN: Final = "an edge is written `step.output`, `step`, `$run.name` or as a mapping; a constant is `{value: …}`"


@dataclass(slots=True, frozen=True)
class Slot:
    """Where an edge stands.

    Attributes:
        reader: The step whose input it is; None: the result.
        whole: It feeds all parameters (or is the whole result), not one of them.
        inside: The form it stands in (`any` or `each`), or None.
    """

    reader: str | None
    whole: bool = False
    inside: str | None = None


_Reader = Callable[[Reading, Slot, Path, Any], Edge | None]


def read_edge(reading: Reading, slot: Slot, path: Path, value: object) -> Edge | None:
    """Read one edge; None if findings have been noted in its place."""
    if isinstance(value, str):
        return _plain(reading, slot, path, value)
    if not isinstance(value, dict):
        reading.note(path, f"{kind_of(value)} is no edge: {_WRITTEN}")
        return None
    forms = [key for key in value if key in _FORMS]
    if len(forms) != 1:
        found = "has none of them" if not forms else "has " + " and ".join(f"`{form}`" for form in forms)
        near = "".join(meant(key, _FORMS) for key in value if key not in _FORMS and key not in _MODIFIERS)
        reading.note(path, f"an edge has exactly one of {', '.join(_FORMS)}; this one {found}{near}")
        return None
    form = forms[0]
    allowed = (form, *(("when",) if form == "from" else ()), *(() if form == "value" else ("optional",)))
    if "when" in value and form != "from":
        hint = "; write {each: {from: …, when: …}}" if form == "each" else ""
        reading.note((*path, "when"), f"`when` stands beside `from`, not beside `{form}`{hint}")
    reading.keys(path, {key: value[key] for key in value if key != "when" or form == "from"}, allowed)
    if slot.inside is not None and form not in _NESTS[slot.inside]:
        allowed_inside = ", ".join(_NESTS[slot.inside])
        reading.note((*path, form), f"`{form}` cannot stand in `{slot.inside}`; only a string or {allowed_inside} can")
        return None
    edge = _FORMS[form](reading, slot, (*path, form), value)
    optional = _optional(reading, slot, path, value)
    return replace(edge, optional=True) if edge is not None and optional else edge


def _optional(reading: Reading, slot: Slot, path: Path, value: Mapping[str, Any]) -> bool:
    optional = value.get("optional", False)
    where = (*path, "optional")
    if not isinstance(optional, bool):
        reading.note(where, f"must be true or false, not {kind_of(optional)}")
        return False
    if optional and slot.inside is not None:
        reading.note(where, f"`optional` stands beside `{slot.inside}`, not in it")
        return False
    return optional


def _plain(reading: Reading, slot: Slot, path: Path, text: str, kind: EdgeKind = EdgeKind.VALUE) -> Edge | None:
    """Read `step`, `step.output`, `$run`, `$run.name` or `step.$error`."""
    found = _REFERENCE.fullmatch(text)
    if found is None:
        reading.note(path, f"`{text[:60]}` is not a step or one of its outputs: {_WRITTEN}")
        return None
    step, output = found.groups()
    problem = _unknown(reading, slot, step) or _bad_output(step, output)
    if problem is not None:
        reading.note(path, problem)
        return None
    source = Source(step, WHOLE if output is None else output)
    reading.uses.append(Use(slot.reader, path, kind, source))
    return Edge(kind=kind, source=source)


def _unknown(reading: Reading, slot: Slot, step: str) -> str | None:
    if step == RUN:
        return None
    if step not in reading.steps:
        return f"there is no step `{step}`{meant(step, reading.steps) or there_are(reading.steps)}"
    if step == slot.reader:
        return f"step `{step}` cannot read its own output"
    return None


def _bad_output(step: str, output: str | None) -> str | None:
    if output is None or (output == ERROR and step != RUN):
        return None
    if not output or output != output.strip():
        return f"`{step}.{output}` names no output"
    if output.startswith("$"):
        return f"`{step}.{output}` does not exist: of names with $ there are `$run` and `step.$error`"
    if "." in output:
        name, _, rest = output.partition(".")
        return (
            f"`{step}.{output}` is a path; an edge carries a whole output: take `{step}.{name}` and read `{rest}` in it"
        )
    return None


def _from(reading: Reading, slot: Slot, path: Path, value: Mapping[str, Any]) -> Edge | None:
    edge = _named(reading, slot, path, value["from"], EdgeKind.VALUE)
    if "when" not in value:
        return edge
    when = read_condition(reading, (*path[:-1], "when"), value["when"])
    return replace(edge, when=when) if edge is not None and when is not None else None


def read_condition(reading: Reading, path: Path, value: object) -> str | None:
    """Read and check a condition; None: it is none, which is noted."""
    if not isinstance(value, str):
        reading.note(path, f'a condition is a string in CEL, such as "value.illegal == true", not {kind_of(value)}')
        return None
    complaint = expressions.check(value)
    if complaint is not None:
        reading.note(path, complaint)
        return None
    return value


def _named(reading: Reading, slot: Slot, path: Path, value: object, kind: EdgeKind) -> Edge | None:
    """Read the string after a form's key."""
    if isinstance(value, str):
        return _plain(reading, slot, path, value, kind)
    reading.note(path, f"names an output by a string such as `step.output`, not by {kind_of(value)}")
    return None


def _each(reading: Reading, slot: Slot, path: Path, value: Mapping[str, Any]) -> Edge | None:
    if slot.reader is None:
        reading.note(
            path, "`each` cannot stand in the result, which there is once; use `gather` of a step below an `each`"
        )
        return None
    inner = value["each"]
    before = len(reading.uses)
    if isinstance(inner, dict):
        edge = read_edge(reading, replace(slot, inside="each"), path, inner)
    else:
        edge = _named(reading, slot, path, inner, EdgeKind.VALUE)
    if edge is None or edge.source is None:
        return None
    use = reading.uses[before]
    del reading.uses[before:]
    if edge.source.output in (WHOLE, ERROR):
        what = f"{edge.source.step}.{edge.source.output}".rstrip(".")
        reading.note(
            path, f"`each` ranges over the items of one output; `{what}` has none: name an output, `step.output`"
        )
        return None
    reading.uses.append(replace(use, kind=EdgeKind.EACH))
    return replace(edge, kind=EdgeKind.EACH)


def _gather(reading: Reading, slot: Slot, path: Path, value: Mapping[str, Any]) -> Edge | None:
    edge = _named(reading, slot, path, value["gather"], EdgeKind.GATHER)
    if edge is not None and slot.whole and slot.reader is not None:
        reading.note(path, "a gather is a list, and all parameters together are an object: give it a name")
        return None
    return edge


def _any(reading: Reading, slot: Slot, path: Path, value: Mapping[str, Any]) -> Edge | None:
    inner = value["any"]
    if not isinstance(inner, list) or not 1 <= len(inner) <= MAX_ALTERNATIVES:
        reading.note(path, f"`any` takes a list of 1 to {MAX_ALTERNATIVES} edges")
        return None
    alternatives: list[Edge] = []
    sound = True
    for index, one in enumerate(inner):
        if alternatives and alternatives[-1].kind is EdgeKind.CONSTANT:
            reading.note((*path, index), "is never reached: the constant before it is always there")
            sound = False
            break
        edge = read_edge(reading, replace(slot, inside="any"), (*path, index), one)
        if edge is None:
            sound = False
        elif edge.kind is EdgeKind.ANY:
            alternatives.extend(edge.alternatives)  # first live of a first live: the same in one list
        else:
            alternatives.append(edge)
    return Edge(kind=EdgeKind.ANY, alternatives=tuple(alternatives)) if sound else None


def _stream(reading: Reading, slot: Slot, path: Path, value: Mapping[str, Any]) -> Edge | None:
    if slot.reader is None or slot.whole:
        what = "the result" if slot.reader is None else "all parameters together"
        reading.note(path, f"`stream` feeds one named parameter, read with `open_input`; {what} cannot be streamed")
        return None
    edge = _named(reading, slot, path, value["stream"], EdgeKind.STREAM)
    if edge is None or edge.source is None:
        return None
    if edge.source.step == RUN or edge.source.output in (WHOLE, ERROR):
        reading.note(path, "`stream` follows an output while its step still runs: name one, `step.output`")
        return None
    return edge


def _value(reading: Reading, slot: Slot, path: Path, value: Mapping[str, Any]) -> Edge | None:
    constant = value["value"]
    if slot.whole and not isinstance(constant, dict):
        reading.note(path, f"stands for a whole object and must be a mapping, not {kind_of(constant)}")
        return None
    try:
        text = json.dumps(constant, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError:
        reading.note(path, "is not a JSON value: it holds a number without end")
        return None
    return Edge(kind=EdgeKind.CONSTANT, constant=text)


_FORMS: Final[Mapping[str, _Reader]] = {
    "from": _from, "each": _each, "gather": _gather, "any": _any, "stream": _stream, "value": _value,
}  # fmt: skip
_MODIFIERS: Final = ("when", "optional")
_NESTS: Final[Mapping[str, tuple[str, ...]]] = {"any": ("from", "any", "value"), "each": ("from",)}
