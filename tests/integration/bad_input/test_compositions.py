"""Compositions that are broken or hostile get an error that says what is wrong, and the server goes on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.composer.trees import Tree, action, deployed, function, let, node, seq
from tests.support.deploying import Deployer

ENVIRON = {"DATAFLOWER_INVOKER_INLINE_TIME_S": "0.3", "DATAFLOWER_INVOKER_INLINE_MEMORY_MB": "32"}


def put(live: Deployer, ast: Tree) -> dict[str, Any]:
    """Deploy a composition; return its annotations. Its kind needs no node, and its conductor could not run."""
    body = deployed(ast)
    body["exec"]["kind"] = "python:3"
    reply = live.call("PUT", "actions/composed?overwrite=true", json=body)
    assert reply.status_code == 200, reply.text
    return {one["key"]: one["value"] for one in reply.json()["annotations"]}


def deep(levels: int) -> Tree:
    tree = action("hello")
    for _ in range(levels):
        tree = seq(tree)
    return tree


AT_ROOT = "Function combinator at AST node root"


@pytest.mark.parametrize(
    ("ast", "text"),
    [
        (function("() => { for (;;); }"), f"{AT_ROOT} was stopped after 0.3 s; make it do less at once"),
        (function("() => { const a = []; for (;;) a.push('x'.repeat(1e4) + a.length) }"),
         f"{AT_ROOT} needed more than 32 MB of memory"),
        (function("() => 'x'.repeat(7e6)"), None),
        (function("() => eval('process').env"), f"{AT_ROOT} uses `process`, which inline functions do not have here"),
        (function("() => { throw new Error('x') }"), "Function combinator threw an exception at AST node root (see"),
        (function("} evil {"), "Function combinator threw an exception at AST node root (see log for details)"),
        (function("() => { const o = {}; o.o = o; return o }"), "Internal error: Converting circular structure"),
        (function("() => new Promise(() => {})"), f"{AT_ROOT} returned a promise that nothing settles"),
        (let({"a b": 1, "constructor": 2, "__proto__": 3}, function("() => 1")), "Function combinator threw"),
        (action("nosuch"), "Failed to resolve action with name 'guest/nosuch' during composition."),
        (action("a/b/c/d/e"), 'Failed to parse action name from json value "/_/a/b/c/d/e" during composition.'),
        (node("dynamic"), "Incorrect use of the dynamic combinator at AST node root"),
        (node("map", "hello"), None),
        (node("while", test=function("() => true"), body="hello"), "Too many actions in the composition."),
        (deep(100), None),
    ],
    ids=["loop", "memory", "large", "process", "throws", "text", "circular", "pending", "names", "missing", "name",
         "dynamic", "map of nothing", "endless", "nested"],
)  # fmt: skip
def test_what_goes_wrong_in_a_composition_is_told(live, ast, text):
    assert "conductorReason" not in put(live, ast)
    reply = live.invoke("composed", {"name": "x"})
    assert (reply.status_code, text is None) in ((200, True), (502, False)), reply.text
    if text is not None:
        assert reply.json()["error"].startswith(text)


@pytest.mark.parametrize(
    ("ast", "reason"),
    [
        ({"type": "nosuch"}, "root is `nosuch`, which is no combinator that is known"),
        (node("try", body={"type": 7}, handler=None), "root.body is"),
        ({"type": "function", "function": {}}, "has no code"),
        (deep(200), "nests them deeper than"),
    ],
    ids=["unknown", "no type", "no code", "deep"],
)
def test_what_is_no_program_says_so_when_it_is_deployed(live, ast, reason):
    assert reason in put(live, ast)["conductorReason"]
    assert live.invoke("composed").status_code == 502
