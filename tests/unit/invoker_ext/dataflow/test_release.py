"""When a datum is let go: with its last reader, and exactly once."""

from __future__ import annotations

from invoker_ext.dataflow.commands import Release
from invoker_ext.dataflow.events import Committed, How, Outcome, Started
from invoker_ext.dataflow.keys import DataKey
from invoker_ext.dataflow.machine import RunMachine
from invoker_ext.dataflow.release import Ledger
from invoker_ext.dataflow.sentences import UNDELIVERED
from tests.support.graphs import each, first_of, gather, graph, step, stream, value
from tests.support.machine_play import Play
from tests.support.run_shell import Thing


def test_data_that_nobody_reads_are_released_at_once():
    play = Play(graph(step("a"), result={"x": value("a.x")}))

    play.commits("a", "unread", 1)

    assert play.released == [1]


def test_a_release_names_what_it_releases():
    machine = RunMachine(graph(step("a"), result={"x": value("a.x")}))
    machine.handle(Started({}, {}, 0.0))
    key, datum = DataKey("a", (), "unread", 0), Thing(1)

    assert machine.handle(Committed(key, 1, How.EMIT, datum, 1.0)) == [Release((key,), (datum,))]


def test_a_datum_is_released_when_its_last_consumer_has_drained():
    made = graph(
        step("a"),
        step("b", inputs={"x": value("a.x")}),
        step("c", inputs={"x": value("a.x")}),
        result={"r": value("b.r", optional=True)},
    )
    play = Play(made)
    play.commits("a", "x", "shared")
    play.returns("a")
    play.returns("b")
    play.returns("c", drain=False)
    assert "shared" not in play.released

    play.drains("c")

    assert "shared" in play.released


def test_an_item_is_released_when_its_own_firing_has_drained():
    made = graph(step("a"), step("i", scope=("a",), inputs={"x": each("a.x")}), result={"ys": gather("i.y")})
    play = Play(made)
    play.commits("a", "x", "one", "two")

    play.returns("i[1]")

    assert play.released[-1] != "one"
    assert "two" in play.released


def test_a_value_from_outside_is_kept_until_every_item_is_done():
    made = graph(
        step("b"),
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x")}),
        step("k", scope=("a", "i"), inputs={"y": each("i.y"), "v": value("b.v")}),
        result={"n": value("$run.n")},
    )
    play = Play(made, n=0)
    play.returns("b", v="outer")
    play.returns("a", x=[0, 1])
    play.returns("i[0]", y=["p", "q"])
    play.returns("i[1]", y=[])
    play.returns("k[0][0]")
    assert "outer" not in play.released

    play.returns("k[0][1]")

    assert "outer" in play.released
    assert play.leaves_nothing()


def test_a_value_from_outside_goes_at_once_when_there_are_no_items():
    made = graph(
        step("b"),
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x"), "v": value("b.v")}),
        result={"ys": gather("i.y")},
    )
    play = Play(made)
    play.returns("a", x=[])

    play.returns("b", v="outer")

    assert "outer" in play.released


def test_an_alternative_that_was_not_taken_goes_with_the_firing():
    made = graph(
        step("a"),
        step("b"),
        step("c", inputs={"x": first_of(value("a.x"), value("b.x"))}),
        result=value("c"),
    )
    play = Play(made)
    play.returns("b", x="second")
    play.returns("a", x="first")
    assert "second" not in play.released

    play.returns("c")

    assert "second" in play.released
    assert play.leaves_nothing()


def test_an_alternative_that_arrives_after_the_choice_goes_at_once():
    made = graph(
        step("a"),
        step("b"),
        step("c", inputs={"x": first_of(value("a.x"), value("b.x"))}),
        result=value("c"),
    )
    play = Play(made)
    play.returns("a", x="first")

    play.returns("b", x="second")

    assert "second" in play.released


def test_data_of_a_result_are_handed_over_with_the_end_and_not_released():
    play = Play(graph(step("a"), result={"x": value("a.x"), "y": value("a.x")}))

    play.returns("a", drain=False, x="result")

    assert [datum.value for datum in play.end.data] == ["result"]
    assert "result" not in play.released
    assert not play.machine.idle
    play.drains("a")
    assert play.leaves_nothing()


def test_a_result_that_a_firing_still_maps_is_not_released_when_it_drains():
    made = graph(step("a"), step("b", inputs={"x": value("a.x")}), result={"x": value("a.x")})
    play = Play(made)
    play.returns("a", x="both")
    play.returns("b", drain=False)
    assert [datum.value for datum in play.end.data] == ["both"]

    play.drains("b")

    assert play.leaves_nothing()


def test_gathered_items_are_kept_until_the_gathering_step_has_drained():
    made = graph(
        step("a"),
        step("i", scope=("a",), inputs={"x": each("a.x")}),
        step("c", inputs={"ys": gather("i.y")}),
        result=value("c"),
    )
    play = Play(made)
    play.returns("a", x=[0, 1])
    play.returns("i[0]", y="Y0")
    play.returns("i[1]", y="Y1")
    assert not {"Y0", "Y1"} & {str(one) for one in play.released}

    play.returns("c")

    assert {"Y0", "Y1"} <= {str(one) for one in play.released}


def test_a_stream_that_is_read_no_more_takes_nothing_from_who_reads_item_by_item():
    made = graph(
        step("a"),
        step("dead", inputs={"v": value("$run.v", when="no")}),
        step("s", inputs={"in": stream("a.xs"), "d": value("dead.d")}),
        step("i", scope=("a",), inputs={"x": each("a.xs")}),
        result={"ys": gather("i.y")},
    )
    play = Play(made, v=1)
    play.answers(False)

    play.returns("a", xs=["one", "two"])

    assert play.fired == ["a", "i[0]", "i[1]"]
    assert not {"one", "two"} & {str(one) for one in play.released}


def test_parameters_that_nobody_reads_are_released_at_once():
    made = graph(
        step("a", scope=("$run",), inputs={"x": each("$run.xs")}), result={"n": value("$run.n"), "l": value("$run.l")}
    )
    machine = RunMachine(made)
    unread, whole, spare = Thing("unread"), Thing("whole list"), Thing("spare item")
    n, one, listed = Thing(1), Thing("item"), Thing([1])

    commands = machine.handle(
        Started({"other": unread, "xs": whole, "n": n, "l": listed}, {"xs": (one,), "l": (spare,), "no": (n,)}, 0.0)
    )

    released = [datum for command in commands if isinstance(command, Release) for datum in command.data]
    assert released == [unread, whole, spare, n]


def test_a_run_whose_parameters_are_withheld_fails_instead_of_waiting():
    machine = RunMachine(graph(step("a", inputs={"": value("$run")}), result=value("a")))

    (end,) = machine.handle(Started({}, {}, 0.0))

    assert end.error == UNDELIVERED  # type: ignore[union-attr]
    assert end.outcome is Outcome.PLATFORM_ERROR  # type: ignore[union-attr]


def test_a_ledger_releases_once_however_often_claims_are_dropped():
    ledger = Ledger()
    thing = Thing(1)
    held = ledger.admit(DataKey("a", (), "x"), thing)
    ledger.let_go(held)
    ledger.let_go(held)
    assert ledger.flush() == Release((held.key,), (thing,))

    assert ledger.flush() is None
