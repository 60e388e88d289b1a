"""Each kind of edge, and when it makes a step fire."""

from __future__ import annotations

import pytest

from invoker_ext.dataflow.commands import Chunks, Dispatch
from invoker_ext.dataflow.events import Evaluated, How, Outcome
from invoker_ext.dataflow.states import State
from tests.support.graphs import constant, each, first_of, gather, graph, step, value
from tests.support.machine_play import Play


def fan_out(**result):
    return graph(
        step("start"),
        step("count", scope=("start",), inputs={"file": each("start.file")}),
        step("merge", inputs={"counts": gather("count.words")}),
        result=value("merge"),
    )


# -- firing, plain edges -----------------------------------------------------------------------


def test_a_step_without_inputs_fires_when_the_run_starts():
    play = Play(graph(step("a"), step("b"), result=value("a")))

    assert play.fired == ["a", "b"]
    assert play.inputs("a") == {}


def test_the_run_alone_is_all_parameters():
    play = Play(graph(step("a", inputs={"": value("$run")}), result=value("a")), x=1, y=2)

    assert play.inputs("a") == {"": {"x": 1, "y": 2}}


def test_a_member_of_the_run_is_one_parameter():
    play = Play(graph(step("a", inputs={"here": value("$run.x")}), result=value("a")), x=1)

    assert play.inputs("a") == {"here": 1}


def test_a_parameter_that_the_run_does_not_have_fails_it_at_once():
    play = Play(graph(step("a", inputs={"here": value("$run.x")}), result=value("a")), y=1)

    assert play.fired == []
    assert play.failure == (Outcome.APPLICATION_ERROR, "the run has no parameter 'x', which step 'a' needs")


def test_an_optional_parameter_that_the_run_does_not_have_is_left_out():
    edge = value("$run.x", optional=True)
    play = Play(graph(step("a", inputs={"here": edge, "c": constant(3)}), result=value("a")))

    assert play.inputs("a") == {"c": 3}


def test_a_constant_is_there_from_the_start():
    play = Play(graph(step("a", inputs={"n": constant({"x": [1]})}), result=value("a")))

    assert play.inputs("a") == {"n": {"x": [1]}}


def test_inputs_are_bound_in_the_order_of_the_graph():
    made = step("a", inputs={"z": constant(1), "": value("$run"), "b": value("$run.b")})
    play = Play(graph(made, result=value("a")), b=2)

    assert [bound.name for bound in play.dispatches["a"].inputs] == ["z", "", "b"]


def test_a_step_fires_when_its_last_input_is_there():
    made = graph(step("a"), step("b"), step("c", inputs={"x": value("a.x"), "y": value("b.y")}), result=value("c"))
    play = Play(made)

    play.returns("a", x=1)
    assert play.fired == ["a", "b"]
    play.returns("b", y=2)
    assert play.fired == ["a", "b", "c"]
    assert play.inputs("c") == {"x": 1, "y": 2}


def test_what_is_emitted_fires_its_consumer_before_the_producer_returned():
    play = Play(graph(step("a"), step("b", inputs={"x": value("a.x")}), result=value("b")))

    play.commits("a", "x", 7)

    assert play.fired == ["a", "b"]


def test_what_is_returned_counts_only_when_the_function_has_returned():
    play = Play(graph(step("a"), step("b", inputs={"x": value("a.x")}), result=value("b")))

    play.commits("a", "x", 7, how=How.FIELD)
    assert play.fired == ["a"]
    play.reports("a", Outcome.SUCCESS)
    assert play.fired == ["a", "b"]


def test_a_result_that_arrives_after_the_return_is_waited_for():
    play = Play(graph(step("a"), step("b", inputs={"": value("a")}), result=value("b")))

    play.reports("a", Outcome.SUCCESS)
    assert play.fired == ["a"]
    play.commits("a", "", {"x": 1}, how=How.WHOLE)
    assert play.inputs("b") == {"": {"x": 1}}


