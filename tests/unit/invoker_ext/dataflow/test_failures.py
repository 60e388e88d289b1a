"""Failure, retries, losses and the end of a run."""

from __future__ import annotations

import pytest

from invoker_ext.contract.graph import Fault, GraphKind
from invoker_ext.dataflow.attempts import MISSES
from invoker_ext.dataflow.commands import Constant, Dispatch, Retry
from invoker_ext.dataflow.events import (
    Began,
    Cancelled,
    Committed,
    DeadlineReached,
    Evaluated,
    How,
    Lost,
    Outcome,
    PlatformFailed,
    RetryDue,
    Returned,
)  # fmt: skip
from invoker_ext.dataflow.keys import DataKey
from invoker_ext.dataflow.sentences import DIED, UNDELIVERED
from invoker_ext.dataflow.states import InvalidTransition, State
from tests.support.graphs import each, first_of, gather, graph, step, value
from tests.support.machine_play import Play, named

APPLICATION, DEVELOPER, PLATFORM = Outcome.APPLICATION_ERROR, Outcome.DEVELOPER_ERROR, Outcome.PLATFORM_ERROR


def chain(**more):
    return graph(step("a", **more), step("b", inputs={"": value("a")}), result=value("b"))


# -- unhandled ---------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [APPLICATION, DEVELOPER, PLATFORM])
def test_an_unhandled_failure_fails_the_run_with_its_outcome_and_error(outcome):
    play = Play(chain())

    play.fails("a", {"why": 1}, outcome)

    assert play.failure == (outcome, {"why": 1})
    assert play.end.failed == named("a")
    assert [datum.value for datum in play.end.data] == [{"why": 1}]
    assert play.leaves_nothing()


def test_a_failure_without_an_error_value_says_which_step_failed():
    play = Play(chain())

    play.reports("a", DEVELOPER)

    assert play.failure == (DEVELOPER, "step 'a' failed")


def test_after_a_failure_nothing_new_fires_and_running_firings_finish_with_their_outputs_dropped():
    made = graph(step("a"), step("b"), step("c", inputs={"": value("b")}), result=value("c"))
    play = Play(made)
    play.fails("a")
    assert not play.machine.idle
    assert play.machine.ended

    play.returns("b", x=1)

    assert play.fired == ["a", "b"]
    assert (play.state("a"), play.state("b"), play.state("c")) == (State.FAILED, State.DONE, State.DROPPED)
    assert play.leaves_nothing()


def test_a_firing_that_fails_after_the_end_of_the_run_is_over_as_well():
    play = Play(graph(step("a"), step("b"), result=value("a")))
    play.fails("a")

    play.fails("b", "late")

    assert play.failure[1] == "boom"
    assert play.leaves_nothing()


def test_a_firing_that_is_lost_after_the_end_is_not_executed_again():
    play = Play(graph(step("a"), step("b"), result=value("a")))
    play.fails("a")

    play.loses("b")

    assert play.fired == ["a", "b"]
    assert play.state("b") is State.FAILED
    assert play.leaves_nothing()


def test_inputs_of_a_running_firing_outlive_the_end_of_the_run():
    made = graph(
        step("a"), step("i", scope=("a",), inputs={"x": each("a.x"), "p": value("$run.p")}), result={"r": gather("i.r")}
    )
    play = Play(made, p="param")
    play.commits("a", "x", "item")
    play.fails("a")
    assert play.released == []

    play.returns("i[0]")

    assert set(play.released[-2:]) == {"item", "param"}
    assert play.leaves_nothing()


# -- handled -----------------------------------------------------------------------------------


def handled():
    return graph(
        step("a"),
        step("b", inputs={"x": value("a.x")}),
        step("h", inputs={"e": value("a.$error")}),
        result={"r": first_of(value("b.r"), value("h.r"))},
    )


