"""What is lost with a host and still needed is made again by its producer; everything else stands."""

from __future__ import annotations

from typing import Any

import pytest

from invoker_ext.contract.graph import GraphKind
from invoker_ext.dataflow.events import DeadlineReached, How, Outcome, Squeezed
from invoker_ext.dataflow.lineage import REPEATS
from invoker_ext.dataflow.states import State
from tests.support.graphs import each, first_of, gather, graph, step, stream, value
from tests.support.machine_play import Play


def chain(**more: Any) -> Any:
    """a → b → c, each with one output."""
    return graph(
        step("a", inputs={"p": value("$run.p")}, **more),
        step("b", inputs={"x": value("a.x")}, **more),
        step("c", inputs={"y": value("b.y")}, **more),
        result=value("c.z"),
    )


def at_c(play: Play) -> Play:
    """Bring a chain to the point where c runs."""
    play.returns("a", x=1)
    play.returns("b", y=2)
    return play


def test_what_is_lost_before_its_reader_fires_is_made_again_from_inputs_that_are_still_there():
    made = graph(
        step("a", inputs={"p": value("$run.p")}),
        step("b", inputs={"x": value("a.x")}),
        step("other"),
        step("c", inputs={"y": value("b.y"), "o": value("other.o")}),
        result=value("c.z"),
    )
    play = Play(made, spans=True, p=0)
    at_c(play)

    play.loses_data("b.y")
    play.returns("other", o=5)
    assert play.fired == ["other", "a", "b", "b"]
    assert play.inputs("b") == {"x": 1}
    assert play.state("c") is State.RECOVERING

    play.returns("b", y=2)
    assert play.inputs("c") == {"y": 2, "o": 5}
    play.returns("c", z=3)
    assert play.result == {"": 3}
    assert play.leaves_nothing()


def test_a_reader_that_runs_has_what_it_reads_and_nothing_is_made_again_for_it():
    play = at_c(Play(chain(), spans=True, p=0))

    play.loses_data("b.y")
    play.returns("c", z=3)

    assert play.fired == ["a", "b", "c"]
    assert play.result == {"": 3}
    assert play.leaves_nothing()


def test_a_reader_that_dies_waits_until_what_it_reads_was_made_again():
    play = at_c(Play(chain(), spans=True, p=0))

    play.loses_data("b.y")
    play.loses("c")
    assert play.fired == ["a", "b", "c", "b"]
    play.returns("b", y=2)
    assert play.fired == ["a", "b", "c", "b", "c"]
    play.returns("c", z=3)

    assert play.result == {"": 3}
    assert play.leaves_nothing()


@pytest.mark.parametrize("dies", [False, True])
def test_nothing_that_a_failed_attempt_returned_counts_while_its_inputs_are_made_again(dies: bool):
    play = Play(chain(attempts=2), spans=True, p=0)
    play.returns("a", x=1)
    play.loses_data("a.x")
    play.reports("b", Outcome.APPLICATION_ERROR, "boom")
    assert play.state("b") is State.RECOVERING

    play.commits("b", "y", "of the failed attempt", how=How.FIELD)
    if dies:
        play.loses("b")
    else:
        play.drains("b")
    play.returns("a", x=1)
    assert play.fired == ["a", "b", "a", "b"]
    play.returns("b", y=2)

    assert play.inputs("c") == {"y": 2}
    play.returns("c", z=3)
    assert play.leaves_nothing()


def test_what_a_firing_read_stays_until_what_it_made_is_consumed():
    play = Play(chain(), spans=True, p=0)
    play.returns("a", x=1)
    play.returns("b", y=2)
    assert 1 not in play.released

    play.returns("c", z=3)

    assert 1 in play.released


def test_inputs_that_were_let_go_of_are_made_again_up_to_the_parameters_of_the_run():
    play = at_c(Play(chain(), spans=True, p=7))
    play.give(Squeezed(3.0))
    assert 1 in play.released

    play.loses_data("b.y")
    play.loses("c")
    assert play.fired[3:] == ["a"]
    assert play.inputs("a") == {"p": 7}
    play.returns("a", x=1)
    assert play.fired[3:] == ["a", "b"]
    play.returns("b", y=2)
    play.returns("c", z=3)

    assert play.fired[3:] == ["a", "b", "c"]
    assert play.result == {"": 3}
    assert play.leaves_nothing()


