"""Order and scopes of steps, from the uses that edges make of outputs. Pure graph rules of `RULES.md`, no syntax."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from controller_ext.workflow.reading import Reading, Use
from invoker_ext.contract.graph import RUN, EdgeKind

Scope = tuple[str, ...]
MAX_LEVELS: Final = 8
"""Nested `each`; the number of firings is the product of the numbers of items."""


def in_order(reading: Reading) -> tuple[str, ...]:
    """Return all steps so that each comes after those it reads, else in the order of the text; notes cycles.

    Steps on a cycle, and those that depend on one, are left out.
    """
    reads = _reads(reading.uses)
    rank = {name: at for at, name in enumerate(reading.steps)}
    waits = {name: len(reads.get(name, ())) for name in reading.steps}
    readers: dict[str, list[str]] = {}
    for reader, sources in reads.items():
        for source in sources:
            readers.setdefault(source, []).append(reader)
    ready = [rank[name] for name in reading.steps if not waits[name]]
    order: list[str] = []
    while ready:
        name = reading.steps[heapq.heappop(ready)]
        order.append(name)
        for reader in readers.get(name, ()):
            waits[reader] -= 1
            if not waits[reader]:
                heapq.heappush(ready, rank[reader])
    stuck = [name for name in reading.steps if waits[name]]
    for cycle in _cycles(stuck, reads):
        reading.note(
            ("steps", cycle[0]), f"the steps wait for each other in a circle: {' → '.join((*cycle, cycle[0]))}"
        )
    return tuple(order)


def scopes_of(reading: Reading, order: Sequence[str]) -> dict[str, Scope]:
    """Return the scope of each step in order; notes what joins or leaves a scope it must not.

    Steps whose scope cannot be told, because of a finding of theirs or upstream, are left out.
    """
    by_reader: dict[str | None, list[Use]] = {}
    for use in reading.uses:
        by_reader.setdefault(use.reader, []).append(use)
    scopes: dict[str, Scope] = {RUN: ()}
    for name in order:
        scope = _join(reading, by_reader.get(name, ()), scopes)
        if scope is None or name in reading.broken:
            continue
        if len(scope) > MAX_LEVELS:
            reading.note(
                ("steps", name), f"stands below {len(scope)} levels of `each`, at most {MAX_LEVELS} are allowed"
            )
        scopes[name] = scope
    for use in by_reader.get(None, ()):
        scope = _reach(reading, use, scopes)
        if scope:
            step = use.source.step
            reading.note(
                use.path,
                f"`{step}` runs once per item of `{scope[-1]}`, the result is there once: "
                f"{'gather that list in a further step' if use.kind is EdgeKind.GATHER else 'use {gather: …}'}",
            )
    del scopes[RUN]
    return scopes


def _reads(uses: Iterable[Use]) -> dict[str, dict[str, None]]:
    """Return for each step the steps it reads, without repeats, in order."""
    reads: dict[str, dict[str, None]] = {}
    for use in uses:
        if use.reader is not None and use.source.step != RUN:
            reads.setdefault(use.reader, {})[use.source.step] = None
    return reads


def _cycles(stuck: Sequence[str], reads: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Return cycles among steps that wait for ever, no step in two of them; each in the direction of the data."""
    left = dict.fromkeys(stuck)
    cycles: list[tuple[str, ...]] = []
    for start in stuck:
        walk: dict[str, None] = {}
        name: str | None = start
        while name is not None and name in left and name not in walk:
            walk[name] = None
            name = next((source for source in reads.get(name, ()) if source in left), None)
        if name is not None and name in walk:
            path = list(walk)
            cycle = path[path.index(name) :][::-1]
            first = min(range(len(cycle)), key=lambda at: stuck.index(cycle[at]))
            cycles.append((*cycle[first:], *cycle[:first]))
        for seen in walk:
            left.pop(seen, None)
    return cycles


def _join(reading: Reading, uses: Iterable[Use], scopes: Mapping[str, Scope]) -> Scope | None:
    """Return the scope of a step with these uses; None: unknown."""
    known = True
    ranged: Use | None = None
    longest: Scope = ()
    owner: Use | None = None
    for use in uses:
        if use.kind is EdgeKind.EACH:
            if ranged is not None and ranged.source.step != use.source.step:
                reading.note(
                    use.path,
                    "several `each` on one step take items in step and must name outputs of the same step, "
                    f"not `{ranged.source.step}` and `{use.source.step}`",
                )
                known = False
                continue
            ranged = use
        scope = _reach(reading, use, scopes)
        if scope is None:
            known = False
        elif not _fits(scope, longest):
            other = owner.source.step if owner is not None else ""
            reading.note(
                use.path,
                f"joins items of `{scope[-1]}` with items of `{longest[-1]}` (from `{other}`): "
                "they do not belong together; gather one of them first",
            )
            known = False
        elif len(scope) > len(longest):
            longest, owner = scope, use
    return longest if known else None


def _fits(one: Scope, other: Scope) -> bool:
    """Return whether one scope lies in the other."""
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


def _reach(reading: Reading, use: Use, scopes: Mapping[str, Scope]) -> Scope | None:
    """Return the scope in which an edge delivers; None: unknown."""
    scope = scopes.get(use.source.step)
    if scope is None:
        return None
    if use.kind is EdgeKind.EACH:
        return (*scope, use.source.step)
    if use.kind is not EdgeKind.GATHER:
        return scope
    if not scope:
        reading.note(use.path, f"`gather` closes an `each`, but `{use.source.step}` is not below one")
        return None
    return scope[:-1]