def test_chunks_read_by_a_plain_edge_are_their_concatenation():
    play = Play(graph(step("a"), step("b", inputs={"x": value("a.x")}), result=value("b")))

    play.commits("a", "x", "lo", how=How.CHUNK, start=1)
    play.commits("a", "x", "hel", how=How.CHUNK)
    assert play.fired == ["a"]
    play.returns("a")

    assert play.inputs("b") == {"x": "hello"}
    assert isinstance(play.dispatches["b"].inputs[0].value, Chunks)


def test_a_list_that_was_spread_for_somebody_else_is_a_list_to_a_plain_edge():
    made = graph(
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.xs")}),
        step("b", inputs={"xs": value("a.xs")}),
        result=value("b"),
    )
    play = Play(made)

    play.returns("a", xs=[1, 2])

    assert play.fired == ["a", "i[0]", "i[1]", "b"]
    assert play.inputs("b") == {"xs": [1, 2]}


def test_a_plain_edge_on_an_output_that_is_emitted_twice_fails_the_run():
    play = Play(graph(step("a"), step("b", inputs={"x": value("a.x")}), result=value("b")))

    play.commits("a", "x", 1, 2)

    outcome, error = play.failure
    assert outcome is Outcome.DEVELOPER_ERROR
    assert error == "the output 'x' of step 'a' was emitted more than once, but step 'b' reads it as one value"


def test_a_second_emit_is_noticed_when_only_its_count_is_known():
    play = Play(graph(step("a"), step("b", inputs={"x": value("a.x")}), result=value("b")))

    play.reports("a", Outcome.SUCCESS, counts={"x": (How.EMIT, 2)})

    assert "more than once" in play.failure[1]


@pytest.mark.parametrize("seen", ["by its commits", "by the report"])
def test_emitting_and_returning_the_same_name_fails_the_run(seen):
    play = Play(graph(step("a"), step("b", inputs={"x": value("a.x")}), result=value("b")))

    play.commits("a", "x", 1)
    if seen == "by its commits":
        play.commits("a", "x", 2, how=How.FIELD)
    else:
        play.reports("a", Outcome.SUCCESS, clashes=("x",))

    assert play.failure == (
        Outcome.DEVELOPER_ERROR,
        "the output 'x' of step 'a' was both emitted and returned; use two names",
    )


def test_emitting_and_returning_the_same_name_shows_in_the_counts_too():
    play = Play(graph(step("a"), step("b", inputs={"x": value("a.x")}), result=value("b")))

    play.commits("a", "x", 1)
    play.reports("a", Outcome.SUCCESS, counts={"x": (How.FIELD, 1)})

    assert "both emitted and returned" in play.failure[1]


def test_a_step_that_ends_without_a_needed_output_fails_the_run():
    play = Play(graph(step("a"), step("b", inputs={"x": value("a.x")}), result=value("b")))

    play.returns("a", y=1)

    assert play.failure == (
        Outcome.DEVELOPER_ERROR,
        "step 'a' ended without producing the output 'x', which step 'b' needs",
    )
    assert play.end.failed == ("a", ())


def test_the_result_can_be_what_needs_the_output():
    play = Play(graph(step("a"), result={"x": value("a.x")}))

    play.returns("a")

    assert play.failure[1] == "step 'a' ended without producing the output 'x', which the result needs"


def test_an_optional_input_that_is_not_produced_is_left_out():
    play = Play(
        graph(step("a"), step("b", inputs={"x": value("a.x", optional=True), "w": value("a")}), result=value("b"))
    )

    play.returns("a", y=1)

    assert play.inputs("b") == {"w": {"y": 1}}


# -- each --------------------------------------------------------------------------------------


def test_each_fires_as_soon_as_an_item_arrives():
    play = Play(fan_out())

    play.commits("start", "file", "one")
    assert play.fired == ["start", "count[0]"]
    assert play.inputs("count[0]") == {"file": "one"}
    play.commits("start", "file", "two", start=1)
    assert play.fired == ["start", "count[0]", "count[1]"]


