"""What was lost with a host and is still needed is computed again: by its producer, from that one's own inputs.

On only for runs that may reach over several hosts. Then the machine remembers of each firing that is over what it read
and what it made, by name. What a firing read stays until what it made has been consumed; what was let go of by then is
made again, too, up to the run's parameters, which stay to the end.

A firing that needs lost data waits (RECOVERING) until all of it is there again. Nothing is made again before somebody
needs it: a consumer that runs has what it reads, or fails and then waits like all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from invoker_ext.dataflow import sentences
from invoker_ext.dataflow.commands import Bound, Bring, Command, Evaluate
from invoker_ext.dataflow.entries import Entry, Question
from invoker_ext.dataflow.events import Committed, Datum
from invoker_ext.dataflow.keys import DataKey, Firing
from invoker_ext.dataflow.matching import Memory, open_streams
from invoker_ext.dataflow.names import Names, claimed
from invoker_ext.dataflow.past import Past, value_of
from invoker_ext.dataflow.release import Held, Ledger
from invoker_ext.dataflow.states import State

REPEATS: Final = 3
"""How often a firing that was over may be executed again; a host that is lost more often is no accident."""


@dataclass(slots=True, eq=False)
class _Kept:
    claims: list[Held]
    """What the firing read, claimed as long as it may have to read it again."""
    pending: set[Held]
    """What it made and is not consumed."""


@dataclass(slots=True, eq=False)
class _Parked:
    entry: Entry
    lacks: set[Held]
    past: Past | None
    """Of one that was over."""
    cause: str


class Lineage:
    """Of one run."""

    def __init__(self, memory: Memory, ledger: Ledger, commands: list[Command]) -> None:
        self._memory = memory
        self._ledger = ledger
        self._commands = commands
        self._past: dict[Firing, Past] = {}
        self._kept: dict[Firing, _Kept] = {}
        self._parked: dict[Firing, _Parked] = {}
        self._stalled: dict[int, set[Held]] = {}
        """Questions about lost data, by ticket."""
        self._wanted: set[Held] = set()
        """Lost data that somebody waits for."""
        self.names = Names()
        self._parameters: list[Held] = []
        self._asked: dict[Held, Datum] = {}
        """Data of the result that are on their way here."""
        self._here: dict[Held, Datum] = {}
        """Data of other hosts that have a copy here, so that they cannot be lost."""
        self.move: Callable[[Entry, State, str], None] = lambda entry, state, cause: None
        self.fire: Callable[[Entry, str], None] = lambda entry, cause: None
        """Set by `Attempts`."""

    @property
    def claims(self) -> Iterator[list[Held]]:
        """Yield the lists of claims; for invariants."""
        yield self._parameters
        for kept in self._kept.values():
            yield kept.claims

    @property
    def keeps(self) -> bool:
        """Data are kept that nobody reads unless there is a loss."""
        return bool(self._kept)

    @property
    def waiting(self) -> set[Firing]:
        """Firings that wait for lost data; for invariants."""
        return set(self._parked)

    # -- while all is well ---------------------------------------------------------------------

    def hold(self, data: Iterable[Held]) -> None:
        """Keep parameters of the run to its end."""
        self._ledger.claim(self._parameters, data)

    def remember(self, entry: Entry) -> None:
        """Note what a firing read and made, before it is forgotten; it is over."""
        if entry.plan.step is None or entry.state is not State.DONE:
            return
        before = self._past.get(entry.firing)
        by_id = self.names.read_by(entry)
        inputs = [(bound.name, self.names.recipe(bound.value, by_id)) for bound in entry.bound]
        past = self._past[entry.firing] = Past(inputs, list(open_streams(entry)), entry.outputs.copy())
        past.repeats = before.repeats if before is not None else 0
        made = [held for output in past.outputs.values() for held in output.items.values()]
        pending = {held for held in made if held.elsewhere and held in self._ledger.live}
        if pending:
            claims: list[Held] = []
            self._ledger.claim(claims, [held for held in past.sources() if held in self._ledger.live])
            for held in claims:
                held.kept += 1
            self._kept[entry.firing] = _Kept(claims, pending)
            self.consumed(list(pending))

    def reconsider(self, entry: Entry) -> None:
        """Have a firing that is over executed again if it has not made what somebody waits for.

        Raises:
            RunFails: It cannot be.
        """
        for held in self._wanted.copy():
            if held.lost and Firing(held.key.step, held.key.tag) == entry.firing:
                self._need(held)

    def consumed(self, data: Iterable[Held] | None = None) -> None:
        """Let go of what firings read, all of whose data are consumed: nobody but for this purpose claims them."""
        rest = list(self._ledger.consumed if data is None else data)
        self._ledger.consumed.clear()
        while rest:
            held = rest.pop()
            kept = self._kept.get(Firing(held.key.step, held.key.tag))
            if kept is None or held.claims > held.kept:
                continue
            kept.pending.discard(held)
            if not kept.pending:
                del self._kept[Firing(held.key.step, held.key.tag)]
                self._let_go(kept)
                rest += self._ledger.consumed
                self._ledger.consumed.clear()

    def _let_go(self, kept: _Kept) -> None:
        for held in kept.claims:
            held.kept -= 1
        self._ledger.unclaim(kept.claims)

    def squeeze(self) -> None:
        """Let go of everything that is kept in case of a loss: there is no room for it."""
        kept, self._kept = self._kept, {}
        for one in kept.values():
            self._let_go(one)
        self._ledger.consumed.clear()

    def end(self) -> None:
        """Remember nothing any more: the run has ended. Questions about lost data are not answered."""
        for ticket in self._stalled:
            self._memory.questions.pop(ticket, None)
        self._kept.clear()
        self._parked.clear()
        self._stalled.clear()
        self._wanted.clear()
        self._parameters = []

    # -- a loss --------------------------------------------------------------------------------

    def lose(self, keys: Iterable[DataKey]) -> None:
        """Note data that are gone; what is not elsewhere, or not held any more, was not lost.

        Raises:
            RunFails: Somebody waits for some of it, and it cannot be made again.
        """
        for key in keys:
            held = self._find(key)
            if held is None or not held.elsewhere or held.lost or held not in self._ledger.live:
                continue
            self.names.replace(held)
            self._ledger.lose(held)
            for parked in self._parked.values():
                reads = self.names.read_by(parked.entry).values() if parked.past is None else parked.entry.claims
                if held in reads:
                    parked.lacks.add(held)
                    self._wanted.add(held)
        for ticket, question in self._memory.questions.items():
            self._stall(ticket, question)
        for held in list(self._wanted):
            if held.lost:
                self._need(held)

    def _find(self, key: DataKey) -> Held | None:
        firing = Firing(key.step, key.tag)
        entry, past = self._memory.entries.get(firing), self._past.get(firing)
        output = entry.outputs.get(key.output) if entry is not None else None
        if output is None and past is not None:
            output = past.outputs.get(key.output)
        return output.items.get(key.index) if output is not None else None

    def holds_up(self, entry: Entry, cause: str) -> bool:
        """Return whether a firing must wait for lost data that it reads; then they are made again.

        Raises:
            RunFails: They cannot be.
        """
        if not self._ledger.lost:
            return False
        lacks = {held for held in self.names.read_by(entry).values() if held.lost}
        if not lacks:
            return False
        self._park(_Parked(entry, lacks, None, cause))
        return True

    def holds_up_result(self, entry: Entry) -> bool:
        """Do the same for the result of the run."""
        lacks = {held for held in self.names.read_by(entry).values() if held.lost} if self._ledger.lost else set()
        for held in lacks:
            self._want(held)
        return bool(lacks)

    def brings(self, entry: Entry) -> bool:
        """Return whether something of the run's result must come here first: in the end nothing is made again."""
        if not self._asked:
            reads = self.names.read_by(entry).values()
            far = (held for held in reads if held.elsewhere and self._here.get(held) is not held.datum)
            self._asked = {held: held.datum for held in far}
            if self._asked:
                self._commands.append(Bring(tuple(self._asked.values())))
        return bool(self._asked)

    def brought(self, error: str | None) -> None:
        """What `brings` asked for is here, but for what was lost.

        Raises:
            RunFails: Some of it cannot be had, and is not lost.
        """
        asked, self._asked = self._asked, {}
        there = {held: datum for held, datum in asked.items() if not held.lost and held.datum is datum}
        if error is None:
            self._here |= there
        elif len(there) == len(asked):
            raise sentences.unreachable(error)

    def holds_up_question(self, ticket: int, question: Question) -> bool:
        """Do the same for a condition that is to be evaluated."""
        return bool(self._ledger.lost) and self._stall(ticket, question)

    def _stall(self, ticket: int, question: Question) -> bool:
        by_id = claimed(question.holder) | {id(held.datum): held for held in question.claims}
        lacks = {held for held in self.names.named(question.value, by_id) if held.lost}
        if lacks:
            self._stalled[ticket] = lacks
            for held in lacks:
                self._want(held)
        return bool(lacks)

    def _park(self, parked: _Parked) -> None:
        self._parked[parked.entry.firing] = parked
        self.move(parked.entry, State.RECOVERING, "what it reads was lost")
        for held in list(parked.lacks):
            self._want(held)

    def _want(self, held: Held) -> None:
        if held not in self._wanted:
            self._wanted.add(held)
            self._need(held)

    def _need(self, held: Held) -> None:
        """Have a lost datum made again, unless its producer is at it."""
        firing = Firing(held.key.step, held.key.tag)
        entry = self._memory.entries.get(firing)
        past = self._past.get(firing)
        if entry is None:
            raise sentences.lost(firing, held.key.output)
        if entry.state not in (State.DONE, State.FAILED, State.SKIPPED, State.DROPPED):
            return  # it is made again, or will be when the present attempt is over
        if entry.state is not State.DONE or past is None or not entry.plan.recovers or past.repeats >= REPEATS:
            raise sentences.lost(firing, held.key.output)
        past.repeats += 1
        self._reopen(entry, past)

    def _reopen(self, entry: Entry, past: Past) -> None:
        entry.again = True
        entry.outputs = past.outputs
        entry.leaves = entry.plan.initial.copy()
        for leaf, output in past.streams:
            entry.leaves[leaf.index] = output
        sources = list(past.sources())
        for held in sources:
            if held not in self._ledger.live:
                self._ledger.revive(held)
        self._ledger.claim(entry.claims, sources)
        kept = self._kept.pop(entry.firing, None)
        if kept is not None:
            self._let_go(kept)
        lacks = {held for held in sources if held.lost}
        parked = _Parked(entry, lacks, past, "what it made was lost")
        if lacks:
            self._park(parked)
        else:
            self._resume(parked)

    # -- made again ----------------------------------------------------------------------------

    def takes(self, entry: Entry, event: Committed) -> bool:
        """Take a datum that is in the place of a lost one; False: it is not."""
        output = entry.outputs.get(event.key.output)
        held = output.items.get(event.key.index) if output is not None else None
        if output is None or held is None or held not in self._ledger.lost or output.how is not event.how:
            return False
        self._restore(held, event.datum, elsewhere=event.elsewhere)
        return True

    def _restore(self, held: Held, datum: Datum, *, elsewhere: bool) -> None:
        """Whoever waited for it goes on."""
        self._ledger.restore(held, datum, elsewhere=elsewhere)
        self._wanted.discard(held)
        for parked in list(self._parked.values()):
            parked.lacks.discard(held)
            if not parked.lacks:
                del self._parked[parked.entry.firing]
                self._resume(parked)
        for ticket, lacks in list(self._stalled.items()):
            lacks.discard(held)
            if not lacks:
                del self._stalled[ticket]
                question = self._memory.questions.get(ticket)
                if question is not None:
                    value = self.names.current(question.value)
                    self._commands.append(Evaluate(ticket, question.leaf.when or "", value))

    def _resume(self, parked: _Parked) -> None:
        entry = parked.entry
        if parked.past is not None:
            entry.bound = tuple(Bound(name, value_of(recipe)) for name, recipe in parked.past.inputs)
        else:
            entry.bound = self.names.latest(entry.bound)
        self.fire(entry, parked.cause)
