"""Firings of a region on their way: from their dispatch until they have drained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from invoker_ext.contract.graph import GraphKind, Step, WorkflowCall
from invoker_ext.dataflow import sentences
from invoker_ext.dataflow.attempts import LOSSES, MISSES
from invoker_ext.dataflow.commands import Bound, Dispatch
from invoker_ext.dataflow.events import Lost, Outcome, Returned
from invoker_ext.dataflow.keys import Firing, Tag
from invoker_ext.dataflow.regions.threads import Account, Thread
from invoker_ext.dataflow.regions.values import Leaf, Members, Value, error_of, text_of


@dataclass(slots=True)
class _Flight:
    """One attempt.

    Attributes:
        thread: That waits for it; None: it has returned.
        dispatch: How it was sent.
        reads: Kept until it has drained.
        misses: Dispatches that were lost before the function began.
        losses: Those that were lost after.
        result: What came of it so far.
    """

    thread: Thread | None
    dispatch: Dispatch
    reads: Value
    misses: int = 0
    losses: int = 0
    result: Leaf | None = None


@dataclass(slots=True, frozen=True)
class Landed:
    """A firing has come to something."""

    thread: Thread
    value: Value
    counts: bool
    """It was an action: a composition counts what it runs itself."""


class Flights:
    """All of a region."""

    def __init__(self, tag: Tag) -> None:
        """Start without any; tags of all begin with this one."""
        self._tag = tag
        self._flights: dict[tuple[Firing, int], _Flight] = {}

    def __bool__(self) -> bool:
        """Return whether anything has not drained."""
        return bool(self._flights)

    @property
    def awaited(self) -> Iterator[Thread]:
        """Threads that wait for one."""
        return (flight.thread for flight in self._flights.values() if flight.thread is not None)

    def send(self, thread: Thread, step: Step, inputs: tuple[Bound, ...]) -> Dispatch:
        """Let a thread wait for a firing, which reads its value."""
        dispatch = Dispatch(Firing(step.name, self._tag + thread.tag), 1, step, inputs)
        self._flights[dispatch.firing, 1] = _Flight(thread, dispatch, thread.value)
        return dispatch

    def account_of(self, firing: Firing, attempt: int) -> Account | None:
        """Return what a firing that is on its way may use up."""
        flight = self._flights.get((firing, attempt))
        return flight.thread.account if flight is not None and flight.thread is not None else None

    def resulted(self, firing: Firing, attempt: int, leaf: Leaf) -> None:
        """Take what the firing resulted in, until it returns."""
        flight = self._flights.get((firing, attempt))
        if flight is not None and flight.thread is not None:
            flight.result = leaf

    def returned(self, event: Returned, error: Leaf | None) -> Landed | None:
        """Return what the firing came to; None: that is known, or nobody waits for it any more."""
        flight = self._flights.get((event.firing, event.attempt))
        if flight is None or flight.thread is None:
            return None
        result, flight.result = flight.result, None
        if event.outcome is Outcome.SUCCESS:
            return _land(flight, result or error_of(sentences.UNDELIVERED))
        flight.thread.outcome = event.outcome
        return _land(flight, Members({"error": error or text_of(sentences.failed(event.firing))}))

    def lost(self, event: Lost) -> Landed | Dispatch | None:
        """Return what becomes of a firing whose container died: it is sent again as far as that is allowed."""
        flight = self._flights.pop((event.firing, event.attempt), None)
        if flight is None or flight.thread is None:
            return None
        flight.losses += event.began
        flight.misses += not event.began
        again = not flight.dispatch.step.at_most_once and flight.losses < LOSSES
        if again if event.began else flight.misses < MISSES:
            before = flight.dispatch
            flight.dispatch = Dispatch(before.firing, before.attempt + 1, before.step, before.inputs)
            self._flights[before.firing, before.attempt + 1] = flight
            return flight.dispatch
        flight.thread.outcome = event.outcome or Outcome.DEVELOPER_ERROR
        return _land(flight, error_of(event.reason or sentences.DIED))

    def drained(self, firing: Firing, attempt: int) -> None:
        """Let go of what the firing read."""
        self._flights.pop((firing, attempt), None)

    def give_up(self) -> None:
        """Wait for nothing any more; what runs ends by itself."""
        for flight in self._flights.values():
            flight.thread = flight.result = None


def _land(flight: _Flight, value: Value) -> Landed:
    call = flight.dispatch.step.call
    counts = not (isinstance(call, WorkflowCall) and call.graph.kind is GraphKind.COMPOSITION)
    thread, flight.thread = flight.thread, None
    if thread is None:
        raise ValueError("nobody waits for this firing")
    return Landed(thread, value, counts)
