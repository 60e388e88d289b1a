"""The native front end: text of kind `dataflow:1` → Definition. All findings are reported together."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from controller_ext.workflow.definition import Definition, Repeat, StepDefinition
from controller_ext.workflow.edges import Slot, read_condition, read_edge
from controller_ext.workflow.errors import Path, WorkflowInvalid
from controller_ext.workflow.reading import Reading, kind_of, shown
from controller_ext.workflow.scopes import in_order, scopes_of
from controller_ext.workflow.text import load
from invoker_ext.contract.graph import WHOLE, EdgeKind, Input

KIND: Final = "dataflow:1"
ALL: Final = "$all"
"""Name of the input whose edge feeds all parameters at once; later inputs win over its members."""

MAX_STEPS: Final = 1000
MAX_INPUTS: Final = 256
MAX_NAME_CHARS: Final = 128
MAX_ATTEMPTS: Final = 100
MAX_BACKOFF_S: Final = 3600.0
MAX_TIMEOUT_S: Final = 24 * 3600.0
MAX_REPEATS: Final = 10_000
MIN_TIMEOUT_S: Final = 0.001

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_ACTION: Final = re.compile(r"/?[\w](?:[\w@ .&-]*[\w@.&-])?(?:/[\w](?:[\w@ .&-]*[\w@.&-])?){0,2}", re.ASCII)
"""One to three segments of an entity's name, as stock's `EntityName` allows them."""
_MAX_ACTION_CHARS: Final = 800
_KEYS: Final = ("dataflow", "steps", "result", "timeout_s")
_MUST: Final = {
    "dataflow": "begin with `dataflow: 1`, the version of the format",
    "steps": "it maps the name of each step to what the step does",
    "result": "it names the step whose result is the run's, or maps names to outputs",
}
_STEP_KEYS: Final = ("action", "inputs", "retry", "repeat", "timeout_s", "at_most_once")
_REPEAT_MUST: Final = {
    "while": "it is the condition in CEL over `value` on which the step runs again",
    "max": "it says how often the step runs at most",
}
_STEP_MUST: Final = {"action": "it names the action that the step runs"}


def parse(text: str) -> Definition:
    """Read and check a workflow.

    Raises:
        WorkflowSyntax: The text cannot be read.
        WorkflowInvalid: It can be read but is no workflow; holds all findings in the order of the text.
    """
    document = load(text)
    reading = Reading(document, findings=list(document.findings))
    if not isinstance(document.value, dict):
        reading.note((), f"a workflow is a mapping with {', '.join(_KEYS)}, not {kind_of(document.value)}")
        raise WorkflowInvalid(reading.findings)
    definition = _workflow(reading, document.value)
    if definition is None or reading.findings:
        # Stable: findings without a line, and those of one line, stay in the order of checking.
        raise WorkflowInvalid(sorted(reading.findings, key=lambda finding: finding.line or 0))
    return definition


def _workflow(reading: Reading, top: dict[str, Any]) -> Definition | None:
    reading.keys((), top, _KEYS, _MUST)
    if "dataflow" in top and (type(top["dataflow"]) is not int or top["dataflow"] != 1):
        reading.note(("dataflow",), f"is the version of the format, 1, not {shown(top['dataflow'])}")
    written = reading.mapping(("steps",), top["steps"], "`steps`") if "steps" in top else {}
    if not written and isinstance(top.get("steps"), dict):
        reading.note(("steps",), "a workflow has at least one step")
    if len(written) > MAX_STEPS:
        reading.note(("steps",), f"{len(written)} steps are more than the {MAX_STEPS} that are allowed")
        return None
    reading.steps = tuple(written)
    steps = {name: _step(reading, name, value) for name, value in written.items()}
    result = _inputs(reading, None, ("result",), top["result"]) if "result" in top else ()
    timeout_s = _timeout(reading, ("timeout_s",), top)
    for use in reading.uses:
        if use.reader in reading.loops and use.kind is EdgeKind.STREAM:
            reading.note(use.path, f"step `{use.reader}` repeats, so it cannot read a stream: read a value")
    order = in_order(reading)
    scopes = scopes_of(reading, order)
    if reading.findings:
        return None
    placed = tuple(replace(steps[name], scope=scopes[name]) for name in order)
    return Definition(steps=placed, result=result, timeout_s=timeout_s)


def _step(reading: Reading, name: str, value: object) -> StepDefinition:
    path: Path = ("steps", name)
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME_CHARS:
        reading.note(path, f"a step's name is a letter or _, then letters, digits, _ and -; at most {MAX_NAME_CHARS}")
    step = reading.mapping(path, value, "a step")
    if isinstance(value, dict):
        reading.keys(path, step, _STEP_KEYS, _STEP_MUST)
    attempts, backoff_s = _retry(reading, (*path, "retry"), step.get("retry", {}))
    repeat = _repeat(reading, name, (*path, "repeat"), step["repeat"]) if "repeat" in step else None
    once = step.get("at_most_once", False)
    if not isinstance(once, bool):
        reading.note((*path, "at_most_once"), f"must be true or false, not {shown(once)}")
    elif once and attempts > 1:
        reading.note((*path, "retry"), f"{attempts} attempts contradict `at_most_once: true`")
    return StepDefinition(
        name=name,
        action=_action(reading, (*path, "action"), step.get("action")) if "action" in step else "",
        inputs=_inputs(reading, name, (*path, "inputs"), step["inputs"]) if "inputs" in step else (),
        attempts=attempts,
        backoff_s=backoff_s,
        timeout_s=_timeout(reading, (*path, "timeout_s"), step),
        at_most_once=once is True,
        repeat=repeat,
        line=reading.document.line((*path, "action")),
    )


def _action(reading: Reading, path: Path, value: object) -> str:
    short = isinstance(value, str) and len(value) <= _MAX_ACTION_CHARS
    if isinstance(value, str) and short and _ACTION.fullmatch(value) and (value[0] != "/" or value.count("/") > 1):
        return value
    reading.note(path, f"names an action: `name`, `package/name` or `/namespace/[package/]name`, not {shown(value)}")
    return ""


def _retry(reading: Reading, path: Path, value: object) -> tuple[int, float]:
    retry = reading.mapping(path, value, "`retry`")
    reading.keys(path, retry, ("attempts", "backoff_s"))
    attempts: int | None = 1
    backoff_s: float | None = 0.0
    if "attempts" in retry:
        attempts = reading.integer((*path, "attempts"), retry["attempts"], 1, MAX_ATTEMPTS)
    if "backoff_s" in retry:
        backoff_s = reading.seconds((*path, "backoff_s"), retry["backoff_s"], 0.0, MAX_BACKOFF_S)
    return attempts or 1, backoff_s or 0.0


def _repeat(reading: Reading, name: str, path: Path, value: object) -> Repeat | None:
    repeat = reading.mapping(path, value, "`repeat`")
    if isinstance(value, dict):
        reading.keys(path, repeat, ("while", "max"), _REPEAT_MUST)
    most = reading.integer((*path, "max"), repeat["max"], 1, MAX_REPEATS) if "max" in repeat else None
    text = read_condition(reading, (*path, "while"), repeat["while"]) if "while" in repeat else None
    reading.loops.add(name)
    return None if most is None or text is None else Repeat(text, most)


def _timeout(reading: Reading, path: Path, holder: dict[str, Any]) -> float | None:
    if "timeout_s" not in holder:
        return None
    return reading.seconds(path, holder["timeout_s"], MIN_TIMEOUT_S, MAX_TIMEOUT_S)


def _inputs(reading: Reading, reader: str | None, path: Path, value: object) -> tuple[Input, ...]:
    """Read `inputs` of a step, or the result (reader None): one edge for all, or a mapping of names to edges."""
    if isinstance(value, str):
        edge = read_edge(reading, Slot(reader, whole=True), path, value)
        if edge is None and reader is not None:
            reading.broken.add(reader)
        return () if edge is None else (Input(WHOLE, edge),)
    if not isinstance(value, dict):
        reading.note(path, f"must be one edge (a string) or a mapping of names to edges, not {kind_of(value)}")
        return ()
    if len(value) > MAX_INPUTS:
        reading.note(path, f"{len(value)} names are more than the {MAX_INPUTS} that are allowed")
        return ()
    inputs: list[Input] = []
    for name, written in value.items():
        where = (*path, name)
        whole = name == ALL and reader is not None
        if not whole and (not name or name.startswith("$") or len(name) > MAX_NAME_CHARS):
            reading.note(where, f"a name has 1 to {MAX_NAME_CHARS} characters and does not begin with $")
        edge = read_edge(reading, Slot(reader, whole=whole), where, written)
        if edge is not None:
            inputs.append(Input(WHOLE if whole else name, edge))
        elif reader is not None:
            reading.broken.add(reader)
    return tuple(inputs)
