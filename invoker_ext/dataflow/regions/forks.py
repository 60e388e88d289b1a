"""Threads side by side: how they begin, and what they come to together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from invoker_ext.dataflow.regions.threads import Fork, Frame, FrameKind, Thread
from invoker_ext.dataflow.regions.values import (
    Items,
    Members,
    Shape,
    Text,
    Value,
    boxed,
    member,
    shape_of,
    text_of,
    truth,
)

MAX_THREADS: Final = 10_000
"""Of a region at a time."""


def branches(parent: Thread, starts: Sequence[int], values: Sequence[Value], at: float) -> list[Thread]:
    """Return the branches of a thread: each with copies of its frames and an account of its own."""
    fork = Fork(parent, [None] * len(values), len(values))
    return [
        Thread(
            value=value,
            account=parent.account.branch(),
            since=at,
            place=start,
            frames=[*(frame.copy() for frame in parent.frames), Frame(FrameKind.BRANCH, index=position)],
            fork=fork,
            position=position,
        )
        for position, (start, value) in enumerate(zip(starts, values, strict=True))
    ]


def joined(fork: Fork) -> Members:
    """Return what all branches came to, in order."""
    return boxed(Items(tuple(one for one in fork.results if one is not None)))


def elements(value: Value) -> list[Value] | str | None:
    """Return the elements of the member `value`, each an object; None: it must be read; a text: it has none."""
    found = member(value, "value")
    if found is None:
        return [] if not _unread(value) else None
    match found:
        case Items():
            return [as_object(one) for one in found.items]
        case Text():
            if isinstance(found.parsed, list):
                return [as_object(text_of(one)) for one in found.parsed]
            return "no array" if truth(found) else []
        case Members():
            return "no array"
        case _:
            return None


def _unread(value: Value) -> bool:
    return not isinstance(value, Text | Members)


def as_object(value: Value, shape: Shape | None = None) -> Value:
    """Return what a branch of a MAP gets of an element."""
    return boxed(value) if (shape or shape_of(value)) is Shape.OTHER else value
