"""How a run ends: what is dropped, what its last commands are, who keeps which datum."""

from __future__ import annotations

from collections.abc import Iterator

from invoker_ext.dataflow import sentences
from invoker_ext.dataflow.commands import Bound, Chunks, Constant, End, FeedEnd, Streamed, Value
from invoker_ext.dataflow.entries import Entry
from invoker_ext.dataflow.events import Datum, Outcome
from invoker_ext.dataflow.keys import Firing
from invoker_ext.dataflow.matching import Memory, open_streams
from invoker_ext.dataflow.release import Held, Ledger
from invoker_ext.dataflow.states import State

Ending = tuple[Outcome, tuple[Bound, ...], Datum | str | None, Firing | None]
"""Outcome, result, error, and the firing that failed."""


def unfired(memory: Memory) -> list[Entry]:
    """Return the firings that will not be executed any more."""
    memory.ready.clear()
    return [
        entry for entry in memory.entries.values() if entry.state in (State.WAITING, State.BACKOFF, State.RECOVERING)
    ]


def broken_streams(memory: Memory) -> Iterator[FeedEnd]:
    """Yield the end of every stream that a running firing still reads: it would wait for ever."""
    for entry in memory.entries.values():
        if entry.state is State.RUNNING and entry.plan.streaming:
            for leaf, output in open_streams(entry):
                if not output.closed:
                    yield FeedEnd(entry.firing, leaf.slot.name, sentences.STREAM_STOPPED)


def end(memory: Memory, ledger: Ledger, ending: Ending) -> End:
    """Hand the result's data over, keep what is still being read, release the rest."""
    outcome, result, error, failed = ending
    owned: dict[int, Datum] = {}
    for bound in result:
        for datum in data_of(bound.value):
            owned[id(datum)] = datum
    # A datum is live as long as somebody may read it, so what the result binds is.
    for held in [held for held in ledger.live if id(held.datum) in owned]:
        ledger.hand_over(held)
    readers: list[list[Held]] = []
    for question in memory.questions.values():
        question.claims.extend(question.holder.claims)
        readers.append(question.claims)
    for entry in memory.entries.values():
        if entry.state in (State.RUNNING, State.DRAINING):
            _detach(entry)
            readers.append(entry.claims)
        else:
            entry.claims = []
    for group in memory.groups.values():
        group.claims = []
    ledger.settle(readers)
    data = tuple(owned.values())
    if error is not None and not isinstance(error, str):
        data = (error,)
    return End(outcome, result, error, failed, data)


def _detach(entry: Entry) -> None:
    """Let a firing answer itself for what its groups kept for it."""
    group = entry.group
    while group is not None:
        entry.claims.extend(group.claims)
        group = group.parent


def data_of(value: Value) -> Iterator[Datum]:
    """Yield every datum that a bound value holds."""
    match value:
        case tuple():
            for one in value:
                yield from data_of(one)
        case Chunks(parts):
            yield from parts
        case Constant() | Streamed():
            return
        case _:
            yield value