def test_each_fires_once_an_element_of_a_returned_list():
    play = Play(fan_out())

    play.returns("start", file=["one", "two"])

    assert play.fired == ["start", "count[0]", "count[1]"]


def test_an_emitted_list_is_one_item():
    play = Play(fan_out())

    play.commits("start", "file", ["one", "two"])
    play.returns("start")

    assert play.fired == ["start", "count[0]"]
    assert play.inputs("count[0]") == {"file": ["one", "two"]}


def test_each_of_a_field_that_is_no_list_fails_the_run():
    play = Play(fan_out())

    play.returns("start", file="one")

    assert play.failure == (
        Outcome.DEVELOPER_ERROR,
        "the output 'file' of step 'start' is not a list, but step 'count' fires once for each of its items",
    )


@pytest.mark.parametrize("fields", [{"file": []}, {}], ids=["an empty list", "nothing emitted"])
def test_an_empty_each_gathers_an_empty_list(fields):
    play = Play(fan_out())

    play.returns("start", **fields)

    assert play.fired == ["start", "merge"]
    assert play.inputs("merge") == {"counts": []}


def test_each_over_a_parameter_of_the_run():
    made = graph(step("a", scope=("$run",), inputs={"x": each("$run.xs")}), result={"ys": gather("a.y")})
    play = Play(made, xs=["p", "q"])

    assert play.fired == ["a[0]", "a[1]"]
    play.returns("a[1]", y="Q")
    play.returns("a[0]", y="P")
    assert play.result == {"ys": ["P", "Q"]}


def test_each_over_a_parameter_that_is_no_list_fails_the_run():
    made = graph(step("a", scope=("$run",), inputs={"x": each("$run.xs")}), result={"ys": gather("a.y")})

    assert Play(made, xs="p").failure == (
        Outcome.APPLICATION_ERROR,
        "the parameter 'xs' of the run is not a list, but step 'a' fires once for each of its items",
    )


def test_each_over_a_parameter_that_is_missing_fails_the_run():
    made = graph(step("a", scope=("$run",), inputs={"x": each("$run.xs")}), result={"ys": gather("a.y")})

    assert Play(made).failure[1] == "the run has no parameter 'xs', which step 'a' needs"


def test_a_parameter_can_be_read_whole_and_item_by_item():
    made = graph(
        step("a", scope=("$run",), inputs={"x": each("$run.xs"), "all": value("$run.xs")}),
        result={"ys": gather("a.y"), "same": gather("$run.xs")},
    )
    play = Play(made, xs=["p", "q"])

    assert play.inputs("a[1]") == {"x": "q", "all": ["p", "q"]}
    play.returns("a[0]", y=0)
    play.returns("a[1]", y=1)
    assert play.result == {"ys": [0, 1], "same": ["p", "q"]}
    assert play.leaves_nothing()


def test_values_from_outside_are_the_same_for_every_item():
    made = graph(
        step("a"),
        step("b"),
        step("i", scope=("a",), inputs={"x": each("a.x"), "shared": value("b.v"), "p": value("$run.p")}),
        result={"ys": gather("i.y")},
    )
    play = Play(made, p=9)
    play.commits("a", "x", 1)
    assert play.fired == ["a", "b"]

    play.returns("b", v="all")
    play.commits("a", "x", 2, start=1)

    assert play.inputs("i[0]") == {"x": 1, "shared": "all", "p": 9}
    assert play.inputs("i[1]") == {"x": 2, "shared": "all", "p": 9}


def test_a_plain_edge_between_steps_of_one_item_stays_inside_it():
    made = graph(
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x")}),
        step("j", scope=("a",), inputs={"y": value("i.y")}),
        result={"zs": gather("j.z")},
    )
    play = Play(made)
    play.returns("a", x=[1, 2])

    play.returns("i[1]", y="second")

    assert play.fired[-1] == "j[1]"
    assert play.inputs("j[1]") == {"y": "second"}


def test_several_each_on_one_step_zip_by_index():
    made = graph(
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x"), "y": each("a.y")}),
        result={"zs": gather("i.z")},
    )
    play = Play(made)

    play.commits("a", "x", 1, 2)
    assert play.fired == ["a"]
    play.commits("a", "y", "p")
    assert play.inputs("i[0]") == {"x": 1, "y": "p"}