def test_an_error_edge_is_live_if_the_step_failed_and_its_other_outputs_are_dead():
    play = Play(handled())
    play.commits("a", "x", 1)

    play.fails("a", "why")

    assert play.inputs("h") == {"e": "why"}
    assert play.state("b") is State.SKIPPED
    play.returns("h", r=2)
    assert play.result == {"r": 2}
    assert play.leaves_nothing()


def test_an_error_edge_is_dead_if_the_step_did_not_fail():
    play = Play(handled())

    play.returns("a", x=1)

    assert play.fired == ["a", "b"]
    assert play.state("h") is State.SKIPPED


def test_outputs_of_a_step_whose_failure_is_handled_are_kept_back_until_it_succeeded():
    play = Play(handled())

    play.commits("a", "x", 1)
    assert play.fired == ["a"]
    play.returns("a")

    assert play.fired == ["a", "b"]


def test_the_error_edge_of_a_skipped_step_is_dead():
    made = graph(
        step("a"),
        step("b", inputs={"x": value("a.x", when="no")}),
        step("h", inputs={"e": value("b.$error")}),
        result={"r": value("h.r", optional=True)},
    )
    play = Play(made)
    play.commits("a", "x", 1)
    play.answers(False)

    assert play.state("h") is State.SKIPPED


def test_a_handled_failure_without_an_error_value_carries_a_sentence():
    play = Play(handled())

    play.reports("a", DEVELOPER)

    assert play.dispatches["h"].inputs[0].value == Constant("\"step 'a' failed\"")


def test_below_an_each_errors_are_per_item_and_gather_leaves_dead_items_out():
    made = graph(
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x")}),
        step("h", scope=("a",), inputs={"e": value("i.$error")}),
        result={"good": gather("i.y"), "bad": gather("h.z"), "errors": gather("i.$error")},
    )
    play = Play(made)
    play.returns("a", x=[0, 1, 2])
    play.fails("i[1]", "one is bad")
    play.returns("i[2]", y=2)
    play.returns("i[0]", y=0)
    assert play.fired[-1] == "h[1]"

    play.returns("h[1]", z="handled")

    assert play.result == {"good": [0, 2], "bad": ["handled"], "errors": ["one is bad"]}
    assert play.leaves_nothing()


def test_a_level_whose_step_failed_and_is_handled_has_no_items():
    made = graph(
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x")}),
        step("h", inputs={"e": value("a.$error")}),
        result={"ys": gather("i.y", optional=True), "list": gather("a.x", optional=True), "h": value("h.z")},
    )
    play = Play(made)
    play.commits("a", "x", 1, 2)
    play.fails("a")
    assert play.fired == ["a", "h"]

    play.returns("h", z=1)

    assert play.result == {"h": 1}
    assert play.leaves_nothing()


def test_data_of_a_handled_failure_that_come_late_are_released_at_once():
    play = Play(handled())
    play.reports("a", APPLICATION, "why")

    play.commits("a", "x", 1)

    assert play.released == [1]


# -- steps that can not run --------------------------------------------------------------------


def test_a_fault_fails_with_its_text_and_status_and_is_not_dispatched():
    made = graph(step("a"), step("f", inputs={"": value("a")}, call=Fault("no such action", 2)), result=value("f"))
    play = Play(made)

    play.returns("a")

    assert play.fired == ["a"]
    assert play.failure == (DEVELOPER, "no such action")
    assert play.end.failed == named("f")
    assert play.leaves_nothing()


def test_a_fault_can_be_handled():
    made = graph(step("f", call=Fault("no such action")), step("h", inputs={"e": value("f.$error")}), result=value("h"))

    assert Play(made).inputs("h") == {"e": "no such action"}


# -- retries -----------------------------------------------------------------------------------


def test_an_application_error_is_not_retried_unless_declared():
    play = Play(chain())

    play.fails("a")

    assert play.fired == ["a"]