def test_inputs_that_are_lost_too_are_made_again_first():
    play = at_c(Play(chain(), spans=True, p=7))

    play.loses_data("a.x", "b.y")
    play.loses("c")

    assert play.fired[3:] == ["a"]
    play.returns("a", x=1)
    play.returns("b", y=2)
    play.returns("c", z=3)
    assert play.result == {"": 3}
    assert play.leaves_nothing()


def test_each_reader_sees_each_datum_once_though_its_producer_ran_twice():
    made = graph(
        step("a"),
        step("b", scope=("a",), inputs={"x": each("a.items")}),
        step("c", inputs={"ys": gather("b.y")}),
        result=value("c.n"),
    )
    play = Play(made, spans=True)
    play.commits("a", "items", 1, 2, 3)
    play.reports("a", Outcome.SUCCESS)
    play.drains("a")
    play.returns("b[0]", y=10)
    play.returns("b[1]", y=20)

    play.loses_data("b[0].y", "a.items/0", "a.items/1")
    play.returns("b[2]", y=30)
    assert play.fired == ["a", "b[0]", "b[1]", "b[2]", "a"]  # b[0] waits for its item; b[1]'s output is there
    play.commits("a", "items", 1, 2, 3)
    assert play.fired[5:] == ["b[0]"]
    play.reports("a", Outcome.SUCCESS)
    play.drains("a")
    play.returns("b[0]", y=10)

    assert play.inputs("c") == {"ys": [10, 20, 30]}
    play.returns("c", n=3)
    assert play.leaves_nothing()


def test_a_producer_that_makes_another_number_of_items_when_it_is_executed_again_fails_the_run():
    made = graph(step("a"), step("o"), step("b", inputs={"x": gather_all(), "o": value("o.v")}), result=value("b.y"))
    play = Play(made, spans=True)
    play.commits("a", "items", 1, 2)
    play.reports("a", Outcome.SUCCESS)
    play.drains("a")
    play.loses_data("a.items/1")
    play.returns("o", v=1)

    play.commits("a", "items", 1)
    play.reports("a", Outcome.SUCCESS)

    assert play.failure[0] is Outcome.DEVELOPER_ERROR
    assert "1 item after the step was repeated" in play.failure[1]
    play.drains("a")
    assert play.leaves_nothing()


def gather_all() -> Any:
    """All items of `a` as a list."""
    return gather("a.items")


@pytest.mark.parametrize("more", [{"at_most_once": True}])
def test_a_step_that_must_not_begin_twice_is_not_executed_again_and_the_run_says_so(more):
    play = Play(
        graph(
            step("a", **more), step("o"), step("b", inputs={"x": value("a.x"), "o": value("o.v")}), result=value("b.y")
        ),
        spans=True,
    )
    play.returns("a", x=1)
    play.loses_data("a.x")

    play.returns("o", v=1)

    assert play.failure[0] is Outcome.PLATFORM_ERROR
    assert "was lost with the host that held it" in play.failure[1]
    assert play.leaves_nothing()


def test_data_that_are_lost_again_and_again_fail_the_run():
    play = Play(
        graph(step("a"), step("o"), step("b", inputs={"x": value("a.x"), "o": value("o.v")}), result=value("b.y")),
        spans=True,
    )
    play.returns("a", x=1)
    play.loses_data("a.x")
    play.returns("o", v=1)
    for _ in range(REPEATS - 1):
        play.loses("a")
    assert play.end is None

    play.loses("a")

    assert "was lost with the host" in play.failure[1]


def test_a_failure_of_a_step_that_is_executed_again_fails_the_run_handled_or_not():
    made = graph(
        step("a"),
        step("o"),
        step("b", inputs={"x": first_of(value("a.x"), value("a.$error")), "o": value("o.v")}),
        result=value("b.y"),
    )
    play = Play(made, spans=True)
    play.returns("a", x=1)
    play.loses_data("a.x")
    play.returns("o", v=1)

    play.fails("a", "boom")

    assert play.failure == (Outcome.APPLICATION_ERROR, "boom")


def test_the_result_of_the_run_is_made_again_if_it_is_lost_while_other_steps_run():
    play = Play(graph(step("a"), step("late"), result=value("a.x")), spans=True)
    play.returns("a", x=1)
    play.loses_data("a.x")

    play.returns("late")
    assert play.end is None
    assert play.fired == ["a", "late", "a"]
    play.returns("a", x=1)

    assert play.result == {"": 1}
    assert play.leaves_nothing()


