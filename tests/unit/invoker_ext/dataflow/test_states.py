"""The transition table, and the checks that tests lean on."""

from __future__ import annotations

import pytest

from invoker_ext.dataflow.events import Outcome
from invoker_ext.dataflow.invariants import check
from invoker_ext.dataflow.keys import Firing
from invoker_ext.dataflow.matching import Memory
from invoker_ext.dataflow.release import Ledger
from invoker_ext.dataflow.states import TERMINAL, TRANSITIONS, InvalidTransition, State, Transition
from tests.support.graphs import graph, step, value
from tests.support.machine_play import Play, named


def test_every_state_has_a_row_and_can_be_reached():
    assert set(TRANSITIONS) == set(State)
    reached = {State.WAITING}.union(*TRANSITIONS.values())
    assert reached == set(State)


def test_the_terminal_states_are_those_that_nothing_follows():
    assert {State.DONE, State.FAILED, State.SKIPPED, State.DROPPED} == TERMINAL


def test_a_firing_is_written_with_its_indices():
    assert str(Firing("count", (1, 2))) == "count[1][2]"
    assert named("count[1][2]") == Firing("count", (1, 2))


def test_a_transition_is_told_in_one_line():
    told = str(Transition(1.5, State.WAITING, State.RUNNING, "matched"))

    assert told == "1.500000 waiting -> running (matched)"
    assert "a[1]: done -> running; " + told in str(
        InvalidTransition(
            Firing("a", (1,)), "done", "running", [Transition(1.5, State.WAITING, State.RUNNING, "matched")]
        )
    )


def test_a_move_that_is_not_in_the_table_is_refused():
    play = Play(graph(step("a"), result=value("a")))
    entry = play.machine._memory.entries[named("a")]

    with pytest.raises(InvalidTransition, match="running -> skipped"):
        play.machine._attempts.move(entry, State.SKIPPED, "test")
    result = play.machine._memory.entries[named("$result")]
    with pytest.raises(InvalidTransition, match=r"\$result: waiting -> executed"):
        play.machine._attempts._retries(result, Outcome.APPLICATION_ERROR)


def test_a_wrong_count_is_found():
    ledger = Ledger()

    with pytest.raises(AssertionError, match="active counts"):
        check(Memory(ledger, []), ledger, active=1, ended=False)