def test_attempts_count_the_first_and_backoff_doubles():
    play = Play(chain(attempts=4, backoff_s=0.5))
    delays = []

    for attempt in (1, 2, 3):
        play.reports("a", APPLICATION, "boom")
        (retry,) = play.of(Retry)
        delays.append((retry.attempt, retry.delay_s))
        assert play.state("a") is State.BACKOFF
        play.drains("a", attempt)
        play.give(RetryDue(retry.firing, retry.attempt, 5.0))
    play.fails("a", "last")

    assert delays == [(2, 0.5), (3, 1.0), (4, 2.0)]
    assert play.failure == (APPLICATION, "last")
    assert play.leaves_nothing()


def test_without_backoff_the_next_attempt_follows_at_once():
    play = Play(chain(attempts=2))

    play.reports("a", APPLICATION, "boom")

    assert play.fired == ["a", "a"]
    assert play.released == ["boom"]


@pytest.mark.parametrize("outcome", [DEVELOPER, PLATFORM])
def test_a_retry_covers_application_errors_alone(outcome):
    play = Play(chain(attempts=3))

    play.fails("a", "boom", outcome)

    assert play.fired == ["a"]
    assert play.failure[0] is outcome


def test_a_step_that_runs_at_most_once_is_not_retried():
    play = Play(chain(attempts=3, at_most_once=True))

    play.fails("a")

    assert play.fired == ["a"]


def test_an_attempt_after_a_failed_one_fires_consumers_once():
    made = graph(
        step("a", attempts=2),
        step("i", scope=("a",), inputs={"x": each("a.x")}),
        result={"ys": gather("i.y")},
    )
    play = Play(made)
    play.commits("a", "x", "first")
    play.reports("a", APPLICATION, "boom")

    play.commits("a", "x", "first again", "second")
    play.returns("a")

    assert play.fired == ["a", "i[0]", "a", "i[1]"]
    assert play.inputs("i[0]") == {"x": "first"}
    assert play.released[:2] == ["boom", "first again"]


def test_what_a_failed_attempt_returned_counts_for_nothing():
    play = Play(chain(attempts=2))
    play.commits("a", "", {"error": 1, "x": "bad"}, how=How.WHOLE)
    play.reports("a", APPLICATION, "boom")
    assert {"error": 1, "x": "bad"} in play.released

    play.returns("a", whole={"x": "good"})

    assert play.inputs("b") == {"": {"x": "good"}}


def test_what_a_failed_attempt_returned_counts_for_nothing_even_if_it_comes_late():
    play = Play(chain(attempts=2, backoff_s=1.0))
    play.reports("a", APPLICATION, "boom")

    play.commits("a", "", {"late": 1}, how=How.WHOLE)

    assert play.released == ["boom", {"late": 1}]


def test_a_retry_that_yields_fewer_items_fails_the_run():
    made = graph(
        step("a", attempts=2), step("i", scope=("a",), inputs={"x": each("a.x")}), result={"ys": gather("i.y")}
    )
    play = Play(made)
    play.commits("a", "x", 1, 2, 3)
    play.reports("a", APPLICATION, "boom")
    play.commits("a", "x", 1)

    play.returns("a")

    assert play.failure == (
        DEVELOPER,
        "the output 'x' of step 'a' has 1 item after the step was repeated, but at least 3 were there before",
    )


def test_a_field_that_a_failed_attempt_returned_may_be_missing_in_the_next():
    made = graph(
        step("a", attempts=2), step("b", inputs={"x": value("a.x", optional=True), "": value("a")}), result=value("b")
    )
    play = Play(made)
    play.commits("a", "x", 1, how=How.FIELD)
    play.reports("a", APPLICATION, "boom")

    play.returns("a", y=2)

    assert play.inputs("b") == {"": {"y": 2}}