def test_a_condition_is_asked_again_when_what_it_is_about_was_made_again():
    made = graph(step("a"), step("b", inputs={"x": value("a.x", when="value")}), result=value("b.y"))
    play = Play(made, spans=True)
    play.returns("a", x=1)
    assert [one.value.gone for one in play.questions] == [False]

    play.loses_data("a.x")
    assert play.fired == ["a", "a"]
    play.returns("a", x=1)
    assert [one.value.gone for one in play.questions] == [True, False]
    play.answers(holds=True)

    assert play.inputs("b") == {"x": 1}
    play.returns("b", y=2)
    assert play.leaves_nothing()


def test_a_reader_of_a_stream_that_dies_reads_from_the_start_once_all_of_it_is_there_again():
    made = graph(step("a"), step("b", inputs={"s": stream("a.s")}), result=value("b.n"))
    play = Play(made, spans=True)
    play.commits("a", "s", "x", "y", how=How.CHUNK)
    play.reports("a", Outcome.SUCCESS)
    play.drains("a")

    play.loses_data("a.s/0")
    play.loses("b")
    assert play.fired == ["a", "b", "a"]
    play.commits("a", "s", "x", how=How.CHUNK)

    assert play.fired == ["a", "b", "a", "b"]
    assert play.fed() == ["x", "y", None]
    play.commits("a", "s", "y", how=How.CHUNK, start=1)
    play.reports("a", Outcome.SUCCESS)
    play.drains("a")
    play.returns("b", n=2)
    assert play.leaves_nothing()


def test_a_run_on_one_host_keeps_nothing_and_a_loss_that_is_told_changes_nothing():
    play = Play(chain(), p=0)
    play.returns("a", x=1)
    play.returns("b", y=2)
    assert 1 in play.released

    play.loses_data("b.y")
    play.returns("c", z=3)

    assert play.result == {"": 3}
    assert play.leaves_nothing()


def test_of_a_sequence_nothing_is_executed_again():
    made = graph(
        step("a", inputs={"": value("$run")}, at_most_once=True),
        step("b", inputs={"": value("a")}, at_most_once=True),
        result=value("b"),
        kind=GraphKind.SEQUENCE,
    )
    play = Play(made, spans=True)
    play.returns("a", {"x": 1})

    play.loses("b")

    assert play.failure[0] is Outcome.DEVELOPER_ERROR
    assert play.fired == ["a", "b"]


def far() -> Play:
    """Bring a chain to the point where its result is on another host."""
    play = at_c(Play(chain(), spans=True, p=0))
    play.far = True
    play.returns("c", z=3)
    return play


def test_the_run_ends_when_its_result_is_here():
    play = far()
    assert [one.value for one in play.asked] == [3]
    assert play.end is None

    play.drains("c")
    assert len(play.asked) == 1
    play.brings()

    assert play.result == {"": 3}
    assert play.leaves_nothing()


def test_a_result_that_is_lost_on_its_way_here_is_made_again_and_brought():
    play = far()

    play.loses_data("c.z")
    assert play.fired == ["a", "b", "c", "c"]
    play.brings("its host is gone")
    assert play.end is None
    play.returns("c", z=3)
    assert len(play.asked) == 1
    play.brings()

    assert play.result == {"": 3}
    assert play.leaves_nothing()


def test_a_result_that_was_made_again_before_the_news_that_it_could_not_be_had_is_asked_for_again():
    play = far()

    play.loses_data("c.z")
    play.returns("c", z=3)
    assert play.end is None
    play.brings("its host is gone")
    assert len(play.asked) == 1
    play.brings()

    assert play.result == {"": 3}


def test_a_result_that_is_not_lost_and_cannot_be_had_fails_the_run():
    play = far()

    play.brings("no room")

    assert play.failure == (Outcome.PLATFORM_ERROR, "The result cannot be had: no room")
    assert play.leaves_nothing()


def test_what_a_run_that_was_stopped_had_asked_for_is_nothing_to_it():
    play = far()

    play.give(DeadlineReached(4.0))
    play.brings()

    assert play.failure[0] is Outcome.DEVELOPER_ERROR
    assert play.leaves_nothing()
