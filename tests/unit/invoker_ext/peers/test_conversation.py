"""Messages across breaks: none lost, none twice, all in order, unless the other side was forgotten."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from action_runtime.wire.errors import ProtocolViolation
from invoker_ext.peers.conversation import Conversation, read_opening
from invoker_ext.peers.errors import QueueFull


def met(most_messages=100, most_bytes=10_000) -> tuple[Conversation, Conversation]:
    one, two = Conversation("a", most_messages, most_bytes), Conversation("b", most_messages, most_bytes)
    first, second = one.opening(), two.opening()
    assert one.meet(second) == []
    assert two.meet(first) == []
    return one, two


def test_what_was_said_before_the_first_meeting_is_sent_with_it():
    one, two = Conversation("a", 9, 99), Conversation("b", 9, 99)
    one.say(b"early")
    opening = one.opening()

    assert one.meet(two.opening()) == [b"early"]
    assert two.meet(opening) == []


def test_after_a_break_only_what_was_not_taken_is_sent_again():
    one, two = met()
    for text in (b"1", b"2", b"3"):
        one.say(text)
    two.take(1)
    first, second = one.opening(), two.opening()

    assert one.resumes(second)
    assert two.resumes(first)
    assert one.meet(second) == [b"2", b"3"]
    assert two.meet(first) == []


def test_what_is_confirmed_is_let_go_of_and_what_was_never_said_cannot_be():
    one, _ = met()
    one.say(b"1")
    one.say(b"2")
    one.confirmed(1)
    assert one.waiting == 1
    for count in (0, 3, "2", None):
        with pytest.raises(ProtocolViolation):
            one.confirmed(count)


def test_a_side_that_was_renewed_is_not_resumed_by_either():
    one, two = met()
    one.say(b"lost")
    one.renew("c")
    one.say(b"kept")
    first, second = one.opening(), two.opening()

    assert not one.resumes(second)
    assert not two.resumes(first)
    assert not one.met
    assert two.met
    two.forget()
    assert one.meet(second) == [b"kept"]
    assert two.meet(first) == []


def test_an_opening_that_tells_of_more_than_was_said_is_a_new_beginning():
    one, _ = met()
    assert not one.resumes({"life": "b", "knows": "a", "taken": 1})


def test_it_is_time_to_confirm_after_many_messages_or_many_bytes():
    _, two = met()
    assert [two.take(0) for _ in range(64)].index(True) == 63
    assert two.confirm() == 64
    assert not two.take(0)
    assert two.take(300_000)


@pytest.mark.parametrize(("messages", "size_bytes"), [(2, 100), (100, 20)])
def test_what_waits_is_bounded_in_count_and_bytes(messages, size_bytes):
    one = Conversation("a", messages, size_bytes)
    one.say(b"0123456789")
    one.say(b"0123456789")
    with pytest.raises(QueueFull):
        one.say(b"0")


@pytest.mark.parametrize(
    "meta",
    [{}, {"life": 1, "knows": None, "taken": 0}, {"life": "a", "knows": 1, "taken": 0}]
    + [{"life": "a", "knows": None, "taken": taken} for taken in (-1, "0", None, True)],
)
def test_an_opening_that_is_malformed_is_refused(meta):
    with pytest.raises(ProtocolViolation):
        read_opening(meta)


class Talk(RuleBasedStateMachine):
    """Two sides over connections that break at any moment, also between the two halves of a meeting."""

    @initialize()
    def begin(self) -> None:
        self.lives = 0
        self.sides = [Conversation("0a", 10_000, 10_000_000), Conversation("0b", 10_000, 10_000_000)]
        self.said: list[list[int]] = [[], []]  # and not told to be lost
        self.got: list[list[int]] = [[], []]  # from the other side, in all lives
        self.flow: list[deque[bytes]] | None = None  # to each side, on the connection
        self.count = 0

    @rule(side=st.integers(0, 1))
    def say(self, side: int) -> None:
        self.count += 1
        message = b"%d" % self.count
        self.sides[side].say(message)
        self.said[side].append(self.count)
        if self.flow is not None:
            self.flow[1 - side].append(message)

    @precondition(lambda self: self.flow is not None)
    @rule(side=st.integers(0, 1), confirm=st.booleans())
    def take(self, side: int, confirm: bool) -> None:
        assert self.flow is not None
        if self.flow[side]:
            message = self.flow[side].popleft()
            self.sides[side].take(len(message))
            self.got[side].append(int(message))
            if confirm:
                self.sides[1 - side].confirmed(self.sides[side].confirm())

    @precondition(lambda self: self.flow is not None)
    @rule()
    def cut(self) -> None:
        self.flow = None

    @precondition(lambda self: self.flow is None)
    @rule(reached=st.sampled_from([(True, True), (True, False), (False, True), (False, False)]))
    def meet(self, reached: tuple[bool, bool]) -> None:
        """Both tell; the connection may break before one or both have heard."""
        openings = [read_opening(side.opening()) for side in self.sides]
        flow: list[deque[bytes]] = [deque(), deque()]
        for number, side in enumerate(self.sides):
            if not reached[number]:
                continue
            opening = openings[1 - number]
            if side.met and not side.resumes(opening):
                side.forget()
                self.said[number].clear()
            flow[1 - number].extend(side.meet(opening))
        if all(reached):
            self.flow = flow

    @precondition(lambda self: self.flow is None)
    @rule(side=st.integers(0, 1))
    def lose(self, side: int) -> None:
        self.lives += 1
        self.sides[side].renew(f"{self.lives}{'ab'[side]}")
        self.said[side].clear()

    @invariant()
    def nothing_is_got_twice_or_out_of_order(self) -> None:
        for got in self.got:
            assert got == sorted(set(got))

    @invariant()
    def on_a_connection_all_that_was_said_is_there_or_on_its_way(self) -> None:
        if self.flow is not None:
            for side in (0, 1):
                coming = [int(message) for message in self.flow[1 - side]]
                assert set(self.said[side]) <= {*self.got[1 - side], *coming}


TestTalk = Talk.TestCase
