"""What must hold between any two events of a run. Tests check it after each; it scans, so the machine does not."""

from __future__ import annotations

from collections import Counter

from invoker_ext.dataflow.entries import Entry, Group, Question
from invoker_ext.dataflow.matching import Memory
from invoker_ext.dataflow.release import Held, Ledger
from invoker_ext.dataflow.states import TERMINAL, State


def check(memory: Memory, ledger: Ledger, *, active: int, ended: bool) -> None:
    """Compare every count that the machine keeps with what it counts.

    Raises:
        AssertionError: One is wrong.
    """
    entries = list(memory.entries.values())
    _must(not memory.ready, "what has been matched is fired or skipped within the same event")
    _must(
        active == sum(entry.state in (State.RUNNING, State.DRAINING) for entry in entries),
        "active counts the firings that run or drain",
    )
    if not ended:
        _must(
            memory.unsettled == sum(not entry.settled for entry in entries),
            "unsettled counts the firings that have not settled",
        )
    for entry in entries:
        _check_entry(entry, ended=ended)
    _check_groups(memory, ended=ended)
    _check_claims(memory, ledger, ended=ended)


def _check_entry(entry: Entry, *, ended: bool) -> None:
    state, name = entry.state, str(entry.firing)
    waits = state is State.WAITING and not entry.settled
    _must(entry.takes == waits or ended, f"{name}: takes data exactly while it waits")
    _must(not (ended and state in (State.WAITING, State.BACKOFF)), f"{name}: nothing waits in a run that has ended")
    _must(not (state in TERMINAL and entry.claims), f"{name}: a terminal firing reads nothing")
    _must(not (waits and entry.missing == 0), f"{name}: what waits, waits for something")
    if not ended:
        _must(entry.settled or state not in (*TERMINAL, State.DRAINING), f"{name}: over means settled")


def _check_groups(memory: Memory, *, ended: bool) -> None:
    for group in memory.groups.values():
        name = f"{group.plan.name}{list(group.prefix)}"
        if len(group.prefix) == group.plan.depth - 1:
            finished = sum(entry.state in TERMINAL or entry.again for entry in group.below)
            _must(finished == group.finished or ended, f"{name}: counts its terminal firings")
            _must(
                group.expected is None or group.expected == len(group.below) or ended,
                f"{name}: holds every firing once their number is known",
            )
        _must(group.takes or not group.claims, f"{name}: a finished group reads nothing")


def _check_claims(memory: Memory, ledger: Ledger, *, ended: bool) -> None:
    claims: Counter[Held] = Counter()
    holders: list[Entry | Group | Question] = [*memory.entries.values(), *memory.groups.values()]
    holders += memory.questions.values()
    for holder in holders:
        claims.update(holder.claims)
    kept = list(memory.lineage.claims) if memory.lineage is not None else []
    for one in kept:
        claims.update(one)
    for held in ledger.live:
        _must(held.claims == claims[held] + held.fresh, f"{held.key}: its claims are the lists it is in")
        _must(held.claims > 0, f"{held.key}: what nobody claims is released")
    _must(ended or set(claims) <= ledger.live, "what is claimed has not been released")


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)
