"""Conditions of `when`: CEL over one variable, `value`. Never `eval`.

Both ends use this module: the front end checks a condition when a workflow is deployed, the engine's shell evaluates
it when a datum is there. A condition is bounded in length and in how deep comprehensions nest, and so is what they
may do over the value at hand: evaluating one takes less than 50 ms.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import cel

from action_runtime.wire.errors import Blame, DataflowError

MAX_CONDITION_CHARS: Final = 4096
"""Far below the length at which the parser's own recursion becomes a danger (40,000 characters in a probe)."""
MAX_COMPREHENSIONS: Final = 2
"""How deep `all`, `exists`, … may stand in each other: each one multiplies the cost by the length of a list."""
MAX_MAPS: Final = 1
"""`map` makes lists of any size; one after the other their sizes multiply."""
MAX_ELEMENTS: Final = 32_000
"""Members of a value that is decided on: the library copies each, for about 0.5 µs (probed: 13 ms for all)."""
_KEY_SHARE: Final = 8
"""A member with a key is as dear to copy as so many of a list (probed: 30 ms for 4,000)."""
MAX_STEPS: Final = 32_000
"""Of comprehensions, at 0.3 to 1.3 µs each. The library holds the interpreter's lock while it evaluates, so that a
thread would not help: every run of the invoker waits."""
_COPY_SHARE: Final = 16
"""`map` and `filter` copy what they have found with each element: so much of a step for each one in it (probed)."""
_SCAN_SHARE: Final = 32
"""A look through all of `value` within a comprehension, as in `x in value`: so much of a step an element (probed)."""

_TYPES: Final = frozenset({"int", "uint", "double", "string", "bool", "bytes", "list", "map", "null_type", "type"})
_MACROS: Final = frozenset({"all", "exists", "exists_one", "filter", "map"})
_COPYING: Final = frozenset({"filter", "map"})
_FUNCTIONS: Final = frozenset(
    {"size", "contains", "startsWith", "endsWith", "matches"}
    | {"int", "uint", "double", "string", "bytes", "dyn", "type", "timestamp", "duration"}
    | {"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"}
    | {"getHours", "getMinutes", "getSeconds", "getMilliseconds"}
)
"""What the library knows without our help (probed); anything else would fail at run time only."""

_TOKEN: Final = re.compile(
    r"//[^\n]*"
    r"|[bB]?[rR][bB]?(?:'''[\s\S]*?'''|\"\"\"[\s\S]*?\"\"\"|'[^']*'|\"[^\"]*\")"
    r"|[bB]?(?:'''[\s\S]*?'''|\"\"\"[\s\S]*?\"\"\"|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\")"
    r"|[A-Za-z_][A-Za-z0-9_]*|\S"
)


class ConditionFailed(DataflowError):
    """A condition could not be decided for the value at hand; the run fails with this sentence."""

    code = "condition-failed"
    blame = Blame.APPLICATION


def check(text: str) -> str | None:
    """Return what is wrong with a condition, as a sentence for the author of a workflow; None: nothing.

    Guarantees for a condition without complaint: it parses, it names no variable but `value`, and no function that
    does not exist. Whether it is a boolean, and whether a field is there, shows only with a value.
    """
    if len(text) > MAX_CONDITION_CHARS:
        return f"the condition has {len(text)} characters, at most {MAX_CONDITION_CHARS} are allowed"
    if not text.strip():
        return "the condition is empty"
    try:
        program = _compile(text)
    except ValueError as error:
        return _syntax(error)
    shape = _shape(text)
    if shape.depth > MAX_COMPREHENSIONS:
        return f"comprehensions (all, exists, …) nest {shape.depth} deep, at most {MAX_COMPREHENSIONS} are allowed"
    if shape.maps > MAX_MAPS:
        return f"the condition has {shape.maps} times `map`, at most {MAX_MAPS} is allowed"
    unknown = [name for name in program.variables() if name != "value" and name not in shape.bound | _TYPES]
    if unknown:
        return f"unknown variable `{unknown[0]}`: the only one is `value`, what `from` names"
    for name in program.functions():
        if name.isidentifier() and not name.startswith("_") and name not in _FUNCTIONS:
            near = difflib.get_close_matches(name, _FUNCTIONS | _MACROS, 1)
            return f"unknown function `{name}`" + (f": did you mean `{near[0]}`?" if near else "")
    return None


