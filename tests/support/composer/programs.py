"""Random compositions over all combinators, bounded, with the actions and functions they are made of."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, Final

from hypothesis import strategies as st

from tests.support.composer.trees import Tree, action, function, let, node, seq


def echo(args):
    return args


def inc(args):
    return {**args, "n": args.get("n", 0) + 1 if isinstance(args.get("n", 0), int) else 1}


def parity(args):
    return {"value": isinstance(args.get("n"), int) and args["n"] % 2 == 1}


def items(args):
    return {"value": [1, "a", None, {"n": 2}][: 1 + len(args) % 4]}


def refuse(args):
    return {"error": {"refused": sorted(args)}, "detail": "nobody sees this"}


def nothing(args):
    return {}


ACTIONS: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    each.__name__: each for each in (echo, inc, parity, items, refuse, nothing)
}
"""Deterministic; what they return depends on their arguments alone."""


def source(name: str) -> str:
    """Return one of ACTIONS as the code of a Python action."""
    return textwrap.dedent(inspect.getsource(ACTIONS[name])).replace(f"def {name}(", "def main(", 1)


FUNCTIONS: Final = (
    "() => {}",
    "() => null",
    "() => [1, 2]",
    "() => ({value: false})",
    "p => ({value: p.n > 0})",
    "p => ({n: p.n, keys: Object.keys(p).sort()})",
    "p => { p.seen = true }",
    "p => ({got: p})",
    "() => ({error: 'mine'})",
    "() => { throw new Error('thrown') }",
    "() => Math.max",
    "async p => { await null; return {n: (p.n || 0) + 10} }",
    "() => { x = x + 1 }",
    "p => { x = p; return {was: true} }",
    "() => ({x, y})",
    "() => { y = [x, y] }",
    "() => x",
    "() => { x = 'before'; throw x }",
    "() => { y = undefined }",
    "p => { x = [x, p.n]; p.n = x.length }",
)
"""Of the variables `x` and `y`, which may or may not be in view."""
NAMES: Final = (*ACTIONS, "nosuch", "two words", "bad#name", "pack/age")
VALUES: Final[tuple[Any, ...]] = (None, 0, 1, "", "text", [], [1], {}, {"n": 3}, False)
PARAMETERS: Final = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(-3, 5),
        "value": st.sampled_from((*VALUES, [{"n": 1}, 2])),
        "error": st.sampled_from(("given", {"code": 1})),
        "params": st.just({"n": 7}),
        "result": st.just({"error": "old"}),
    },
)
"""Arguments of an invocation."""
_COUNTER: Final = "() => k-- > 0"
"""The test of a loop that ends: nothing else writes `k`."""


_TOUCHING: Final = ("() => { x = [x, 'more'] }", "p => ({p, x})", "() => x", "() => { x = 0; throw x }")


def _masked(frames: list[bool], parts: list[Tree]) -> Tree:
    """Return parts inside variables (true) and masks, the outermost first."""
    tree = seq(*parts)
    for number, variable in enumerate(reversed(frames)):
        tree = let({"x": number}, tree, function("p => ({p, x})")) if variable else node("mask", tree)
    return tree


def asts(*, leaves: int = 8, asynchronous: bool = False, dynamic: bool = True) -> st.SearchStrategy[Tree]:
    """Return programs of about so many leaves, that end.

    Args:
        leaves: At most about so many actions and functions; loops run them up to three times each.
        asynchronous: With `async` in them: what such a branch does is in nobody's result.
        dynamic: With `dynamic` in them.
    """
    return st.recursive(
        _LEAVES | _DYNAMIC if dynamic else _LEAVES,
        lambda inner: _around(inner, asynchronous=asynchronous),
        max_leaves=leaves,
    )


_LEAVES: Final = st.one_of(
    st.sampled_from(tuple(ACTIONS)).map(action),
    st.sampled_from(FUNCTIONS).map(function),
    st.sampled_from(FUNCTIONS).map(function),
    st.sampled_from(NAMES).map(action),
    st.sampled_from(VALUES).map(lambda value: node("literal", value=value)),
    st.sampled_from(VALUES).map(lambda value: node("value", value=value)),
    st.just(node("empty")),
)
_DYNAMIC: Final = st.just(node("dynamic")) | st.sampled_from(NAMES).map(
    lambda name: seq(function(f"p => ({{type: 'action', name: '{name}', params: p}})"), node("dynamic"))
)


def _around(inner: st.SearchStrategy[Tree], *, asynchronous: bool) -> st.SearchStrategy[Tree]:
    """Return combinators around what there is."""
    some = st.lists(inner, max_size=3)
    kinds = ["seq", "sequence", "mask", "retain", "retain_catch", "merge", "par", "parallel", "map"]
    if asynchronous:
        kinds.append("async")
    counts = st.integers(-1, 3)

    touching = st.lists(inner | st.sampled_from(_TOUCHING).map(function), min_size=1, max_size=3)

    def loop(kind: str, count: int, body: Tree, within: list[Tree]) -> Tree:
        test = function(_COUNTER)
        return let({"k": count}, node(kind, test=test, body=body), *within)

    return st.one_of(
        st.builds(lambda parts: seq(*parts), st.lists(inner, min_size=2, max_size=4)),
        st.builds(lambda kind, parts: node(kind, *parts), st.sampled_from(kinds), some),
        st.builds(
            lambda kind, test, yes, no: node(kind, test=test, consequent=yes, alternate=no),
            st.sampled_from(("if", "if_nosave")), inner, inner, st.none() | inner,
        ),
        st.builds(
            loop, st.sampled_from(("while", "while_nosave", "dowhile", "dowhile_nosave")), counts, inner, some
        ),
        st.builds(
            lambda kind, count, parts: node(kind, *parts, count=count),
            st.sampled_from(("repeat", "retry")), counts, some,
        ),
        st.builds(lambda body, handler: node("try", body=body, handler=handler), inner, inner),
        st.builds(lambda body, after: node("finally", body=body, finalizer=after), inner, inner),
        st.builds(
            lambda names, value, parts: let(dict.fromkeys(names, value), *parts),
            st.sets(st.sampled_from("xy"), min_size=1).map(sorted), st.sampled_from((0, None, [1], {"n": 1})), some,
        ),
        st.builds(lambda parts: let({"x": 1, "y": [2]}, *parts, function("p => ({p, x, y})")), touching),
        st.builds(lambda parts: let({"x": 1}, node("par", *parts), function("p => ({p, x})")), touching),
        st.builds(_masked, st.lists(st.booleans(), min_size=2, max_size=6), touching),
    )  # fmt: skip
