"""The machine of a region, on what Composer makes of each of its combinators."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller_ext.workflow.composition.lowering import lower
from invoker_ext.contract.graph import Fault, Graph, GraphKind, Step
from invoker_ext.contract.regions import Region, RegionKind
from invoker_ext.dataflow.events import Outcome
from invoker_ext.dataflow.regions import threads
from invoker_ext.dataflow.regions.commands import Applied, Apply, Entered, Leave
from invoker_ext.dataflow.regions.machine import BURST
from invoker_ext.dataflow.regions.threads import TRANSITIONS, Account, State, Thread
from invoker_ext.dataflow.regions.values import Shape, text_of
from invoker_ext.inline.call import Call, Evaluated
from invoker_ext.owner import answers
from tests.support.regions import PROGRAMS, Play, Thing, called

SUCCESS, FAILED = Outcome.SUCCESS, Outcome.APPLICATION_ERROR
TOO_MANY = "Too many actions in the composition."


def plus(args: Any) -> Any:
    return {"n": args.get("n", 0) + 1}


def fails(args: Any) -> Any:
    return {"error": "boom", "more": 1}


def says(value: Any) -> Any:
    return lambda args: {"value": value}


def small(args: Any) -> Any:
    return {"value": args["n"] < 3}


def echo(args: Any) -> Any:
    return args


CASES: list[tuple[str, dict[str, Any], Any, Outcome, Any, str]] = [
    ("sequence", {"a": plus, "b": plus}, {"n": 1}, SUCCESS, {"n": 3}, "ab"),
    ("sequence", {"a": fails}, {"n": 1}, FAILED, "boom", "a"),
    ("empty", {}, {"n": 1}, SUCCESS, {"n": 1}, ""),
    ("empty", {}, {"error": "e", "k": 1}, FAILED, "e", ""),
    ("if", {"a": says(True), "b": plus}, {"n": 1}, SUCCESS, {"n": 2}, "ab"),
    ("if", {"a": says("no"), "b": plus}, {"n": 1}, SUCCESS, {"n": 2}, "ab"),
    ("if", {"a": says({}), "b": plus}, {"n": 1}, SUCCESS, {"n": 2}, "ab"),
    ("if", {"a": says(0), "c": plus}, {"n": 1}, SUCCESS, {"n": 2}, "ac"),
    ("if", {"a": says([]), "b": plus}, {"n": 1}, SUCCESS, {"n": 2}, "ab"),
    ("if", {"a": lambda args: {"foo": 1}, "c": plus}, {"n": 1}, SUCCESS, {"n": 2}, "ac"),
    ("if", {"a": fails}, {"n": 1}, FAILED, "boom", "a"),
    ("if_nosave", {"a": lambda args: {"value": True, "n": 5}, "b": plus}, {"n": 1}, SUCCESS, {"n": 6}, "ab"),
    ("if_nosave", {"a": lambda args: {"value": "", "n": 5}}, {"n": 1}, SUCCESS, {"value": "", "n": 5}, "a"),
    ("while", {"a": small, "b": plus}, {"n": 1}, SUCCESS, {"n": 3}, "ababa"),
    ("while", {"a": small}, {"n": 9}, SUCCESS, {"n": 9}, "a"),
    ("dowhile", {"a": plus, "b": small}, {"n": 9}, SUCCESS, {"n": 10}, "ab"),
    ("dowhile", {"a": plus, "b": small}, {"n": 0}, SUCCESS, {"n": 3}, "ababab"),
    ("repeat", {"a": plus}, {"n": 0}, SUCCESS, {"n": 2}, "aa"),
    ("retry", {"a": fails}, {"n": 0}, FAILED, "boom", "aaa"),
    ("retry", {"a": plus}, {"n": 0}, SUCCESS, {"n": 1}, "a"),
    ("retain", {"a": plus}, {"n": 0}, SUCCESS, {"params": {"n": 0}, "result": {"n": 1}}, "a"),
    ("retain", {"a": fails}, {"n": 0}, FAILED, "boom", "a"),
    ("retain_catch", {"a": fails}, {"n": 0}, SUCCESS, {"params": {"n": 0}, "result": {"error": "boom"}}, "a"),
    ("merge", {"a": lambda args: {"b": 2, "a": 9}}, {"a": 1}, SUCCESS, {"a": 9, "b": 2}, "a"),
    ("literal", {}, {"error": "e"}, SUCCESS, {"a": 1}, ""),
    ("try", {"a": fails, "b": echo}, {"n": 0}, FAILED, "boom", "ab"),
    ("try", {"a": fails, "b": plus}, {"n": 0}, SUCCESS, {"n": 1}, "ab"),
    ("try", {"a": plus}, {"n": 0}, SUCCESS, {"n": 1}, "a"),
    ("finally", {"a": fails, "b": plus}, {"n": 5}, SUCCESS, {"n": 1}, "ab"),
    ("finally", {"a": plus, "b": plus}, {"n": 5}, SUCCESS, {"n": 7}, "ab"),
    ("map", {"a": plus}, {"value": [{"n": 1}, {"n": 5}]}, SUCCESS, {"value": [{"n": 2}, {"n": 6}]}, "aa"),
    ("map", {}, {"a": 1}, SUCCESS, {"value": []}, ""),
    ("map", {}, {"value": []}, SUCCESS, {"value": []}, ""),
    ("sequence", {"a": lambda args: [1, 2]}, {}, SUCCESS, {"value": [1, 2]}, "ab"),
    ("sequence", {"a": lambda args: {"error": None}}, {}, SUCCESS, {"error": None}, "a"),
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[5]}")
def test_every_combinator_comes_to_what_stock_measured(case, seed):
    name, actions, given, outcome, result, order = case
    play = Play(PROGRAMS[name], actions, seed=seed)
    assert play.run(given) == (outcome, result)
    assert "".join(sorted(one for one, _ in play.calls)) == "".join(sorted(order))
    if name != "map":
        assert "".join(one for one, _ in play.calls) == order


@pytest.mark.parametrize("seed", range(5))
def test_branches_run_at_once_and_their_results_are_in_order_errors_included(seed):
    play = Play(PROGRAMS["parallel"], {"a": fails, "b": plus}, seed=seed)
    assert play.run({"n": 1}) == (SUCCESS, {"value": [{"error": "boom"}, {"n": 2}]})
    assert [one.tag for one in play.names] == [(0,), (1,)]


@pytest.mark.parametrize("given", [5, "ab", {"length": 1}, True])
def test_a_map_over_what_is_no_array_is_an_error(given):
    text = "Parallel combinator failed to invoke a composition at AST node root (see log for details)"
    assert Play(PROGRAMS["map"]).run({"value": given}) == (FAILED, text)


def test_elements_that_are_no_objects_are_boxed():
    play = Play(PROGRAMS["map"])
    assert play.run({"value": [1, "a", None, {"k": 2}]})[1] == {
        "value": [{"value": 1}, {"value": "a"}, {"value": None}, {"k": 2}]
    }


def test_an_error_in_the_first_input_is_not_looked_at():
    play = Play(PROGRAMS["sequence"], {"a": lambda args: {"got": args}})
    assert play.run({"error": "e", "k": 1}) == (SUCCESS, {"got": {"error": "e", "k": 1}})


def test_actions_are_bounded_and_the_composition_hears_of_it():
    program = {"type": "try", "body": PROGRAMS["sequence"], "handler": {"type": "sequence", "components": []}}
    assert Play(PROGRAMS["sequence"], most=1).run({}) == (FAILED, TOO_MANY)
    assert Play(program, most=1).run({}) == (FAILED, TOO_MANY)
    caught = {"type": "try", "body": PROGRAMS["sequence"], "handler": PROGRAMS["literal"]}
    assert Play(caught, most=1).run({}) == (SUCCESS, {"a": 1})


def test_a_branch_may_run_as_many_actions_as_the_composition_and_all_together_have_a_bound(monkeypatch):
    both = Region(kind=RegionKind.PARALLEL, parts=(called("a"), called("a")))
    third = Region(kind=RegionKind.SEQUENCE, parts=(both, called("b")))
    assert Play(third, {"a": plus, "b": echo}, most=1).run({}) == (SUCCESS, {"value": [{"n": 1}, {"n": 1}]})
    monkeypatch.setattr(threads, "IN_ALL", 2)
    assert Play(third, {"a": plus, "b": echo}, most=1).run({}) == (FAILED, TOO_MANY)


def test_who_goes_on_after_that_is_ended():
    again = {"type": "while_nosave", "test": PROGRAMS["function"], "body": {"type": "try", "body": {"type": "action",
             "name": "a"}, "handler": {"type": "sequence", "components": [PROGRAMS["literal"]]}}}  # fmt: skip
    play = Play(again, functions={"x => ({n: x.n + 1})": lambda value, cells: {"value": True}}, most=3)
    assert play.run({}) == (FAILED, TOO_MANY)
    assert len(play.calls) == 3


def test_a_missing_action_is_told_to_the_composition():
    missing = Region(kind=RegionKind.CALL, call=Fault("Failed to resolve action"))
    assert Play(missing).run({}) == (FAILED, "Failed to resolve action")
    caught = Region(kind=RegionKind.TRY, parts=(missing, called("a")))
    assert Play(caught, {"a": lambda args: {"caught": args}}).run({}) == (
        SUCCESS,
        {"caught": {"error": "Failed to resolve action"}},
    )


def let(cells: dict[str, Any], *parts: Region) -> Region:
    return Region(kind=RegionKind.LET, cells=tuple((name, json.dumps(one)) for name, one in cells.items()), parts=parts)


def mask(*parts: Region) -> Region:
    return Region(kind=RegionKind.MASK, parts=parts)


def function(code: str) -> Region:
    return Region(kind=RegionKind.FUNCTION, code=code)


def read(value: Any, cells: dict[str, Any]) -> Any:
    return cells["x"]


def write(value: Any, cells: dict[str, Any]) -> Any:
    cells["x"] = 5


FUNCTIONS = {
    "read": read,
    "write": write,
    "fail": lambda value, cells: {"error": "e", "z": 1},
    "in": lambda value, cells: {"in": value},
    "error": lambda value, cells: {"error": None, "z": 1},
}


@pytest.mark.parametrize(
    ("region", "result"),
    [
        (let({"x": 42}, function("read")), {"value": 42}),
        (let({"x": 42}, let({"x": 69}, mask(function("read")))), {"value": 42}),
        (let({"x": 42}, mask(let({"x": 69}, function("read")))), {"value": 69}),
        (let({"x": 42}, let({"x": 69}, let({"x": -1}, mask(mask(function("read")))))), {"value": 42}),
        (let({"x": 42}, let({"x": 69}, mask(let({"x": -1}, mask(function("read")))))), {"value": 42}),
        (let({"x": 1}, function("write"), function("read")), {"value": 5}),
        (let({"x": 1}, Region(kind=RegionKind.TRY, parts=(let({"x": 2}, function("fail")), function("read")))),
         {"value": 1}),
        (let({"x": 1}, Region(kind=RegionKind.TRY, parts=(Region(kind=RegionKind.SEQUENCE, parts=(function("write"),
         function("fail"))), function("read")))), {"value": 5}),
        (let({"x": 1}, Region(kind=RegionKind.PARALLEL, parts=(Region(kind=RegionKind.SEQUENCE, parts=(
            function("write"), function("read"))), function("read"))), function("in")),
         {"in": {"value": [{"value": 5}, {"value": 1}]}}),
        (let({"x": 1}, Region(kind=RegionKind.PARALLEL, parts=(function("write"),)), function("read")), {"value": 1}),
        (function("error"), {"error": None}),
    ],
)  # fmt: skip
def test_cells_are_seen_and_written_where_stock_does(region, result):
    assert Play(region, functions=FUNCTIONS).run({}) == (SUCCESS, result)


@pytest.mark.parametrize("done", [1, 2, 3])
def test_functions_between_which_nothing_happens_are_asked_for_together_and_those_not_done_again(done):
    inner = Region(kind=RegionKind.SEQUENCE, parts=(function("b"), function("c")))
    chain = Region(kind=RegionKind.SEQUENCE, parts=(function("a"), inner, called("plus"), function("d")))
    asked: list[tuple[str, ...]] = []

    def evaluate(call: Call) -> Evaluated:
        codes = (call.code, *(code for code, _ in call.more))
        asked.append(codes)
        return Evaluated(result=b'{"n":%d}' % len(asked), done=min(done, len(codes)))

    play = Play(chain, {"plus": plus}, evaluate=evaluate)
    assert play.run({}) == (SUCCESS, {"n": len(asked)})
    assert (
        asked
        == {
            1: [("a", "b", "c"), ("b", "c"), ("c",), ("d",)],
            2: [("a", "b", "c"), ("c",), ("d",)],
            3: [("a", "b", "c"), ("d",)],
        }[done]
    )


@pytest.mark.parametrize(
    "between",
    [
        let({"x": 1}, function("b")),
        Region(kind=RegionKind.TRY, parts=(function("b"), mask())),
        called("plus"),
    ],
    ids=["let", "try", "action"],
)  # fmt: skip
def test_no_others_are(between):
    asked: list[int] = []

    def evaluate(call: Call) -> Evaluated:
        asked.append(1 + len(call.more))
        return Evaluated()

    region = Region(kind=RegionKind.SEQUENCE, parts=(function("a"), between, function("c")))
    Play(region, {"plus": plus}, evaluate=evaluate).run({})
    assert set(asked) == {1}


def test_a_value_that_is_saved_is_never_read():
    play = Play(PROGRAMS["if"], {"a": says(True), "b": echo})
    play.run({"big": "x" * 100})
    read = [thing for thing in play.things if b"big" in thing.text]
    assert len(read) == 2, "the parameters, and what b made of them"


def test_a_loop_holds_as_much_in_its_last_iteration_as_in_its_first():
    def alive(rounds: int) -> int:
        play = Play(PROGRAMS["while"], {"a": lambda args: {"value": args["n"] < rounds}, "b": plus}, most=500)
        assert play.run({"n": 0}) == (SUCCESS, {"n": rounds})
        return play.most_alive

    assert alive(100) <= alive(3) + 3  # late ends of attempts come in any order


def test_a_loop_without_actions_lets_others_have_the_loop_and_ends_at_the_time_limit():
    forever = Region(
        kind=RegionKind.WHILE,
        parts=(
            Region(kind=RegionKind.LET, cells=(("value", "true"),), parts=lower(PROGRAMS["literal"], called).parts),
            mask(),
        ),
    )
    play = Play(forever, limit_ms=20)
    assert play.run({}) == (Outcome.DEVELOPER_ERROR, "The action exceeded its time limits of 20 milliseconds.")
    assert play.pauses > 1
    assert BURST > 1


def test_repeat_runs_again_with_its_result_while_its_condition_holds_and_so_often_at_most():
    loop = Region(kind=RegionKind.REPEAT, parts=(called("a"),), condition="value.n < 4", most=10)
    play = Play(loop, {"a": plus})
    assert play.run({"n": 0}) == (SUCCESS, {"n": 4})
    assert [one.tag for one in play.names] == [(0,), (1,), (2,), (3,)]
    few = Region(kind=RegionKind.REPEAT, parts=(called("a"),), condition="true", most=3)
    assert Play(few, {"a": plus}).run({"n": 0}) == (SUCCESS, {"n": 3})
    wrong = Region(kind=RegionKind.REPEAT, parts=(called("a"),), condition="value.missing > 1", most=3)
    outcome, text = Play(wrong, {"a": plus}).run({"n": 0})
    assert outcome is Outcome.DEVELOPER_ERROR
    assert "missing" in text


def test_branches_may_take_longer_than_functions_may():
    branch = Region(kind=RegionKind.SEQUENCE, parts=(called("a"),) * 20)
    play = Play(Region(kind=RegionKind.PARALLEL, parts=(branch, branch)), {"a": plus}, limit_ms=20)
    assert play.run({"n": 0}) == (SUCCESS, {"value": [{"n": 20}, {"n": 20}]})


@pytest.mark.parametrize(
    ("applied", "ended"),
    [
        ({"waited_s": 5.0}, (SUCCESS, {"n": 1})),
        ({}, (Outcome.DEVELOPER_ERROR, "The action exceeded its time limits of 20 milliseconds.")),
        ({"error": "died", "fatal": True, "outcome": Outcome.DEVELOPER_ERROR}, (Outcome.DEVELOPER_ERROR, "died")),
    ],
)
def test_the_wait_for_a_container_counts_for_no_limit_and_its_death_is_nobodys_to_handle(applied, ended):
    function = Region(kind=RegionKind.FUNCTION, code="p => p")
    body = Region(kind=RegionKind.TRY, parts=(function, called("a")))
    machine = Play(body, limit_ms=20).machine
    (apply,) = machine.handle(Entered(Thing(b"{}"), 0.0))
    assert isinstance(apply, Apply)
    (leave,) = machine.handle(Applied(apply.ticket, 5.0, Thing(b'{"n": 1}'), Shape.CLEAN, **applied))
    assert isinstance(leave, Leave)
    assert (leave.outcome, json.loads(answers.json_of(leave.value))) == ended


def test_a_loop_around_branches_ends_as_well():
    parts = (*lower(PROGRAMS["literal"], called).parts, Region(kind=RegionKind.PARALLEL, parts=(called("a"),)))
    true = Region(kind=RegionKind.LET, cells=(("value", "true"),), parts=parts[:1])
    forever = Region(kind=RegionKind.WHILE, parts=(true, parts[1]))
    assert Play(forever, limit_ms=20, most=5).run({}) == (FAILED, TOO_MANY)


def test_a_value_that_doubles_or_nests_without_end_is_an_error_before_anybody_writes_it():
    twice = Region(kind=RegionKind.PARALLEL, parts=(mask(), mask()))
    doubling = Region(kind=RegionKind.SEQUENCE, parts=(twice,) * 40)
    outcome, text = Play(doubling).run({"n": 1})
    assert (outcome, text[:44]) == (FAILED, "The composition put together a value of more")
    caught = Region(kind=RegionKind.TRY, parts=(doubling, called("a")))
    assert Play(caught, {"a": lambda args: {"caught": "error" in args}}).run({}) == (SUCCESS, {"caught": True})
    nesting = Region(kind=RegionKind.SEQUENCE, parts=(lower(PROGRAMS["retain"], lambda _: mask()),) * 300)
    assert Play(nesting).run({})[0] is FAILED


def test_a_move_that_is_not_in_the_table_raises():
    for before, after in TRANSITIONS.items():
        for state in State:
            thread = Thread(text_of(1), Account(1), 0.0, state=before)
            if state in after:
                thread.move(state)
            else:
                with pytest.raises(ValueError, match="cannot become"):
                    thread.move(state)


@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - {"async"}))
def test_a_region_is_the_same_after_its_stored_form(name):
    region = lower(PROGRAMS[name], called)
    graph = Graph(kind=GraphKind.COMPOSITION, steps=(Step(name="root", call=region),), result=())
    assert Graph.from_json(json.loads(json.dumps(graph.to_json()))) == graph
