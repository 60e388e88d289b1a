"""What Composer's own functions do, on values that nobody reads.

Each is tried; what it cannot tell, the evaluator can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final

from invoker_ext.contract.regions import Helper
from invoker_ext.dataflow.regions.threads import Thread
from invoker_ext.dataflow.regions.values import (
    Leaf,
    Members,
    Shape,
    Text,
    Value,
    boxed,
    shape_of,
    text_of,
)


class Unable(Enum):
    """Why there is no value."""

    UNFIT = "unfit"
    """Value or cells are not as Composer makes them: evaluate the function."""
    UNREAD = "unread"
    """The shape of the member `result` must be known first."""
    OVERLAY = "overlay"
    """The members must be put over each other by who can read them."""


Outcome = Value | Unable


def apply(helper: Helper, thread: Thread) -> Outcome:
    """Return what the function results in; its changes to cells are made."""
    return _HELPERS[helper](thread)


def _cell(thread: Thread, name: str) -> Value | None:
    cells = thread.cells_of(name)
    return None if cells is None else cells[name]


def _save(thread: Thread) -> Outcome:
    cells = thread.cells_of("params")
    if cells is None:
        return Unable.UNFIT
    cells["params"] = thread.value
    return thread.value


def _load(thread: Thread) -> Outcome:
    return _cell(thread, "params") or Unable.UNFIT


def _value(thread: Thread) -> Outcome:
    return _cell(thread, "value") or Unable.UNFIT


def _pack(thread: Thread) -> Outcome:
    params = _cell(thread, "params")
    return Unable.UNFIT if params is None else Members({"params": params, "result": thread.value})


def _wrap(thread: Thread) -> Outcome:
    return Members({"result": thread.value})


def _nest(thread: Thread) -> Outcome:
    return Members({"params": thread.value})


def _pair(thread: Thread) -> tuple[Value, Value] | None:
    """Return params and result of a value that is made of both."""
    value = thread.value
    if not isinstance(value, Members) or not {"params", "result"} <= value.members.keys():
        return None
    return value.members["params"], value.members["result"]


def _unnest(thread: Thread) -> Outcome:
    pair = _pair(thread)
    if pair is None or not isinstance(pair[1], Members) or "result" not in pair[1].members:
        return Unable.UNFIT
    return Members({"params": pair[0], "result": pair[1].members["result"]})


def _take(name: str) -> Callable[[Thread], Outcome]:
    def take(thread: Thread) -> Outcome:
        value = thread.value
        found = value.members.get(name) if isinstance(value, Members) else None
        return found or Unable.UNFIT

    return take


def _count_down(thread: Thread) -> bool | None:
    """Return whether the count was above 0, and lower it; None: it is no number."""
    cells = thread.cells_of("count")
    count = None if cells is None else cells["count"]
    if cells is None or not isinstance(count, Text) or type(count.parsed) not in (int, float):
        return None
    cells["count"] = text_of(count.parsed - 1)
    return bool(count.parsed > 0)


def _countdown(thread: Thread) -> Outcome:
    above = _count_down(thread)
    return Unable.UNFIT if above is None else boxed(text_of(above))


def _again(thread: Thread) -> Outcome:
    pair = _pair(thread)
    if pair is None:
        return Unable.UNFIT
    shape = shape_of(pair[1])
    if shape is Shape.UNKNOWN and isinstance(pair[1], Leaf):
        return Unable.UNREAD
    if shape is Shape.FAULTY:
        return _countdown(thread)
    return boxed(text_of(False)) if shape is Shape.CLEAN else Unable.UNFIT


def _overlay(thread: Thread) -> Outcome:
    return Unable.UNFIT if _pair(thread) is None else Unable.OVERLAY


_HELPERS: Final[Mapping[Helper, Callable[[Thread], Outcome]]] = {
    Helper.SAVE: _save,
    Helper.LOAD: _load,
    Helper.PACK: _pack,
    Helper.WRAP: _wrap,
    Helper.UNNEST: _unnest,
    Helper.COUNTDOWN: _countdown,
    Helper.NEST: _nest,
    Helper.TAKE_PARAMS: _take("params"),
    Helper.TAKE_RESULT: _take("result"),
    Helper.AGAIN: _again,
    Helper.OVERLAY: _overlay,
    Helper.VALUE: _value,
}
