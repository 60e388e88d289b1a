"""From the code of a deployed conductor to a region."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller_ext.workflow.composition.compile import compile_composition, why_not
from controller_ext.workflow.composition.lowering import MAX_DEPTH, lower
from controller_ext.workflow.composition.recovery import NotLowered, program_of
from invoker_ext.contract.graph import Graph, OwnLimits
from invoker_ext.contract.inline import Evaluator
from invoker_ext.contract.regions import Helper, Region, RegionKind
from tests.support.regions import PROGRAMS, called, code_of

ACTION = {"type": "action", "name": "/_/a"}


def stored(code: str, **more: Any) -> dict[str, Any]:
    return {"exec": {"kind": "nodejs:20", "code": code, "binary": False, **more}, "annotations": []}


@pytest.mark.parametrize("version", ["0.9.0", "0.10.0", "0.11.0", "0.12.0", "0.12.1-dev"])
def test_the_program_is_found_in_the_code_of_every_known_version(version):
    assert program_of(stored(code_of(PROGRAMS["if"], version))) == PROGRAMS["if"]


def test_a_line_that_sets_debug_may_come_first():
    assert program_of(stored("process.env.DEBUG='x'\n\n" + code_of(ACTION))) == ACTION


def test_the_words_that_end_a_program_may_stand_in_it():
    tricky = {"type": "let", "declarations": {"x": "// do not edit below this point"}, "components": [ACTION]}
    assert program_of(stored(code_of(tricky))) == tricky


@pytest.mark.parametrize(
    "body",
    [
        stored("const main = () => ({action: 'a'})"),
        stored("UEsDBA==", binary=True),
        {"exec": {"kind": "blackbox", "image": "x"}},
    ],
)
def test_a_conductor_of_another_make_is_no_composition(body):
    assert program_of(body) is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (code_of(ACTION, "0.13.0"), "made by Composer 0.13"),
        (code_of(ACTION, "1.0.0"), "made by Composer 1.0"),
        (code_of(ACTION).replace("const composition", "let composition"), "no line"),
        (code_of(ACTION).replace('"type"', "type"), "not JSON"),
        (code_of(ACTION).replace("// do not edit", "composition.x = 1 // do not edit"), "edited"),
        (code_of([ACTION]), "no object"),
        (code_of({"type": "let", "declarations": {"\ud800": 1}, "components": []}), "half a surrogate pair"),
    ],
)
def test_a_composition_that_cannot_be_read_says_why(code, reason):
    with pytest.raises(NotLowered, match=reason):
        program_of(stored(code))


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ({"type": "choir"}, "`choir`, which is no combinator"),
        ({"type": "sequence", "components": [{"type": "sequence", "components": [{"type": "x"}], "path": "[7]"}]},
         r"root\[7\]\[0\] is `x`"),
        ({"type": "sequence"}, "no list of components"),
        ({"type": "sequence", "components": ["a"]}, "no combinator"),
        ({"type": "try", "body": ACTION}, "handler is no combinator"),
        ({"type": "action"}, "no name"),
        ({"type": "let", "declarations": 1, "components": []}, "no declarations"),
        ({"type": "function", "function": {"exec": {"kind": "nodejs:default"}}}, "no code"),
        ({"type": "function", "function": {"exec": {"kind": "python:3", "code": "lambda"}}}, "Python"),
    ],
)  # fmt: skip
def test_a_program_that_cannot_be_lowered_says_where_and_why(program, reason):
    with pytest.raises(NotLowered, match=reason):
        lower(program, called)
    assert why_not(program) is not None


def test_a_function_may_use_what_node_has_where_node_evaluates_it():
    code = "() => require('fs')"
    program = {"type": "function", "function": {"exec": {"kind": "nodejs:default", "code": code}}}
    with pytest.raises(NotLowered, match="uses `require`"):
        lower(program, called)
    assert lower(program, called, in_node=True).code == code
    assert why_not(program, in_node=True) is None
    evaluator = Evaluator("nodejs:20", passes_key=False)
    graph = compile_composition(program, called, OwnLimits(), evaluator)
    assert Graph.from_json(json.loads(json.dumps(graph.to_json()))).evaluator == evaluator


def test_nesting_is_bounded():
    program: Any = ACTION
    for _ in range(MAX_DEPTH + 1):
        program = {"type": "sequence", "components": [program]}
    assert "deeper" in (why_not(program) or "")


def helpers(region: Region) -> set[Helper]:
    found = {region.helper} if region.helper is not None else set()
    return found.union(*map(helpers, region.parts)) if region.parts else found


def test_the_functions_that_composer_adds_are_known():
    assert set().union(
        *(helpers(lower(program, called)) for name, program in PROGRAMS.items() if name != "async")
    ) == set(Helper)


def test_a_function_of_the_user_is_kept_as_text():
    region = lower(PROGRAMS["function"], called)
    assert (region.kind, region.code, region.helper) == (RegionKind.FUNCTION, "x => ({n: x.n + 1})", None)


def test_an_alternate_that_was_left_out_is_empty():
    program = {"type": "if_nosave", "test": ACTION, "consequent": ACTION}
    assert lower(program, called).parts[2] == Region(kind=RegionKind.SEQUENCE)