def test_a_retry_that_yields_no_items_any_more_fails_the_run():
    made = graph(
        step("a", attempts=2), step("i", scope=("a",), inputs={"x": each("a.x")}), result={"ys": gather("i.y")}
    )
    play = Play(made)
    play.commits("a", "x", 1)
    play.reports("a", APPLICATION, "boom")

    play.returns("a")

    assert "has 0 items after the step was repeated" in play.failure[1]


def test_an_item_beyond_the_count_fails_the_run():
    made = graph(step("a"), step("i", scope=("a",), inputs={"x": each("a.x")}), result={"ys": gather("i.y")})
    play = Play(made)
    play.commits("a", "x", 1)
    play.reports("a", Outcome.SUCCESS)

    play.commits("a", "x", 2, start=1)

    assert "has 2 items after the step was repeated, but 1 were there before" in play.failure[1]


def test_a_retry_that_is_due_after_the_end_does_nothing():
    play = Play(graph(step("a", attempts=2, backoff_s=1.0), step("b"), result=value("a")))
    play.reports("a", APPLICATION, "boom")
    play.fails("b", "other")
    assert play.state("a") is State.DRAINING

    play.give(RetryDue(named("a"), 2, 9.0))
    play.drains("a")

    assert play.fired == ["a", "b"]
    assert play.state("a") is State.FAILED
    assert play.leaves_nothing()


def test_a_firing_whose_failed_attempt_has_drained_is_over_when_the_run_ends():
    play = Play(graph(step("a", attempts=2, backoff_s=1.0), step("b"), result=value("a")))
    play.fails("a")
    assert play.state("a") is State.BACKOFF

    play.fails("b", "other")

    assert play.state("a") is State.FAILED
    assert play.leaves_nothing()


def test_inputs_are_held_until_every_attempt_has_drained():
    made = graph(step("a", inputs={"x": value("$run.x")}, attempts=2), result=value("a"))
    play = Play(made, x="input")
    play.reports("a", APPLICATION, "boom")
    play.returns("a")
    assert play.state("a") is State.DRAINING
    assert "input" not in play.released

    play.drains("a", 1)

    assert play.state("a") is State.DONE
    assert "input" in play.released


# -- losses ------------------------------------------------------------------------------------


def test_a_firing_lost_after_its_function_began_is_executed_twice_in_all():
    play = Play(chain())
    play.loses("a")
    assert play.fired == ["a", "a"]

    play.loses("a")

    assert play.fired == ["a", "a"]
    assert play.failure == (DEVELOPER, DIED)
    assert play.leaves_nothing()


def test_a_loss_says_itself_what_it_comes_to():
    play = Play(chain())
    play.loses("a")

    play.loses("a", outcome=DEVELOPER, reason="out of memory")

    assert play.failure == (DEVELOPER, "out of memory")


def test_a_loss_can_be_handled():
    play = Play(handled())
    play.loses("a")
    play.loses("a")

    assert play.inputs("h") == {"e": DIED}


@pytest.mark.parametrize("kind", [GraphKind.SEQUENCE, GraphKind.ACTION])
def test_a_step_of_a_sequence_is_never_executed_again_once_its_function_began(kind):
    play = Play(graph(step("a"), result=value("a"), kind=kind))

    play.loses("a")

    assert play.fired == ["a"]
    assert play.failure == (DEVELOPER, DIED)


def test_a_step_that_runs_at_most_once_is_never_executed_again_once_its_function_began():
    play = Play(chain(at_most_once=True))

    play.begins("a")
    play.loses("a", began=False)

    assert play.fired == ["a"]
    assert play.end is not None


@pytest.mark.parametrize("kind", list(GraphKind))
def test_a_failure_before_the_function_began_is_always_dispatched_again_but_not_for_ever(kind):
    play = Play(graph(step("a", at_most_once=True), result=value("a"), kind=kind))

    for _ in range(MISSES):
        play.loses("a", began=False)

    assert play.fired == ["a"] * MISSES
    assert play.failure == (PLATFORM, DIED)


