"""Which call goes to which worker, and what happens at the bounds."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from invoker_ext.inline.call import Fault
from invoker_ext.inline.desk import TRANSITIONS, Desk, Fail, InvalidMove, Kill, Send, Start, WorkerState


@pytest.fixture
def desk() -> Desk:
    return Desk(workers=2, most=4, waiting=3, waiting_bytes=100)


def busy(desk: Desk) -> Desk:
    """Both workers have a call: tickets 1 and 2."""
    desk.ask(1, "a", 1)
    desk.ask(2, "a", 1)
    desk.started(1)
    desk.started(2)
    return desk


def test_the_first_call_starts_a_worker_and_is_sent_when_it_is_ready(desk):
    assert desk.ask(1, "a", 1) == [Start(1)]
    assert desk.started(1) == [Send(1, 1)]


def test_no_more_workers_are_started_than_calls_wait(desk):
    desk.ask(1, "a", 1)
    desk.started(1)
    desk.answered(1, spent=False)
    assert desk.ask(2, "a", 1) == [Send(1, 2)]


def test_no_more_workers_are_started_than_allowed(desk):
    busy(desk)
    assert desk.ask(3, "a", 1) == []


def test_the_worker_that_rested_longest_is_next(desk):
    busy(desk)
    desk.answered(2, spent=False)
    desk.answered(1, spent=False)
    assert desk.ask(3, "a", 1) == [Send(2, 3)]


def test_namespaces_take_turns(desk):
    busy(desk)
    for ticket, namespace in ((3, "b"), (4, "b"), (5, "c")):
        desk.ask(ticket, namespace, 1)
    sent = [desk.answered(1, spent=False) for _ in range(3)]
    assert sent == [[Send(1, 3)], [Send(1, 5)], [Send(1, 4)]]


def test_more_calls_than_the_bound_are_refused(desk):
    busy(desk)
    for ticket in (3, 4, 5):
        assert desk.ask(ticket, "a", 1) == []
    assert desk.ask(6, "a", 1) == [Fail(6, Fault.BUSY)]


def test_at_the_bound_the_last_call_of_whoever_has_most_makes_room_for_others(desk):
    busy(desk)
    for ticket in (3, 4, 5):
        desk.ask(ticket, "a", 1)
    assert desk.ask(6, "b", 1) == [Fail(5, Fault.BUSY)]
    assert desk.ask(7, "b", 1) == [Fail(7, Fault.BUSY)], "they have as many then"
    assert desk.ask(8, "c", 1) == [Fail(4, Fault.BUSY)]


def test_at_the_bound_of_bytes_whoever_has_most_of_them_makes_room(desk):
    busy(desk)
    desk.ask(3, "a", 60)
    desk.ask(4, "a", 30)
    assert desk.ask(5, "b", 20) == [Fail(4, Fault.BUSY)]
    assert desk.ask(6, "b", 60) == [Fail(6, Fault.BUSY)]


def test_a_namespace_that_has_no_worker_gets_another_one_after_two_looks(desk):
    busy(desk)
    desk.ask(3, "a", 1)
    desk.ask(4, "b", 1)
    assert desk.look() == []
    assert desk.look() == [Start(3)]
    assert desk.look() == [], "it comes up"
    assert desk.started(3) == [Send(3, 4)]
    assert [desk.look(), desk.look()] == [[], []], "who has workers waits for them"
    assert desk.answered(3, spent=False) == [], "nobody has more than others may need"


def test_who_has_none_is_next_and_no_more_workers_are_started_than_the_bound(desk):
    busy(desk)
    for ticket, namespace in ((3, "b"), (4, "c"), (5, "a")):
        desk.ask(ticket, namespace, 1)
    desk.look()
    assert desk.look() == [Start(3)]
    desk.started(3)
    assert desk.look() == [Start(4)]
    desk.started(4)
    desk.ask(6, "d", 1)
    assert [desk.look(), desk.look()] == [[], []]
    assert desk.answered(1, spent=False) == [Send(1, 6)]


def test_more_bytes_than_the_bound_are_refused(desk):
    busy(desk)
    desk.ask(3, "a", 60)
    assert desk.ask(4, "a", 41) == [Fail(4, Fault.BUSY)]
    assert desk.ask(5, "a", 40) == []


def test_a_call_that_is_larger_than_all_that_may_wait_is_told_so(desk):
    assert desk.ask(1, "a", 101) == [Fail(1, Fault.GIVEN)]


def test_a_call_that_was_withdrawn_makes_room(desk):
    busy(desk)
    desk.ask(3, "a", 100)
    desk.withdraw(3)
    assert desk.ask(4, "a", 100) == []
    assert desk.answered(1, spent=False) == [Send(1, 4)]


def test_a_call_whose_worker_died_fails_and_the_next_gets_a_new_worker(desk):
    busy(desk)
    desk.ask(3, "a", 1)
    assert desk.gone(1) == [Fail(1, Fault.CRASHED), Start(3)]


def test_an_overdue_worker_is_killed_and_its_call_is_out_of_time(desk):
    busy(desk)
    assert desk.overdue(1) == [Kill(1)]
    assert desk.overdue(1) == []
    assert desk.gone(1) == [Fail(1, Fault.TIME)]


def test_an_answer_that_crosses_the_kill_counts(desk):
    busy(desk)
    desk.overdue(1)
    assert desk.answered(1, spent=False) == []
    assert desk.gone(1) == []


def test_a_spent_worker_is_replaced(desk):
    busy(desk)
    desk.ask(3, "a", 1)
    assert desk.answered(1, spent=True) == [Kill(1)]
    assert desk.gone(1) == [Start(3)]


def test_where_no_worker_comes_up_all_who_wait_are_told(desk):
    desk.ask(1, "a", 1)
    desk.ask(2, "b", 1)
    assert desk.gone(1) == []
    assert desk.gone(2) == [Fail(1, Fault.ABSENT), Fail(2, Fault.ABSENT)]
    assert desk.ask(3, "a", 1) == [Start(3)]


def test_workers_without_work_are_ended(desk):
    busy(desk)
    desk.answered(1, spent=False)
    assert desk.tick() == []
    assert desk.tick() == [Kill(1)]
    assert desk.gone(1) == []
    assert desk.workers == {2: WorkerState.BUSY}


def test_a_move_that_is_not_in_the_table_raises(desk):
    desk.ask(1, "a", 1)
    assert WorkerState.BUSY not in TRANSITIONS[WorkerState.STARTING]
    with pytest.raises(InvalidMove):
        desk._move(1, WorkerState.BUSY)


class Desks(RuleBasedStateMachine):
    """Any order of events: every call is answered once, and no bound is passed."""

    def __init__(self):
        super().__init__()
        self.desk = Desk(workers=2, most=4, waiting=4, waiting_bytes=50)
        self.open: set[int] = set()
        self.names: dict[int, str] = {}
        self.at: dict[int, int] = {}
        self.killed: set[int] = set()
        self.tickets = 0

    def take(self, commands):
        for command in commands:
            match command:
                case Send(worker, ticket):
                    assert ticket in self.open
                    assert worker not in self.at
                    self.at[worker] = ticket
                case Fail(ticket, _):
                    self.open.remove(ticket)
                case Kill(worker):
                    self.killed.add(worker)
                case _:
                    assert isinstance(command, Start)

    @rule(namespace=st.sampled_from("abc"), size=st.integers(0, 30))
    def ask(self, namespace, size):
        self.tickets += 1
        self.open.add(self.tickets)
        self.names[self.tickets] = namespace
        self.take(self.desk.ask(self.tickets, namespace, size))

    @precondition(lambda self: WorkerState.STARTING in self.desk.workers.values())
    @rule()
    def start(self):
        self.take(self.desk.started(self.one(WorkerState.STARTING)))

    @precondition(lambda self: WorkerState.BUSY in self.desk.workers.values())
    @rule(spent=st.booleans())
    def answer(self, spent):
        worker = self.one(WorkerState.BUSY)
        self.open.remove(self.at.pop(worker))
        self.take(self.desk.answered(worker, spent=spent))

    @precondition(lambda self: self.desk.workers)
    @rule(data=st.data())
    def lose(self, data):
        worker = data.draw(st.sampled_from(sorted(self.desk.workers)))
        self.at.pop(worker, None)
        self.take(self.desk.gone(worker))

    @precondition(lambda self: WorkerState.BUSY in self.desk.workers.values())
    @rule()
    def expire(self):
        self.take(self.desk.overdue(self.one(WorkerState.BUSY)))

    @rule()
    def tick(self):
        self.take(self.desk.tick())

    @rule()
    def look(self):
        self.take(self.desk.look())

    @rule(data=st.data())
    def withdraw(self, data):
        waiting = sorted(self.open - set(self.at.values()))
        if waiting:
            ticket = data.draw(st.sampled_from(waiting))
            self.desk.withdraw(ticket)
            self.open.remove(ticket)

    def one(self, state):
        return next(worker for worker, its in self.desk.workers.items() if its is state)

    @invariant()
    def every_call_is_waiting_or_with_a_worker(self):
        assert self.desk.waiting == len(self.open - set(self.at.values()))
        assert len(self.desk.workers) <= 4
        assert self.desk.waiting <= 4
        assert self.desk.waiting_bytes <= 50

    @invariant()
    def nobody_waits_beside_an_idle_worker_but_who_has_its_share(self):
        if WorkerState.IDLE in self.desk.workers.values():
            held = Counter(self.names[ticket] for ticket in self.at.values())
            waiting = self.open - set(self.at.values())
            assert all(held[self.names[ticket]] == 2 for ticket in waiting)

    @invariant()
    def nobody_has_more_than_its_share(self):
        held = Counter(self.names[ticket] for ticket in self.at.values())
        assert all(count <= 2 for count in held.values())


TestDesks = Desks.TestCase
