"""Stream edges: handed over with the first part, fed while the producer still writes."""

from __future__ import annotations

import pytest

from invoker_ext.dataflow.commands import Feed, FeedEnd, Streamed
from invoker_ext.dataflow.events import How, Outcome
from invoker_ext.dataflow.sentences import STREAM_STOPPED
from invoker_ext.dataflow.states import State
from tests.support.graphs import each, gather, graph, step, stream, value
from tests.support.machine_play import Play


def pipe(**more):
    return graph(step("a", **more), step("b", inputs={"in": stream("a.out")}), result=value("b"))


@pytest.mark.parametrize("how", [How.CHUNK, How.EMIT])
def test_a_stream_fires_its_consumer_with_the_first_part_and_feeds_the_others(how):
    play = Play(pipe())

    play.commits("a", "out", "one", how=how)
    assert play.fired == ["a", "b"]
    assert isinstance(play.dispatches["b"].inputs[0].value, Streamed)
    assert play.fed() == ["one"]
    play.commits("a", "out", "two", how=how, start=1)
    assert play.fed() == ["two"]
    play.reports("a", Outcome.SUCCESS)
    assert play.fed() == [None]


def test_parts_are_fed_in_their_order():
    play = Play(pipe())

    play.commits("a", "out", "two", how=How.CHUNK, start=1)
    assert play.fired == ["a"]
    play.commits("a", "out", "one", how=How.CHUNK)

    assert play.fed() == ["one", "two"]


def test_a_stream_ends_with_the_last_part_that_was_counted():
    play = Play(pipe())
    play.commits("a", "out", "one", how=How.CHUNK)
    play.reports("a", Outcome.SUCCESS, counts={"out": (How.CHUNK, 2)})
    assert play.fed() == []

    play.commits("a", "out", "two", how=How.CHUNK, start=1)

    assert play.fed() == ["two", None]


def test_a_stream_of_a_returned_field_has_one_part():
    play = Play(pipe())

    play.returns("a", out="all")

    assert play.fired == ["a", "b"]


def test_a_stream_of_a_returned_list_has_its_elements_as_parts():
    play = Play(pipe())

    play.returns("a", drain=False, out=[1, 2])

    assert play.fed() == [1, 2, None]


def test_an_empty_stream_is_handed_over_and_ends():
    play = Play(pipe())

    play.reports("a", Outcome.SUCCESS, counts={"out": (How.CHUNK, 0)})

    assert play.fired == ["a", "b"]
    assert play.fed() == [None]


def test_a_stream_that_was_never_opened_fails_the_run():
    play = Play(pipe())

    play.returns("a")

    assert play.failure[1] == "step 'a' ended without producing the output 'out', which step 'b' needs"


def test_an_optional_stream_that_was_never_opened_is_left_out():
    play = Play(graph(step("a"), step("b", inputs={"in": stream("a.out", optional=True)}), result=value("b")))

    play.returns("a")

    assert play.inputs("b") == {}


def test_a_consumer_that_waits_for_something_else_gets_all_parts_when_it_fires():
    made = graph(step("a"), step("x"), step("b", inputs={"in": stream("a.out"), "v": value("x.v")}), result=value("b"))
    play = Play(made)
    play.commits("a", "out", 1, 2)
    play.returns("a")

    play.commits("x", "v", 3)

    assert play.fed() == [1, 2, None]


def test_a_consumer_that_returned_early_is_fed_no_more_and_the_parts_go_when_it_drained():
    play = Play(pipe())
    play.commits("a", "out", "one", how=How.CHUNK)
    play.returns("b")
    assert play.released == ["one"]

    play.commits("a", "out", "two", how=How.CHUNK, start=1)

    assert play.fed() == []
    assert play.released == ["one", "two"]
    play.reports("a", Outcome.SUCCESS)
    assert play.fed() == []
    play.drains("a")
    assert play.result == {"": {}}
    assert play.leaves_nothing()


def test_a_consumer_that_is_executed_again_reads_the_stream_from_the_start():
    play = Play(pipe())
    play.commits("a", "out", "one", "two", how=How.CHUNK)

    play.loses("b")

    assert play.fired == ["a", "b", "b"]
    assert play.fed() == ["one", "two"]
    play.reports("a", Outcome.SUCCESS)
    assert play.fed() == [None]


def test_a_stream_whose_producer_fails_unhandled_breaks_off_with_the_run():
    play = Play(pipe())
    play.commits("a", "out", "one", how=How.CHUNK)

    play.fails("a")

    assert play.failure == (Outcome.APPLICATION_ERROR, "boom")
    assert not play.machine.idle
    play.fails("b", "stream broke off")
    assert play.leaves_nothing()


