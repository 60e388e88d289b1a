"""Random events against the ledger, beside the simplest books that could be kept."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from invoker_ext.sink.ledger import Ledger
from invoker_ext.sink.terms import INLINE_OVERHEAD_BYTES, Command, Grant, Limits, Refuse, Spill, State, Stuck

PAGE = 4096
LIMITS = Limits(budget_bytes=64 * PAGE, segments=12, spill_bytes=40 * PAGE)
MEMORY = {State.RESERVED, State.HELD, State.PINNED, State.SPILLING}


class Books(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(LIMITS)
        self.keys = iter(range(1, 10**9))
        self.pages: dict[int, int] = {}
        self.state: dict[int, State] = {}
        self.pins: dict[int, int] = {}
        self.copies: list[int] = []
        self.inline: list[int] = []

    def obey(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Grant(key):
                    assert self.state[key] is State.WAITING
                    self.state[key] = State.RESERVED
                case Refuse(key):
                    assert self.pages[key] * PAGE > LIMITS.budget_bytes * (1 - LIMITS.inline_share)
                    del self.state[key], self.pages[key]
                case Spill(key):
                    assert self.state[key] is State.HELD
                    assert key not in self.copies
                    self.state[key] = State.SPILLING
                    self.copies.append(key)
                case Stuck():
                    pass

    def some(self, *states: State) -> list[int]:
        return [key for key, state in self.state.items() if state in states]

    @rule(pages=st.integers(1, 70), owner=st.sampled_from(["a/1", "a/2", "b/1", "c/1"]))
    def ask(self, pages, owner):
        key = next(self.keys)
        self.pages[key], self.state[key] = pages, State.WAITING
        self.obey(self.ledger.ask(key, owner, pages * PAGE))

    @rule(pages=st.integers(1, 20), owner=st.sampled_from(["a/1", "b/1"]))
    def hold(self, pages, owner):
        key = next(self.keys)
        self.pages[key], self.state[key] = pages, State.HELD
        self.obey(self.ledger.hold(key, owner, pages * PAGE))

    @rule(size=st.integers(0, 3 * PAGE))
    def hold_inline(self, size):
        self.inline.append(size)
        self.obey(self.ledger.hold_inline("a/1", size))

    @precondition(lambda self: self.inline)
    @rule()
    def free_inline(self):
        self.obey(self.ledger.free_inline("a/1", self.inline.pop()))

    @precondition(lambda self: self.some(State.RESERVED))
    @rule(data=st.data())
    def commit(self, data):
        key = data.draw(st.sampled_from(self.some(State.RESERVED)))
        self.state[key] = State.HELD
        self.obey(self.ledger.commit(key))

    @precondition(lambda self: self.some(State.HELD, State.PINNED, State.SPILLING, State.SPILLED))
    @rule(data=st.data())
    def pin(self, data):
        key = data.draw(st.sampled_from(self.some(State.HELD, State.PINNED, State.SPILLING, State.SPILLED)))
        self.pins[key] = self.pins.get(key, 0) + 1
        if self.state[key] is not State.SPILLED:
            self.state[key] = State.PINNED
        self.ledger.pin(key)

    @precondition(lambda self: self.pins)
    @rule(data=st.data())
    def unpin(self, data):
        key = data.draw(st.sampled_from(sorted(self.pins)))
        self.pins[key] -= 1
        if not self.pins[key]:
            del self.pins[key]
            if self.state[key] is State.PINNED:
                self.state[key] = State.HELD
        self.obey(self.ledger.unpin(key))

    @precondition(lambda self: self.copies)
    @rule(fails=st.booleans())
    def copied(self, fails):
        key = self.copies.pop(0)
        was = self.state.get(key)
        if fails:
            if was is State.SPILLING:
                self.state[key] = State.HELD
            self.obey(self.ledger.spill_failed(key, "disk full"))
            self.obey(self.ledger.spill_again())
            return
        if was is State.SPILLING:
            self.state[key] = State.SPILLED
        wanted, commands = self.ledger.spilled(key)
        assert wanted == (was is State.SPILLING)
        self.obey(commands)

    @precondition(lambda self: bool(set(self.state) - set(self.pins)))
    @rule(data=st.data())
    def free(self, data):
        key = data.draw(st.sampled_from(sorted(set(self.state) - set(self.pins))))
        del self.state[key]
        self.obey(self.ledger.free(key))
        del self.pages[key]

    @invariant()
    def states_are_as_told(self):
        assert {key: self.ledger.state(key) for key in self.state} == self.state

    @invariant()
    def figures_are_sums(self):
        usage = self.ledger.usage
        assert usage.segment_bytes == sum(self.pages[key] * PAGE for key in self.some(*MEMORY))
        assert usage.reserved_bytes == sum(self.pages[key] * PAGE for key in self.some(State.RESERVED))
        assert usage.spilled_bytes == sum(self.pages[key] * PAGE for key in self.some(State.SPILLED))
        assert usage.inline_bytes == sum(size + INLINE_OVERHEAD_BYTES for size in self.inline)
        assert usage.waiting == len(self.some(State.WAITING))
        assert usage.segments == len(self.state) - usage.waiting
        assert usage.spilled_bytes <= LIMITS.spill_bytes

    @invariant()
    def whoever_waits_alone_waits_for_a_reason(self):
        """With nothing in memory and nothing waiting before it, a request is never left waiting."""
        waiting = self.some(State.WAITING)
        if waiting and self.ledger.usage.segments == 0 and not self.inline:
            raise AssertionError(f"{waiting} wait although the sink is empty")

    def teardown(self):
        for key in sorted(set(self.state) - set(self.pins)):
            if key in self.state:
                del self.state[key]
                self.obey(self.ledger.free(key))
        for key, count in self.pins.items():
            for left in range(count - 1, -1, -1):
                if not left and self.state[key] is State.PINNED:
                    self.state[key] = State.HELD
                self.obey(self.ledger.unpin(key))
            del self.state[key]
            self.obey(self.ledger.free(key))
        for size in self.inline:
            self.ledger.free_inline("a/1", size)
        usage = self.ledger.usage
        assert (usage.segment_bytes, usage.spilled_bytes, usage.segments) == (0, 0, 0)
        assert self.ledger._groups == {}
        assert self.ledger._spilling_bytes == 0


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
