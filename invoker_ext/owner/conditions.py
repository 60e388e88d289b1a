"""Conditions of edges, over data in the sink."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from action_runtime.wire.errors import DataflowError
from invoker_ext.contract import expressions
from invoker_ext.dataflow.commands import Constant, Evaluate
from invoker_ext.dataflow.events import Evaluated
from invoker_ext.relay.json_form import data_of, localised, value_json
from invoker_ext.sink.datum import Stored

QUICK_BYTES: Final = 4 * 1024
"""Up to here reading a value costs less than a thread."""
MAX_BYTES: Final = 1024 * 1024
"""Of a value to decide on: reading JSON holds the interpreter's lock, for about 10 ms a MiB."""


_NONE: Final[Mapping[int, Stored]] = MappingProxyType({})


def is_quick(command: Evaluate) -> bool:
    """Return whether a condition may be answered on the loop; a larger value is read in a thread."""
    value = command.value
    size = len(value.json) if isinstance(value, Constant) else sum(datum.size_bytes for datum in data_of(value))
    return size <= QUICK_BYTES


def answer(command: Evaluate, at: float, copies: Mapping[int, Stored] = _NONE) -> Evaluated:
    """Return whether a condition holds, or why that cannot be said. Copies nothing of the sink's books: any thread may.

    Args:
        command: With the condition and the value it is about.
        at: Monotonic seconds.
        copies: Of what other hosts hold of it.
    """
    size = sum(datum.size_bytes for datum in data_of(command.value))
    if size > MAX_BYTES:
        text = f"condition `{command.condition}`: the value has {size} bytes, at most {MAX_BYTES} are decided on"
        return Evaluated(command.ticket, False, f"{text}; give a small value to a condition", at)
    try:
        holds = expressions.evaluate(command.condition, json.loads(value_json(localised(command.value, copies))))
    except (DataflowError, ValueError, OSError, RecursionError) as error:
        return Evaluated(command.ticket, False, str(error), at)
    return Evaluated(command.ticket, holds, None, at)
