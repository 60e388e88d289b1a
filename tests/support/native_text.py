"""Graphs written back as the text of a native workflow, and an action that does what the steps of random ones do."""

from __future__ import annotations

import base64
import inspect
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from invoker_ext.contract.graph import RUN, WHOLE, Edge, EdgeKind, Source
from tests.support.graphs import Act, Spec, Workload, behave

SPEC: Final = "spec"
"""Input by which a step is told what it does."""

_MAIN: Final = '''
def text_of(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode()
    if isinstance(value, list):
        return [text_of(one) for one in value]
    return value


def read(names):
    found = {}
    for name in names:
        parts, broken = [], False
        try:
            for part in open_input(name):
                parts.append(text_of(part))
        except InputMissing:  # it is optional
            continue
        except InputBroken:
            broken = True
        found[name] = {"parts": parts, "broken": broken}
    return found


def attempt_of(spec, args, marks):
    """Return 1 for the first execution with these arguments in a run, else 2."""
    if not spec.flaky:
        return 1
    mark = zlib.crc32(json.dumps([spec.name, args], sort_keys=True).encode())
    try:
        os.close(os.open(f"{marks}-{spec.name}-{mark}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return 2
    return 1


def main(args):
    told = args["spec"]
    inputs = {name: text_of(value) for name, value in args.items() if name not in ("spec", "marks", *told["streams"])}
    inputs |= read(told["streams"])
    spec = Spec(**{**told["spec"], "produces": frozenset(told["spec"]["produces"])})
    act = behave(spec, inputs, attempt_of(spec, inputs, args["marks"]))
    for name, items in act.emitted.items():
        for item in items:
            emit(name, item)
    for name, parts in act.chunked.items():
        with open_output(name) as file:
            for part in parts:
                file.write(part.encode())
                file.flush()
    return {"error": act.error} if act.error is not None else act.fields
'''


def action_code() -> str:
    """Return the code of the action that every step of `native_text` names."""
    head = """
from __future__ import annotations

import json, os, zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from action_runtime import emit, open_input, open_output
from action_runtime.errors import InputBroken, InputMissing
"""
    return "\n\n".join([head, *(inspect.getsource(one) for one in (Spec, Act, behave)), _MAIN])


def native_text(work: Workload, action: str) -> str:
    """Return a workload as the JSON text of a native workflow; its parameters need a member `marks`, a path."""
    steps = {}
    for step in work.graph.steps:
        inputs: dict[str, Any] = {one.name: _written(one.edge) for one in step.inputs}
        streams = [one.name for one in step.inputs if one.edge.kind is EdgeKind.STREAM]
        spec = asdict(work.specs[step.name])
        told = {"spec": {**spec, "produces": sorted(spec["produces"])}, "streams": streams}
        inputs |= {SPEC: {"value": told}, "marks": f"{RUN}.marks"}
        steps[step.name] = {
            "action": action,
            "inputs": inputs,
            "retry": {"attempts": step.attempts, "backoff_s": step.backoff_s},
        }
    result = {one.name: _written(one.edge) for one in work.graph.result}
    return json.dumps({"dataflow": 1, "steps": steps, "result": result})


def _written(edge: Edge) -> Any:
    more = {"optional": True} if edge.optional else {}
    match edge.kind:
        case EdgeKind.CONSTANT:
            return {"value": json.loads(edge.constant or "null")}
        case EdgeKind.ANY:
            return {"any": [_written(one) for one in edge.alternatives], **more}
        case EdgeKind.VALUE if edge.when is None:
            return {"from": _name(edge.source), **more}
        case EdgeKind.VALUE:
            return {"from": _name(edge.source), "when": edge.when, **more}
        case EdgeKind.EACH if edge.when is not None:
            return {"each": {"from": _name(edge.source), "when": edge.when}, **more}
        case _:
            return {edge.kind.value: _name(edge.source), **more}


def _name(source: Source | None) -> str:
    assert source is not None
    return source.step if source.output == WHOLE else f"{source.step}.{source.output}"


def plain_json(value: Any) -> Any:
    """Return a result with its bytes as text."""
    if isinstance(value, list):
        return [plain_json(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"$data"}:
        return base64.b64decode(value["$data"]["base64"]).decode()
    return {name: plain_json(one) for name, one in value.items()}
