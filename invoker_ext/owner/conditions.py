"""Conditions of edges, over data in the sink."""

from __future__ import annotations

import json

from action_runtime.wire.errors import DataflowError
from invoker_ext.contract import expressions
from invoker_ext.dataflow.commands import Evaluate
from invoker_ext.dataflow.events import Evaluated
from invoker_ext.relay.json_form import value_json


def answer(command: Evaluate, at: float) -> Evaluated:
    """Return whether a condition holds, or why that cannot be said.

    Args:
        command: With the condition and the value it is about.
        at: Monotonic seconds.
    """
    try:
        holds = expressions.evaluate(command.condition, json.loads(value_json(command.value)))
    except (DataflowError, ValueError, OSError, RecursionError) as error:
        return Evaluated(command.ticket, False, str(error), at)
    return Evaluated(command.ticket, holds, None, at)