def test_the_end_of_a_run_ends_the_streams_of_running_firings():
    play = Play(pipe())
    play.commits("a", "out", "one", how=How.CHUNK)

    play.reports("a", Outcome.APPLICATION_ERROR, "boom")

    kinds = [type(one).__name__ for one in play.commands]
    assert kinds == ["FeedEnd", "End"]
    assert play.of(FeedEnd)[0].error == STREAM_STOPPED


def test_a_stream_that_is_complete_is_not_ended_again_with_the_run():
    made = graph(step("a"), step("x"), step("b", inputs={"in": stream("a.out")}), result=value("b"))
    play = Play(made)
    play.returns("a", out="all")

    play.fails("x")

    assert play.fed() == []
    play.returns("b")
    assert play.leaves_nothing()


def guarded():
    return graph(
        step("a"),
        step("b", inputs={"in": stream("a.out", optional=True)}),
        step("h", inputs={"e": value("a.$error")}),
        result={"b": value("b"), "h": value("h.z", optional=True)},
    )


def test_a_stream_does_not_wait_for_the_success_of_a_step_whose_failure_is_handled():
    play = Play(guarded())

    play.commits("a", "out", 1)

    assert play.fired == ["a", "b"]
    assert play.fed() == [1]


def test_a_stream_whose_producer_fails_breaks_off_with_an_error():
    play = Play(guarded())
    play.commits("a", "out", 1, 2)

    play.fails("a", "why")

    assert play.state("a") is State.FAILED
    assert play.end is None
    play.returns("b", whole={"read": 2})
    play.returns("h", z="handled")
    assert play.result == {"b": {"read": 2}, "h": "handled"}
    assert play.leaves_nothing()


def test_a_broken_stream_ends_after_the_last_part_that_was_counted():
    play = Play(guarded())
    play.commits("a", "out", 1)
    play.reports("a", Outcome.APPLICATION_ERROR, "why", counts={"out": (How.EMIT, 2)})
    assert play.fed() == []

    play.commits("a", "out", 2, start=1)

    assert play.fed() == [2, "step 'a' failed"]


def test_a_broken_stream_whose_parts_never_come_ends_when_the_producer_drained():
    play = Play(guarded())
    play.commits("a", "out", 1)
    play.reports("a", Outcome.APPLICATION_ERROR, "why", counts={"out": (How.EMIT, 3)})
    play.commits("a", "out", 3, start=2)
    assert play.fed() == []

    play.drains("a")

    assert play.fed() == ["step 'a' failed"]


def test_a_broken_stream_of_another_form_is_no_fault_of_the_run():
    play = Play(guarded())
    play.commits("a", "out", 1)
    play.reports("a", Outcome.APPLICATION_ERROR, "why", counts={"out": (How.EMIT, 2)})

    play.commits("a", "out", "odd", how=How.CHUNK, start=1)

    assert play.released == ["odd"]
    assert play.end is None


def test_a_stream_whose_producer_failed_before_the_first_part_is_dead():
    play = Play(guarded())

    play.fails("a", "why")

    assert play.inputs("b") == {}
    assert play.inputs("h") == {"e": "why"}


def test_a_lost_producer_of_a_handled_stream_breaks_it_off():
    play = Play(guarded())
    play.commits("a", "out", 1)
    play.loses("a")

    play.loses("a")

    assert play.fed()[0] == "step 'a' failed"


def test_a_stream_from_outside_is_read_by_every_item():
    made = graph(
        step("s"),
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x"), "in": stream("s.out")}),
        result={"ys": gather("i.y")},
    )
    play = Play(made)
    play.commits("s", "out", "p")
    play.commits("a", "x", 0)
    assert play.fed() == ["p"]

    play.commits("s", "out", "q", start=1)
    assert [(str(one.firing), one.datum.value) for one in play.of(Feed)] == [("i[0]", "q")]
    play.commits("a", "x", 1, start=1)
    assert play.fed() == ["p", "q"]
    play.reports("s", Outcome.SUCCESS)
    assert [str(one.firing) for one in play.of(FeedEnd)] == ["i[0]", "i[1]"]
    play.drains("s")
    play.returns("a")
    assert not {"p", "q"} & {str(one) for one in play.released}
    play.returns("i[1]", y=1)
    play.returns("i[0]", y=0)
    assert play.result == {"ys": [0, 1]}
    assert play.leaves_nothing()


def test_parts_of_a_stream_from_outside_go_at_once_when_no_item_reads_them():
    made = graph(
        step("s"),
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x"), "in": stream("s.out")}),
        result={"ys": gather("i.y")},
    )
    play = Play(made)
    play.returns("a", x=[])

    play.commits("s", "out", "p", "q")

    assert play.released[-2:] == ["p", "q"]


def test_a_stream_of_a_parameter_of_the_run():
    made = graph(step("a", inputs={"in": stream("$run.xs")}), result=value("a"))

    assert Play(made, xs=[1, 2]).fed() == [1, 2, None]
    assert Play(made, xs="one").fed() == ["one", None]