def test_each_of_unequal_numbers_fails_the_run():
    made = graph(
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x"), "y": each("a.y")}),
        result={"zs": gather("i.z")},
    )
    play = Play(made)

    play.returns("a", x=[1, 2], y=[1])

    assert play.failure == (
        Outcome.DEVELOPER_ERROR,
        "step 'i' reads the items of step 'a' side by side, but there are 2 of 'x', 1 of 'y'",
    )


def test_separate_fan_outs_of_one_step_may_have_different_numbers():
    made = graph(
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x")}),
        step("j", scope=("a",), inputs={"y": each("a.y")}),
        result={"i": gather("i.v"), "j": gather("j.v")},
    )
    play = Play(made)

    play.returns("a", x=[1, 2], y=[3])

    assert play.fired == ["a", "i[0]", "i[1]", "j[0]"]


def test_joining_fan_outs_of_different_numbers_fails_the_run():
    made = graph(
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x")}),
        step("j", scope=("a",), inputs={"y": each("a.y"), "i": value("i.v")}),
        result={"j": gather("j.v")},
    )
    play = Play(made)

    play.returns("a", x=[1, 2], y=[3])

    assert "step 'j' reads the items of step 'a' side by side" in play.failure[1]


# -- gather ------------------------------------------------------------------------------------


def test_gather_yields_all_items_in_their_order_once_the_last_is_there():
    play = Play(fan_out())
    play.commits("start", "file", "a", "b", "c")
    play.returns("count[2]", words=2)
    play.returns("count[0]", words=0)
    play.returns("count[1]", words=1)
    assert "merge" not in play.fired  # the number of items is not known yet

    play.returns("start")

    assert play.inputs("merge") == {"counts": [0, 1, 2]}


def test_gather_has_one_element_a_firing_even_if_that_is_a_list():
    play = Play(fan_out())
    play.returns("start", file=["a", "b"])

    play.commits("count[0]", "words", ["x", "y"], how=How.FIELD)
    play.returns("count[0]")
    play.commits("count[1]", "words", [], how=How.FIELD)
    play.returns("count[1]")

    assert play.inputs("merge") == {"counts": [["x", "y"], []]}


def test_gather_of_an_output_that_one_firing_emits_twice_fails_the_run():
    play = Play(fan_out())
    play.returns("start", file=["a"])

    play.commits("count[0]", "words", 1, 2)

    assert "'count[0]' was emitted more than once, but step 'merge' reads it as one value" in play.failure[1]


def test_gather_without_an_each_between_is_the_list_of_all_emits():
    play = Play(graph(step("a"), step("b", inputs={"xs": gather("a.x")}), result=value("b")))

    play.commits("a", "x", 1, 2)
    assert play.fired == ["a"]
    play.returns("a")

    assert play.inputs("b") == {"xs": [1, 2]}


def test_gather_without_an_each_between_of_a_field_that_is_no_list_fails_the_run():
    play = Play(graph(step("a"), step("b", inputs={"xs": gather("a.x")}), result=value("b")))

    play.returns("a", x=1)

    assert play.failure[1] == "the output 'x' of step 'a' is not a list, but step 'b' gathers its items"


def test_gather_of_nothing_emitted_is_an_empty_list():
    play = Play(graph(step("a"), step("b", inputs={"xs": gather("a.x")}), result=value("b")))

    play.returns("a")

    assert play.inputs("b") == {"xs": []}


def nested():
    return graph(
        step("books"),
        step("pages", scope=("books",), inputs={"book": each("books.book")}),
        step("words", scope=("books", "pages"), inputs={"page": each("pages.page"), "book": each("books.book")}),
        step("sum", scope=("books",), inputs={"counts": gather("words.n")}),
        step("total", inputs={"sums": gather("sum.n")}),
        result=value("total"),
    )