def test_losses_and_application_errors_count_apart():
    play = Play(chain(attempts=2))
    play.loses("a")
    play.fails("a")

    play.returns("a", x=1)

    assert play.fired == ["a", "a", "a", "b"]


def test_what_a_lost_attempt_emitted_stands():
    made = graph(step("a"), step("i", scope=("a",), inputs={"x": each("a.x")}), result={"ys": gather("i.y")})
    play = Play(made)
    play.commits("a", "x", "one")
    play.loses("a")

    play.commits("a", "x", "one again", "two")
    play.returns("a")

    assert play.fired == ["a", "i[0]", "a", "i[1]"]


def test_reports_of_a_lost_attempt_that_come_late_change_nothing():
    play = Play(chain())
    play.loses("a")

    play.give(Committed(DataKey("a", (), "", 0), 1, How.WHOLE, play.thing("stale"), 5.0))
    play.reports("a", APPLICATION, "stale error", attempt=1)
    play.give(Began(named("a"), 1, 5.0))
    play.give(Lost(named("a"), 1, True, 5.0))
    play.drains("a", 1)

    assert play.released == ["stale", "stale error"]
    assert play.state("a") is State.RUNNING
    assert play.fired == ["a", "a"]


def test_a_container_that_dies_with_outputs_that_are_needed_has_its_firing_executed_again():
    play = Play(chain())
    play.reports("a", Outcome.SUCCESS)

    play.loses("a")
    assert play.fired == ["a", "a"]
    play.returns("a", whole={"x": 1})

    assert play.inputs("b") == {"": {"x": 1}}


def test_a_container_that_dies_when_nothing_is_missing_any_more_does_no_harm():
    play = Play(chain())
    play.returns("a", drain=False, x=1)

    play.loses("a")

    assert play.state("a") is State.DONE
    assert play.fired == ["a", "b"]


def test_a_repetition_of_a_success_may_be_lost_itself_once_nothing_is_missing():
    play = Play(graph(step("a"), step("b", inputs={"x": value("a.x")}), result=value("b")))
    play.reports("a", Outcome.SUCCESS, counts={"x": (How.EMIT, 1)})
    play.loses("a")
    play.commits("a", "x", 1)

    play.loses("a")

    assert play.state("a") is State.DONE
    play.returns("b")
    assert play.result == {"": {}}


def test_a_repetition_of_a_success_that_yields_another_number_fails_the_run():
    made = graph(step("a"), step("i", scope=("a",), inputs={"x": each("a.x")}), result={"ys": gather("i.y")})
    play = Play(made)
    play.reports("a", Outcome.SUCCESS, counts={"x": (How.EMIT, 3)})
    play.loses("a")
    play.commits("a", "x", 1, 2)

    play.returns("a")

    assert "has 2 items after the step was repeated, but at least 3 were there before" in play.failure[1]


def test_a_repetition_of_a_success_that_fails_fails_the_run():
    play = Play(handled())
    play.reports("a", Outcome.SUCCESS, counts={"x": (How.FIELD, 1)})
    play.loses("a")

    play.fails("a", "now it fails")

    assert play.failure == (APPLICATION, "now it fails")
    assert play.leaves_nothing()


def test_a_sequence_whose_outputs_died_with_the_container_fails():
    play = Play(graph(step("a"), result=value("a"), kind=GraphKind.SEQUENCE))
    play.reports("a", Outcome.SUCCESS)

    play.loses("a")

    assert play.failure == (DEVELOPER, DIED)
    assert play.leaves_nothing()


def test_a_failed_attempt_may_die_while_the_next_one_waits():
    play = Play(chain(attempts=2, backoff_s=1.0))
    play.reports("a", APPLICATION, "boom")

    play.loses("a")
    play.give(RetryDue(named("a"), 2, 5.0))
    assert play.fired == ["a", "a"]
    assert [one.attempt for one in play.of(Dispatch)] == [2]


