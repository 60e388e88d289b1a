"""What the invoker asks of an inline function, and what it hears. Pure.

Semantics are Composer's: a function takes the parameters as its only argument and sees the variables of the `let`s
around it as local ones; they are written back when it returns or throws, not after an `await`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from invoker_ext.inline.home import Home

MIB: Final = 1024 * 1024


class Fault(Enum):
    """Why a function gave no result. All but INTERNAL are errors that a `try` around it catches."""

    THREW = "threw"
    """It threw, its promise was rejected, its text does not parse, or a variable was left without a JSON value."""
    FUNCTION = "function"
    """Its result is a function."""
    INTERNAL = "internal"
    """Its result cannot be written as JSON. Ends the composition, whatever is around it, as in stock."""
    TIME = "time"
    MEMORY = "memory"
    SIZE = "size"
    """Result and variables are above the bound."""
    HOST = "host"
    """It used something of Node.js that is not there. It has done nothing outside: it may be evaluated elsewhere."""
    PENDING = "pending"
    """Its promise waits for nothing that could settle it."""
    CRASHED = "crashed"
    """The engine died under it."""
    BUSY = "busy"
    """It was not begun: too many calls wait."""
    GIVEN = "given"
    """It was not begun: it gets more than may wait."""
    ABSENT = "absent"
    """It was not begun: the engine does not start."""
    CONTAINER = "container"
    """What became of the container that evaluated it. Ends the composition with the text, as in stock."""
    UNPLACED = "unplaced"
    """It was not begun: no container could be had. Ends the composition, too."""


TEXTS: Final[Mapping[Fault, str]] = {
    Fault.THREW: "Function combinator threw an exception at AST node root{path} (see log for details)",
    Fault.FUNCTION: "Function combinator evaluated to a function type at AST node root{path}",
    Fault.INTERNAL: "Internal error: {detail}",
    Fault.TIME: "Function combinator at AST node root{path} was stopped after {detail} s; make it do less at once",
    Fault.MEMORY: "Function combinator at AST node root{path} needed more than {detail} MB of memory",
    Fault.SIZE: "Function combinator at AST node root{path} returned more than {detail} MB",
    Fault.HOST: "Function combinator at AST node root{path} uses `{detail}`, which inline functions do not have here; "
    "move that code into an action",
    Fault.PENDING: "Function combinator at AST node root{path} returned a promise that nothing settles",
    Fault.CRASHED: "Function combinator at AST node root{path} ended the JavaScript engine",
    Fault.BUSY: "Function combinator at AST node root{path} was not started: too many of them wait; try again later",
    Fault.GIVEN: "Function combinator at AST node root{path} was not started: with its variables it would get "
    "more than {detail} MB; give it less",
    Fault.ABSENT: "Function combinator at AST node root{path} was not started: the JavaScript engine does not start; "
    "ask the operator for the invoker's log",
    Fault.CONTAINER: "{detail}",
    Fault.UNPLACED: "{detail}",
}
"""Texts of the errors; the first three are stock's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of one call."""

    time_s: float = 5.0
    """Of computing. What hangs without computing, or where the engine cannot stop it, is killed after `patience_s`."""
    memory_mb: int = 128
    answer_mb: int = 32
    """Result and variables together."""

    @property
    def patience_s(self) -> float:
        """How long a worker may be busy with one call, by the clock, on a machine that has other things to do."""
        return 3 * self.time_s + 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A function to evaluate, or several, one after the other."""

    namespace: str
    """Whose function it is: calls of namespaces take turns."""
    code: str
    """Its source text."""
    program: str = ""
    """Name of the action it belongs to. Functions of one program may meet in a context, one after the other, as those
    of a conductor meet in its container; empty: this one meets none."""
    params: Sequence[bytes | memoryview]
    """JSON, in pieces: of a large value nobody need make one text here."""
    cells: Mapping[str, bytes] = field(default_factory=dict)
    """Name → JSON, of all variables that it sees."""
    path: str = ""
    """Of the nearest labelled node around it, for the texts: `[0].body`."""
    home: Home | None = None
    """Whose containers evaluate it; None: the engine beside the invoker."""
    more: Sequence[tuple[str, str]] = ()
    """Code and path of the functions that follow in the same scope, each with what the one before came to. Whoever
    evaluates may do some of them, or none."""

    @property
    def size_bytes(self) -> int:
        """What it holds while it waits."""
        codes = len(self.code) + sum(len(code) for code, _ in self.more)
        return codes + sum(map(len, self.params)) + sum(map(len, self.cells.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """How it ended; of several, how the last one did that was evaluated."""

    result: bytes | None = None
    """JSON, not boxed; None: it returned undefined (or failed), and the parameters go on as they are."""
    error: str | None = None
    """Text of the failure."""
    fault: Fault | None = None
    cells: Mapping[str, bytes] = field(default_factory=dict)
    """Name → JSON of the variables that it changed, also where it failed."""
    done: int = 1
    """How many functions of the call were evaluated, from the first on."""
    log: str = ""
    """What it wrote to the console, and what was thrown; at most LOG_CHARS."""
    waited_s: float = 0.0
    """For a container, which counts for no limit."""


LOG_CHARS: Final = 8192


def failed(fault: Fault, path: str = "", detail: str = "", **also: object) -> Evaluated:
    """Return a failure with its text.

    Args:
        fault: What happened.
        path: Of the call.
        detail: What the text says besides; may be empty for INTERNAL.
        also: Other fields of Evaluated.
    """
    text = TEXTS[fault].format(path=path, detail=detail)
    if fault is Fault.INTERNAL and not detail:
        text = "Internal error"
    return Evaluated(error=text, fault=fault, **also)  # type: ignore[arg-type]