def test_nested_each_carries_one_index_a_level():
    play = Play(nested())
    play.returns("books", book=["A", "B"])

    play.commits("pages[1]", "page", "b0")
    play.commits("pages[0]", "page", "a0")

    assert play.fired[-2:] == ["words[1][0]", "words[0][0]"]
    assert play.inputs("words[1][0]") == {"page": "b0", "book": "B"}


def test_gather_in_a_nested_each_yields_one_list_an_outer_item():
    play = Play(nested())
    play.returns("books", book=["A", "B", "C"])
    play.returns("pages[0]", page=["a0", "a1"])
    play.returns("pages[1]", page=[])
    play.returns("pages[2]", page=["c0"])
    assert play.inputs("sum[1]") == {"counts": []}

    for name in ("words[0][1]", "words[2][0]", "words[0][0]"):
        play.returns(name, n=name)

    assert play.inputs("sum[0]") == {"counts": ["words[0][0]", "words[0][1]"]}
    assert play.inputs("sum[2]") == {"counts": ["words[2][0]"]}
    for index in range(3):
        play.returns(f"sum[{index}]", n=index)
    assert play.inputs("total") == {"sums": [0, 1, 2]}
    play.returns("total", n=3)
    assert play.result == {"": {"n": 3}}
    assert play.leaves_nothing()


def test_a_gathered_list_from_outside_is_the_same_for_every_item():
    made = graph(
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x")}),
        step("b"),
        step("j", scope=("b",), inputs={"y": each("b.y"), "all": gather("i.v")}),
        result={"zs": gather("j.z")},
    )
    play = Play(made)
    play.returns("b", y=["p", "q"])
    play.returns("a", x=[1, 2])
    play.returns("i[0]", v=0)

    play.returns("i[1]", v=1)

    assert play.inputs("j[0]") == {"y": "p", "all": [0, 1]}
    assert play.inputs("j[1]") == {"y": "q", "all": [0, 1]}


# -- when --------------------------------------------------------------------------------------


def switch(**more):
    return graph(
        step("a"),
        step("yes", inputs={"x": value("a.x", when="value > 1")}),
        step("no", inputs={"x": value("a.x", when="value <= 1")}),
        step("end", inputs={"y": first_of(value("yes.y"), value("no.y"))}),
        result=value("end"),
        **more,
    )


def test_a_condition_is_evaluated_over_what_from_names():
    play = Play(graph(step("a"), step("b", inputs={"x": value("a.x", when="value > 1")}), result=value("b")))

    play.commits("a", "x", 7)

    (question,) = play.questions
    assert (question.condition, question.value.value) == ("value > 1", 7)
    assert play.fired == ["a"]


def test_an_edge_whose_condition_holds_is_live():
    play = Play(graph(step("a"), step("b", inputs={"x": value("a.x", when="value > 1")}), result=value("b")))
    play.commits("a", "x", 7)

    play.answers(True)

    assert play.inputs("b") == {"x": 7}


def test_a_switch_takes_one_branch_and_joins():
    play = Play(switch())
    play.commits("a", "x", 1)
    play.answers(False)
    play.answers(True)
    play.returns("a")
    assert play.fired == ["a", "no"]
    assert play.state("yes") is State.SKIPPED

    play.returns("no", y="small")

    assert play.inputs("end") == {"y": "small"}


def test_a_condition_that_can_not_be_evaluated_fails_the_run():
    play = Play(switch())
    play.commits("a", "x", 7)

    play.answers(False, error="no such overload")

    assert play.failure == (
        Outcome.DEVELOPER_ERROR,
        "the condition 'value > 1' on the input 'x' of step 'yes' failed: no such overload",
    )


def test_a_condition_that_fails_does_so_even_if_the_step_is_skipped_anyway():
    made = graph(
        step("a"),
        step("dead", inputs={"x": value("a.x", when="value > 1")}),
        step("b", inputs={"": value("a", when="value.bad"), "y": value("dead.y")}),
        result={"r": value("b.r", optional=True)},
    )
    play = Play(made)
    play.commits("a", "x", 1)
    play.answers(False)
    assert play.state("dead") is State.SKIPPED

    play.returns("a")
    play.answers(False, error="no such key")

    assert play.failure[1] == "the condition 'value.bad' on the input of step 'b' failed: no such key"