def evaluate(text: str, value: Any) -> bool:
    """Return whether a condition holds.

    Args:
        text: A condition for which `check` had no complaint. Compiled once, then cached.
        value: A JSON value as `json.loads` gives it; only read.

    Raises:
        ConditionFailed: The value is not JSON, has too many members for the condition, lacks a field or has another
            type than the condition takes, or the outcome is no boolean.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        raise ConditionFailed(f"condition `{text}`: bytes have no fields to decide on; only JSON values have")
    elements = _elements(value)
    if elements is None or _shape(text).steps(elements) > MAX_STEPS:
        many = (
            f"more than {MAX_ELEMENTS}, or {MAX_ELEMENTS // _KEY_SHARE} with a name" if elements is None else elements
        )
        raise ConditionFailed(
            f"condition `{text}`: the value has too many members for it ({many}); "
            "let a step decide, and ask for its answer"
        )
    try:
        outcome = _compile(text).execute({"value": value})
    except KeyError as error:
        field = str(error.args[0]).strip("'") if error.args else ""
        raise ConditionFailed(
            f"condition `{text}`: the value has no field `{field}`; ask with `has(…)` first if it may be missing"
        ) from error
    except IndexError as error:
        raise ConditionFailed(f"condition `{text}`: a list of the value is too short") from error
    except TypeError as error:
        raise ConditionFailed(
            f"condition `{text}`: the value ({kind_of(value)}) or a part of it has another type than the condition"
            " takes"
        ) from error
    except (ValueError, RuntimeError, ArithmeticError) as error:
        raise ConditionFailed(f"condition `{text}`: {_one_line(str(error))}") from error
    if outcome is not True and outcome is not False:
        raise ConditionFailed(f"condition `{text}`: the outcome is {kind_of(outcome)}, not true or false")
    return bool(outcome)


@functools.lru_cache(maxsize=1024)
def _compile(text: str) -> cel.Program:
    return cel.compile(text)


def _syntax(error: ValueError) -> str:
    """Shorten the parser's report to its first line: where, and what was not expected."""
    found = re.search(r"<input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)", str(error))
    if found is None:
        return f"the condition is not valid CEL: {_one_line(str(error))}"
    line, column, what = found.groups()
    where = f"column {column}" if line == "1" else f"line {line}, column {column}"
    return f"the condition is not valid CEL at {where}: {what.split(' expecting ')[0]}"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


def kind_of(value: object) -> str:
    """Name the JSON type of a value; what JSON does not have by its name in Python."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return type(value).__name__


@dataclass(slots=True, frozen=True)
class _Shape:
    """What of a condition decides about its cost.

    Attributes:
        bound: Names that comprehensions bind.
        nests: For each comprehension, itself and those around it, the outermost first.
        plus: How often something is joined.
        literals: Most members that lists in the condition itself have.
        rescans: `value` is named within a comprehension.
    """

    bound: frozenset[str]
    nests: tuple[tuple[str, ...], ...]
    plus: int
    literals: int
    rescans: bool

    @property
    def depth(self) -> int:
        """How deep comprehensions nest."""
        return max(map(len, self.nests), default=0)

    @property
    def maps(self) -> int:
        """How often `map` stands in it."""
        return sum(nest[-1] == "map" for nest in self.nests)

    def steps(self, elements: int) -> float:
        """Return an upper bound of what comprehensions do over a value with so many members."""
        length = elements * (1 + self.plus) + self.literals
        copying = length * (1 + length / _COPY_SHARE)
        costs = [math.prod(copying if macro in _COPYING else length for macro in nest) for nest in self.nests]
        if self.rescans:  # what is copied may then be all of the value each time
            share = 1 if any(_COPYING.intersection(nest) for nest in self.nests) else _SCAN_SHARE
            return sum(costs) * (1 + length / share)
        return sum(costs)


@functools.lru_cache(maxsize=1024)
def _shape(text: str) -> _Shape:
    tokens = list(_tokens(text))
    bound: set[str] = set()
    nests: list[tuple[str, ...]] = []
    open_brackets: list[str] = []
    rescans = False
    for at, token in enumerate(tokens):
        inside = any(open_brackets)
        rescans = rescans or (token == "value" and inside)
        if token in "([{":
            macro = token == "(" and at >= 2 and tokens[at - 1] in _MACROS and tokens[at - 2] == "."
            open_brackets.append(tokens[at - 1] if macro else "")
            if macro:
                nests.append(tuple(filter(None, open_brackets)))
                bound.update(tokens[at + 1 : at + 2])
        elif token in ")]}" and open_brackets:
            open_brackets.pop()
    return _Shape(frozenset(bound), tuple(nests), tokens.count("+"), tokens.count(","), rescans)


def _elements(value: Any) -> int | None:
    """Count the members of a value at all depths, itself included; None: more than are decided on."""
    count, keys, todo = 1, 0, [value]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            keys += len(one)
            todo.extend(one.values())
        elif isinstance(one, list):
            todo.extend(one)
        else:
            continue
        count += len(one)
        if max(count, keys * _KEY_SHARE) > MAX_ELEMENTS:
            return None
    return count


def _tokens(text: str) -> Iterator[str]:
    for found in _TOKEN.finditer(text):
        token = found.group()
        if not token.startswith("//"):
            yield token
