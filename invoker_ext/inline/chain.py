"""Functions one after the other in one call: which of them are evaluated, and what they come to together. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from invoker_ext.inline.call import LOG_CHARS, Call, Evaluated

SLICE_S: Final = 0.05
"""Of computing, after which no further one begins: others that wait have their turn."""
PASSED_BYTES: Final = 256 * 1024
"""Of the value that one hands to the next, and of the variables that all together have changed."""


def evaluate_chain(call: Call, evaluate: Callable[[Call], Evaluated], now: Callable[[], float]) -> Evaluated:
    """Evaluate a call's function, and those that follow it while that is as good as to ask for each.

    They stop at the first that fails, or whose value may tell of an error: who asked looks at it, and goes on.

    Args:
        call: The functions.
        evaluate: Evaluates the first function of a call.
        now: The clock, seconds.

    Returns:
        What they came to together, and how many they were.
    """
    ends_s = now() + SLICE_S
    answer = evaluate(call)
    result, cells, log, done = answer.result, answer.cells, answer.log, 1
    for code, path in call.more:
        if answer.error is not None or now() > ends_s or len(log) >= LOG_CHARS or _size(cells) > PASSED_BYTES:
            break
        value = _passed(call.params if result is None else (result,))
        if value is None:
            break
        if result is not None:
            result = value  # of what is no object, the next one that returns nothing leaves the box
        call = replace(call, code=code, path=path, params=(value,), cells={**call.cells, **answer.cells})
        answer = evaluate(call)
        result = answer.result or result
        cells, log, done = {**cells, **answer.cells}, log + answer.log, done + 1
    return replace(answer, result=None if answer.error is not None else result, cells=cells, log=log, done=done)


def _size(cells: Mapping[str, bytes]) -> int:
    return sum(map(len, cells.values()))


def _passed(pieces: Sequence[bytes | memoryview]) -> bytes | None:
    """Return what the next function gets, an object; None: the value must be looked at, or is large."""
    if sum(map(len, pieces)) > PASSED_BYTES:
        return None
    text = b"".join(pieces)
    if text[:1] != b"{":
        return b'{"value":%b}' % text
    return None if b'"error"' in text or b"\\u" in text else text