def test_a_condition_in_an_each_is_per_item():
    made = graph(
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x", when="value > 1")}),
        result={"ys": gather("i.y")},
    )
    play = Play(made)
    play.returns("a", x=[1, 2, 3])
    play.answers(False)
    play.answers(True)
    play.answers(True)
    assert play.fired == ["a", "i[1]", "i[2]"]

    play.returns("i[2]", y=3)
    play.returns("i[1]", y=2)

    assert play.result == {"ys": [2, 3]}


def test_a_condition_on_a_value_from_outside_is_evaluated_once_for_all_items():
    made = graph(
        step("a"),
        step("b"),
        step("i", scope=("a",), inputs={"x": each("a.x"), "v": value("b.v", when="value > 1", optional=True)}),
        result={"ys": gather("i.y")},
    )
    play = Play(made)
    play.returns("a", x=[1, 2])
    play.returns("b", v=5)
    assert len(play.questions) == 1

    play.answers(True)

    assert play.inputs("i[1]") == {"x": 2, "v": 5}


def test_the_run_does_not_end_before_every_condition_is_answered():
    made = graph(
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x"), "v": value("$run.v", when="value > 1")}),
        result={"ys": gather("i.y")},
    )
    play = Play(made, v=1)
    play.returns("a", x=[])
    assert play.end is None

    play.answers(True)

    assert play.result == {"ys": []}
    assert play.leaves_nothing()


def test_the_value_of_a_condition_is_kept_until_the_answer_even_past_the_end():
    play = Play(switch())
    play.commits("a", "x", 7)
    play.fails("a")
    assert play.released == []
    assert play.end is not None

    play.answers(True)
    play.answers(False)

    assert play.released == [7]
    play.give(Evaluated(99, True, None, 5.0))
    assert play.leaves_nothing()
    assert play.fired == ["a"]


def test_an_answer_that_comes_twice_changes_nothing():
    play = Play(switch())
    play.commits("a", "x", 7)
    question = play.questions[0]
    play.answers(True)
    play.questions.insert(0, question)
    play.answers(True)

    assert play.fired == ["a", "yes"]


# -- any ---------------------------------------------------------------------------------------


def choice(*alternatives, **more):
    return graph(
        step("a"),
        step("b"),
        step("c", inputs={"x": first_of(*alternatives, **more)}),
        result={"r": value("c.r", optional=True)},
    )


def test_any_waits_for_the_first_alternative_though_the_second_is_there():
    play = Play(choice(value("a.x"), value("b.x")))

    play.returns("b", x="b")
    assert play.fired == ["a", "b"]
    play.returns("a", x="a")

    assert play.inputs("c") == {"x": "a"}


def test_any_takes_the_second_once_the_first_is_dead():
    play = Play(choice(value("a.x"), value("b.x")))
    play.returns("b", x="b")

    play.returns("a", other=1)

    assert play.inputs("c") == {"x": "b"}


def test_any_needs_no_alternative_so_a_missing_output_is_a_dead_one():
    play = Play(choice(value("a.x"), value("a.y")))

    play.returns("a", y=1)

    assert play.inputs("c") == {"x": 1}


def test_any_of_dead_alternatives_is_dead():
    play = Play(choice(value("a.x"), value("b.x")))

    play.returns("a")
    play.returns("b")

    assert play.state("c") is State.SKIPPED
    assert play.result == {}


def test_an_optional_any_of_dead_alternatives_is_left_out():
    play = Play(choice(value("a.x"), optional=True))

    play.returns("a")

    assert play.inputs("c") == {}


def test_any_may_end_in_a_constant():
    play = Play(choice(value("a.x"), constant("default")))

    play.returns("a")

    assert play.inputs("c") == {"x": "default"}


