"""What inline functions mean, whoever evaluates them: Composer's semantics, case by case.

Names of cases go on where the name of their test ends. Functions get `{"k": 7}` where they must yield something; their
path is `[0]`.
"""

from __future__ import annotations

from typing import Any, Final

THREW: Final = "Function combinator threw an exception at AST node root[0] (see log for details)"
IS_FUNCTION: Final = "Function combinator evaluated to a function type at AST node root[0]"

RESULTS: Final[list[tuple[str, str, Any]]] = [
    ("a number", "() => 1", 1),
    ("null", "() => null", None),
    ("an array", "() => [1, 2]", [1, 2]),
    ("what JSON makes of it", "() => ({a: NaN, d: new Date(0), f() {}, u: undefined})",
     {"a": None, "d": "1970-01-01T00:00:00.000Z"}),
    ("the parameters as argument", "p => p.k", 7),
    ("an argument only", "function () { return arguments.length }", 1),
    ("of a function with a name", "function main(params) { return {value: params.k} }", {"value": 7}),
    ("of a text that is evaluated once more", "'(p) => p.k + 1'", 8),
    ("awaited", "async p => { await null; return p.k }", 7),
    ("of a thenable", "() => ({then(done) { done(5) }})", 5),
    ("with error: null", "() => ({error: null, z: 1})", {"error": None, "z": 1}),
    ("in the sloppy mode", "function () { return this === globalThis }", True),
    ("behind a comment", "() => 1 // one", 1),
    ("of syntax that is not old", "p => [p?.q ?? [3, 1].at(-1), 2n ** 3n === 8n]", [1, True]),
    ("of a regular expression", "() => 'a-b'.replace(/(?<x>[a-z])-/u, '$<x>+')", "a+b"),
    ("unwell text made well", "() => ['\\ud800', '\\ud83d\\ude00']", ["\ufffd", "\U0001f600"]),
    ("a console that is there", "() => { console.log('x', {a: 1}); return 1 }", 1),
]  # fmt: skip
"""Name, code, result."""

FAILURES: Final[list[tuple[str, str, str]]] = [
    ("that throws", "() => { throw new Error('x') }", THREW),
    ("that rejects", "() => Promise.reject('no')", THREW),
    ("that does not parse", "() => {", THREW),
    ("that uses an unknown name", "() => y", THREW),
    ("that is no function", "42", THREW),
    ("with a function as result", "() => () => 1", IS_FUNCTION),
    ("with a promise of a function", "async () => Math.max", IS_FUNCTION),
    ("whose result is a big integer", "() => 10n", "Internal error: Do not know how to serialize a BigInt"),
    ("whose result is a symbol", "() => Symbol()", 'Internal error: "undefined" is not valid JSON'),
    ("whose result throws", "() => ({toJSON() { throw new Error('j') }})", "Internal error: j"),
    ("whose result throws nothing in particular", "() => ({toJSON() { throw 1 }})", "Internal error"),
]  # fmt: skip
"""Name, code, text."""

VARIABLES: Final[list[tuple[str, str, dict[str, Any], Any, dict[str, Any]]]] = [
    ("are seen", "() => x + y", {"x": 1, "y": 2}, 3, {}),
    ("are written back", "() => { x = 4; return x }", {"x": None}, 4, {"x": 4}),
    ("are written back where they were changed inside", "() => { x.a.push(3); return 1 }", {"x": {"a": [1]}}, 1,
     {"x": {"a": [1, 3]}}),
    ("are written back by who throws", "() => { x = 2; throw 1 }", {"x": 1}, THREW, {"x": 2}),
    ("keep what was set before an await", "async () => { x = 2; await null; x = 3; return 1 }", {"x": 1}, 1, {"x": 2}),
    ("cannot become undefined", "() => { x = undefined; return 1 }", {"x": 1}, THREW, {}),
    ("cannot become functions", "() => { x = () => 1; return 1 }", {"x": 1}, THREW, {}),
    ("before such a one are written", "() => { x = 2; y = undefined }", {"x": 1, "y": 1}, THREW, {"x": 2}),
    ("may be null", "() => { x = null; return 1 }", {"x": 1}, 1, {"x": None}),
    ("need names of the language", "() => 1", {"a-b": 1}, THREW, {}),
    ("hide require", "() => 1", {"require": 1}, THREW, {}),
]  # fmt: skip
"""Name, code, variables before, result, variables that changed."""