def test_an_output_that_was_counted_but_never_came_fails_the_run():
    play = Play(chain())
    play.reports("a", Outcome.SUCCESS)

    play.drains("a")

    assert play.failure == (PLATFORM, UNDELIVERED)


# -- the end from outside ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "outcome", "error"),
    [
        (Cancelled("cancelled by guest", 5.0), APPLICATION, "cancelled by guest"),
        (DeadlineReached(5.0), DEVELOPER, "The workflow exceeded its time limit of 1500 milliseconds."),
        (PlatformFailed("the sink is full", 5.0), PLATFORM, "the sink is full"),
    ],
)
def test_a_run_can_be_ended_from_outside(event, outcome, error):
    play = Play(graph(step("a", inputs={"x": value("$run.x")}), result=value("a"), timeout_s=1.5), x=1)

    play.give(event)
    play.give(event)

    assert play.failure == (outcome, error)
    assert play.end.failed is None
    play.returns("a")
    assert play.leaves_nothing()


def test_a_deadline_without_a_number_is_told_without_one():
    play = Play(chain())

    play.give(DeadlineReached(5.0))

    assert play.failure[1] == "The workflow exceeded its time limit."


def test_a_run_can_be_cancelled_before_it_started():
    play = Play(graph(step("a", scope=("$run",), inputs={"x": each("$run.xs")}), result=value("$run")), start=False)
    play.give(Cancelled("no", 0.0))
    assert play.machine.idle

    play.starts(xs=[1, 2])

    assert play.fired == []
    assert play.leaves_nothing()


def test_a_second_start_changes_nothing():
    play = Play(graph(step("a", inputs={"": value("$run")}), result=value("a")), x=1)

    play.starts(x=2)

    assert play.fired == ["a"]
    assert play.released == [{"x": 2}]


# -- reports that repeat themselves or make no sense -------------------------------------------


def test_a_repeated_commit_does_not_fire_twice():
    play = Play(graph(step("a"), step("b", inputs={"x": value("a.x")}), result=value("b")))
    play.commits("a", "x", "first")

    play.commits("a", "x", "second")

    assert play.fired == ["a", "b"]
    assert play.released == ["second"]


def test_a_repeated_return_changes_nothing():
    play = Play(chain())
    play.returns("a", drain=False)

    play.reports("a", APPLICATION, "what?")

    assert play.released == ["what?"]
    assert play.end is None


def test_an_error_beside_a_success_is_released():
    play = Play(chain())

    play.reports("a", Outcome.SUCCESS, "what?")

    assert play.released == ["what?"]


def test_reports_about_unknown_firings_change_nothing():
    play = Play(chain())

    play.give(Began(named("x[3]"), 1, 1.0))
    play.give(Returned(named("x"), 1, Outcome.SUCCESS, {}, None, 1.0))
    play.give(Committed(DataKey("x", (), "y", 0), 1, How.EMIT, play.thing(1), 1.0))
    play.give(Lost(named("x"), 1, True, 1.0))
    play.give(RetryDue(named("a"), 2, 1.0))
    play.give(Evaluated(77, True, None, 1.0))

    assert play.fired == ["a"]
    assert play.released == [1]
    assert play.machine.story(named("x")) == []


def test_draining_before_returning_is_a_bug_told_with_the_story():
    play = Play(chain())

    with pytest.raises(InvalidTransition, match=r"a: running -> drained; .* waiting -> running \(matched\)"):
        play.drains("a")


def test_the_story_of_a_firing_lists_its_states():
    play = Play(chain(attempts=2))
    play.fails("a")
    play.returns("a")

    story = [(one.before, one.after) for one in play.machine.story(named("a"))]

    assert story == [
        (State.WAITING, State.RUNNING),
        (State.RUNNING, State.BACKOFF),
        (State.BACKOFF, State.RUNNING),
        (State.RUNNING, State.DRAINING),
        (State.DRAINING, State.DONE),
    ]