def test_any_that_begins_with_a_constant_is_that():
    play = Play(choice(constant("first"), value("a.x")))

    assert play.inputs("c") == {"x": "first"}
    play.returns("a", x=1)
    assert play.fired == ["a", "b", "c"]


def test_a_nested_any_is_one_list():
    play = Play(choice(first_of(value("a.x"), value("b.x")), constant(3)))
    play.returns("a")

    play.returns("b", x=2)

    assert play.inputs("c") == {"x": 2}


def test_conditions_in_an_any_are_evaluated_in_order_and_only_as_far_as_needed():
    play = Play(choice(value("a.x", when="first"), value("b.x", when="second"), value("b.y")))
    play.returns("b", x=2, y=3)
    assert play.commands == []
    play.returns("a", x=1, drain=False)
    (question,) = play.questions
    assert question.condition == "first"

    play.answers(False)
    (question,) = play.questions
    assert question.condition == "second"
    play.answers(True)

    assert play.inputs("c") == {"x": 2}


def test_an_alternative_that_arrives_while_a_condition_is_evaluated_waits():
    play = Play(choice(value("a.x", when="first"), value("b.x")))
    play.returns("a", x=1, drain=False)

    play.returns("b", x=2)
    assert play.fired == ["a", "b"]
    play.answers(False)

    assert play.inputs("c") == {"x": 2}


def test_the_choice_of_an_any_stands_while_the_step_waits_for_something_else():
    made = graph(
        step("a"),
        step("b"),
        step("c", inputs={"x": first_of(value("a.x"), value("b.x")), "y": value("b.y")}),
        result=value("c"),
    )
    play = Play(made)
    play.returns("a", x="first")

    play.returns("b", x="second", y=1)

    assert play.inputs("c") == {"x": "first", "y": 1}


def test_any_may_read_values_from_outside_of_an_each():
    made = graph(
        step("a"),
        step("b"),
        step("i", scope=("a",), inputs={"x": each("a.x"), "v": first_of(value("b.u"), value("b.v"))}),
        result={"ys": gather("i.y")},
    )
    play = Play(made)
    play.returns("a", x=[1])
    play.returns("b", v=2)

    assert play.inputs("i[0]") == {"x": 1, "v": 2}


# -- dead paths --------------------------------------------------------------------------------


def test_a_step_with_a_dead_required_input_is_skipped_and_so_are_those_behind_it():
    made = graph(
        step("a"),
        step("b", inputs={"x": value("a.x", when="value > 1")}),
        step("c", inputs={"": value("b")}),
        step("d", inputs={"v": value("c.v", optional=True), "a": value("a")}),
        result=value("d"),
    )
    play = Play(made)
    play.commits("a", "x", 1)
    play.answers(False)
    play.returns("a", y=1)

    assert play.fired == ["a", "d"]
    assert [play.state(name) for name in "bc"] == [State.SKIPPED, State.SKIPPED]
    assert play.inputs("d") == {"a": {"y": 1}}


def test_a_skipped_step_does_not_wait_for_its_other_inputs():
    made = graph(
        step("a"),
        step("slow"),
        step("dead", inputs={"x": value("a.x", when="no")}),
        step("b", inputs={"x": value("dead.x"), "y": value("slow.y")}),
        result={"r": value("b.r", optional=True)},
    )
    play = Play(made)
    play.commits("a", "x", 1)
    play.answers(False)

    assert play.state("b") is State.SKIPPED
    play.returns("slow", y=1)
    play.returns("a")
    assert play.result == {}
    assert play.leaves_nothing()


def test_items_gathered_for_a_step_that_is_skipped_are_not_kept():
    made = graph(
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x")}),
        step("dead", inputs={"v": value("$run.v", when="no")}),
        step("c", inputs={"ys": gather("i.y"), "d": value("dead.d")}),
        result={"r": value("c.r", optional=True)},
    )
    play = Play(made, v=1)
    play.answers(False)
    play.returns("a", x=[0])

    play.returns("i[0]", y="not kept")

    assert "not kept" in play.released
    assert play.result == {}


def test_a_level_whose_step_is_skipped_has_no_items_and_its_gather_is_dead():
    made = graph(
        step("a"),
        step("b", inputs={"x": value("a.x", when="no")}),
        step("i", scope=("b",), inputs={"y": each("b.y")}),
        step("k", scope=("b", "i"), inputs={"z": each("i.z")}),
        step("c", inputs={"all": gather("i.v", optional=True), "w": value("a")}),
        result=value("c"),
    )
    play = Play(made)
    play.commits("a", "x", 1)
    play.answers(False)
    play.returns("a")

    assert play.fired == ["a", "c"]
    assert list(play.inputs("c")) == ["w"]
    play.returns("c")
    assert play.leaves_nothing()


def test_gather_leaves_dead_items_out():
    made = graph(
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x")}),
        step("j", scope=("a",), inputs={"y": value("i.y", when="odd")}),
        result={"zs": gather("j.z")},
    )
    play = Play(made)
    play.returns("a", x=[0, 1, 2])
    for index in (2, 1, 0):
        play.returns(f"i[{index}]", drain=False, y=index)
        play.answers(index == 1)

    play.returns("j[1]", z="one")

    assert play.result == {"zs": ["one"]}


def test_a_dead_path_of_any_length_needs_no_stack():
    steps = [step("a"), step("s0", inputs={"x": value("a.x", when="no")})]
    steps += [step(f"s{n}", inputs={"": value(f"s{n - 1}")}) for n in range(1, 3000)]
    play = Play(graph(*steps, result={"r": value("s2999", optional=True)}))
    play.commits("a", "x", 1)
    play.answers(False)

    play.returns("a")

    assert play.result == {}


# -- result ------------------------------------------------------------------------------------


def test_a_required_member_of_the_result_that_is_dead_fails_the_run():
    made = graph(step("a"), step("b", inputs={"x": value("a.x", when="no")}), result={"r": value("b.r")})
    play = Play(made)
    play.commits("a", "x", 1)
    play.answers(False)

    assert play.failure == (
        Outcome.APPLICATION_ERROR,
        "the member 'r' of the result was not produced: every path to it was skipped",
    )


def test_the_whole_result_that_is_dead_fails_the_run():
    made = graph(step("a"), step("b", inputs={"x": value("a.x", when="no")}), result=value("b"))
    play = Play(made)
    play.commits("a", "x", 1)
    play.answers(False)

    assert play.failure[1].startswith("the result was not produced")


def test_the_result_may_be_any_edge():
    made = graph(
        step("a"),
        result={
            "plain": value("a.x"),
            "same": value("a.x"),
            "choice": first_of(value("a.none"), constant(1)),
            "list": gather("a.xs"),
            "absent": value("a.none", optional=True),
            "run": value("$run.p"),
            "text": value("a.text"),
        },
    )
    play = Play(made, p="param")

    play.commits("a", "text", "he", "llo", how=How.CHUNK)
    play.returns("a", x=7, xs=[1, 2])

    assert play.result == {"plain": 7, "same": 7, "choice": 1, "list": [1, 2], "run": "param", "text": "hello"}
    assert sorted(str(datum.value) for datum in play.end.data) == ["1", "2", "7", "he", "llo", "param"]
    assert play.leaves_nothing()


def test_the_run_ends_when_nothing_can_happen_any_more():
    play = Play(graph(step("a"), step("beside"), result=value("a")))

    play.returns("a", x=1)
    assert play.end is None
    play.returns("beside")

    assert play.result == {"": {"x": 1}}


def test_a_run_without_steps_results_in_its_parameters():
    play = Play(graph(result=value("$run")), x=1)

    assert play.result == {"": {"x": 1}}
    assert play.leaves_nothing()


def test_only_a_dispatch_follows_a_match():
    play = Play(graph(step("a"), step("b", inputs={"x": value("a.x")}), result=value("b")))

    play.commits("a", "x", 7)

    (command,) = play.commands
    assert isinstance(command, Dispatch)
    assert (command.attempt, command.step.name) == (1, "b")
