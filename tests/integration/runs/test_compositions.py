"""Compositions of Composer on a live server: what they come to, their records, and what goes wrong in them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.deploying import Deployer
from tests.support.regions import PROGRAMS, composition
from tests.support.waiting import wait_until

ACTIONS = {
    "a": "def main(a): return {**a, 'n': a.get('n', 0) + 1}",
    "b": "def main(a): return {'seen': a}",
    "c": "def main(a): return {'other': a}",
    "fails": "def main(a): return {'error': 'boom', 'more': 1}",
    "big": "def main(a): return {'text': 'x' * 100_000}",
    "array": "def main(a): return [1, 2]",
    "yes": "def main(a): return {'value': True}",
}


@pytest.fixture(scope="module")
def ready(live: Deployer) -> Deployer:
    for name, code in ACTIONS.items():
        live.action(name, code)
    return live


def deploy(live: Deployer, program: Any, name: str = "comp", **more: Any) -> None:
    reply = live.call("PUT", f"actions/{name}?overwrite=true", json=composition(program, "python:3", **more))
    assert reply.status_code == 200, reply.text


def act(name: str) -> dict[str, Any]:
    return {"type": "action", "name": f"/_/{name}"}


def seq(*parts: Any) -> dict[str, Any]:
    return {"type": "sequence", "components": list(parts)}


def fun(code: str) -> dict[str, Any]:
    return {"type": "function", "function": {"exec": {"kind": "nodejs:default", "code": code}}}


@pytest.mark.parametrize(
    ("program", "given", "result"),
    [
        (PROGRAMS["sequence"], {"n": 1}, {"seen": {"n": 2}}),
        (PROGRAMS["repeat"], {"n": 1}, {"n": 3}),
        (PROGRAMS["retain"], {"n": 1}, {"params": {"n": 1}, "result": {"n": 2}}),
        (PROGRAMS["parallel"], {"n": 1}, {"value": [{"n": 2}, {"seen": {"n": 1}}]}),
        (PROGRAMS["map"], {"value": [1, {"n": 5}]}, {"value": [{"value": 1, "n": 1}, {"n": 6}]}),
        (seq(fun("x => ({n: x.n * 10})"), act("a")), {"n": 1}, {"n": 11}),
        (seq(act("array"), act("b")), {}, {"seen": {"value": [1, 2]}}),
        ({"type": "try", "body": act("fails"), "handler": act("b")}, {}, {"seen": {"error": "boom"}}),
        ({"type": "let", "declarations": {"x": 1}, "components": [fun("() => { x = 5 }"), act("a"), fun("() => x")]},
         {}, {"value": 5}),
        (act("b"), {"$composer": {"redis": {"uri": "redis://nowhere"}}, "n": 1}, {"seen": {"n": 1}}),
    ],
)  # fmt: skip
def test_a_composition_comes_to_what_stock_measured(ready, program, given, result):
    deploy(ready, program)
    assert ready.run("comp", **given) == result


def test_a_composition_is_one_activation_and_its_actions_are_records_with_cause(ready):
    deploy(ready, seq(act("a"), seq(act("a"), act("a"))))
    reply = ready.call("POST", "actions/comp?blocking=true", json={}).json()
    notes = {one["key"]: one["value"] for one in reply["annotations"]}
    assert (notes["kind"], notes["conductor"], notes["topmost"], notes["path"]) == (
        "sequence",
        True,
        True,
        "guest/comp",
    )
    records = [ready.record(one) for one in reply["logs"]]
    assert [one["response"]["result"] for one in records] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert {one["cause"] for one in records} == {reply["activationId"]}
    assert reply["duration"] == sum(one["duration"] for one in records)


def test_what_functions_write_and_throw_is_in_the_record(ready):
    deploy(ready, seq(fun("() => { console.log('so far') }"), fun("() => { throw new Error('no further') }")))
    reply = ready.call("POST", "actions/comp?blocking=true", json={}).json()
    log = next(one["value"] for one in reply["annotations"] if one["key"] == "functionLog")
    assert "so far" in log
    assert "no further" in log


def test_a_composition_in_a_composition_has_a_record_of_its_own(ready):
    deploy(ready, seq(act("a"), act("a")), "inner")
    deploy(ready, seq(act("inner"), act("b")))
    reply = ready.call("POST", "actions/comp?blocking=true", json={}).json()
    assert reply["response"]["result"] == {"seen": {"n": 2}}
    inner, last = (ready.record(one) for one in reply["logs"])
    assert (inner["name"], inner["cause"], len(inner["logs"])) == ("inner", reply["activationId"], 2)
    assert last["name"] == "b"


def test_actions_of_compositions_inside_count_as_those_of_the_one_around_them(ready):
    deploy(ready, seq(*[act("a")] * 30), "inner")
    deploy(ready, seq(act("inner"), act("inner")))
    reply = ready.call("POST", "actions/comp?blocking=true", json={}).json()
    assert reply["response"]["result"] == {"error": "Too many actions in the composition."}
    assert [len(ready.record(one)["logs"]) for one in reply["logs"]] == [30, 20]


def test_large_data_go_from_action_to_action_and_through_saved_values(ready):
    deploy(ready, {"type": "let", "declarations": {"params": None}, "components": PROGRAMS["retain"]["components"]})
    deploy(ready, seq(act("big"), PROGRAMS["parallel"], act("b")))
    seen = ready.run("comp")["seen"]["value"]
    assert [len(seen[0]["text"]), len(seen[1]["seen"]["text"])] == [100_000, 100_000]


@pytest.mark.parametrize(
    ("program", "error"),
    [
        (act("nosuch"), "Failed to resolve action with name 'guest/nosuch' during composition."),
        (fun("() => { throw new Error('x') }"), "Function combinator threw an exception at AST node root (see log"),
        (fun("() => eval('process.env')"), "uses `process`"),
        ({"type": "while_nosave", "test": fun("() => true"), "body": seq()}, "exceeded its time limits of 1000"),
        (seq(*[act("a")] * 51), "Too many actions in the composition."),
    ],
)
def test_what_goes_wrong_is_told_and_the_server_goes_on(ready, program, error):
    body = composition(program, "python:3")
    body["limits"]["timeout"] = 1000
    assert ready.call("PUT", "actions/comp?overwrite=true", json=body).status_code == 200
    assert error in ready.fail("comp")
    deploy(ready, act("a"))
    assert ready.run("comp") == {"n": 1}


def test_a_running_composition_is_traced_and_cancelled(ready):
    ready.action("slow", "import time\ndef main(a): time.sleep(20)")
    deploy(ready, seq(act("a"), act("slow")))
    run = ready.call("POST", "actions/comp", json={}).json()["activationId"]

    def at_work() -> bool:
        live = ready.call("GET", f"activations/{run}/trace").json().get("live") or {}
        return any(one["name"].endswith("slow") for one in live.get("live", ()))

    wait_until(at_work)
    assert ready.call("POST", f"activations/{run}/cancel").status_code in (200, 202)
    wait_until(lambda: ready.call("GET", f"activations/{run}").status_code == 200)
    assert "cancelled" in ready.record(run)["response"]["result"]["error"]


def test_a_composition_runs_in_a_sequence_and_in_a_workflow(ready):
    deploy(ready, seq(act("a"), act("a")), "inner")
    ready.call(
        "PUT", "actions/s?overwrite=true", json={"exec": {"kind": "sequence", "components": ["/_/inner", "/_/a"]}}
    )
    assert ready.run("s") == {"n": 3}
    ready.workflow("dataflow: 1\nsteps:\n  one: {action: inner, inputs: $run}\nresult: {n: one.n}\n", "flow")
    assert ready.run("flow", n=5) == {"n": 7}


@pytest.mark.parametrize(
    ("params", "result"),
    [
        ({"type": "action", "name": "b", "params": {"k": 1}}, {"seen": {"k": 1}}),
        ({"type": "action", "name": "b", "params": [1]}, {"seen": {"value": [1]}}),
        ({"type": "action", "name": "/_/p/b", "params": {}}, {"seen": {"of": "package", "by": "action"}}),
    ],
)
def test_an_action_that_is_named_by_data_is_run(ready, params, result):
    ready.call("PUT", "packages/p?overwrite=true", json={"parameters": [{"key": "of", "value": "package"}]})
    code = {"kind": "python:3", "code": "def main(a): return {'seen': a}"}
    given = [{"key": "by", "value": "action"}]
    ready.call("PUT", "actions/p/b?overwrite=true", json={"exec": code, "parameters": given})
    deploy(ready, {"type": "dynamic"})
    assert ready.run("comp", **params) == result


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"a": 1}, "Incorrect use of the dynamic combinator at AST node root"),
        ({"type": "action", "name": "b", "params": 1}, "Incorrect use of the dynamic combinator at AST node root"),
        (
            {"type": "action", "name": "nosuch", "params": {}},
            "Failed to resolve action with name 'guest/nosuch' during",
        ),
        (
            {"type": "action", "name": "bad#name", "params": {}},
            'Failed to parse action name from json value "bad#name"',
        ),
        (
            {"type": "action", "name": "/other/b", "params": {}},
            "Failed entitlement check for action with name 'other/b'",
        ),
        ({"type": "action", "name": "conductor", "params": {}}, "/guest/conductor runs by control flow"),
        ({"type": "action", "name": "around", "params": {}}, "/guest/around runs by control flow, or has a part"),
        ({"type": "action", "name": "broken", "params": {}}, "step `x` runs action `gone`, which does not exist"),
    ],
)
def test_an_action_that_cannot_be_named_by_data_is_told_to_the_composition(ready, params, error):
    conductor = {"kind": "python:3", "code": "def main(args): return args"}
    notes = [{"key": "conductor", "value": True}]
    ready.call("PUT", "actions/conductor?overwrite=true", json={"exec": conductor, "annotations": notes})
    put(ready, "around", {"kind": "sequence", "components": ["/_/conductor"]})
    ready.action("gone", "def main(args): return args")
    ready.workflow("dataflow: 1\nsteps: {x: {action: gone}}\nresult: x", "broken")
    ready.call("DELETE", "actions/gone")
    ready._deployed.clear()
    deploy(ready, {"type": "try", "body": {"type": "dynamic"}, "handler": act("b")})
    assert error in ready.run("comp", **params)["seen"]["error"]


def put(live, name, exec_):
    live.call("PUT", f"actions/{name}?overwrite=true", json={"exec": exec_}).raise_for_status()


NAMED = {
    "a sequence": ("twice", {"n": 3}, ["a", "a"]),
    "a workflow": ("flow", {"n": 2}, ["a"]),
    "a composition": ("inner", {"n": 3}, ["a", "a"]),
    "through a binding": ("bound/twice", {"n": 3}, ["a", "a"]),
}


@pytest.mark.parametrize(("name", "result", "parts"), NAMED.values(), ids=NAMED)
def test_what_is_named_by_data_may_be_a_run_of_its_own(ready, name, result, parts):
    ready.call("PUT", "packages/p?overwrite=true", json={}).raise_for_status()
    binding = {"binding": {"namespace": "_", "name": "p"}}
    ready.call("PUT", "packages/bound?overwrite=true", json=binding)
    for full in ("twice", "p/twice"):
        put(ready, full, {"kind": "sequence", "components": ["/_/a", "/_/a"]})
    ready.workflow("dataflow: 1\nsteps: {x: {action: a, inputs: $run}}\nresult: x", "flow")
    deploy(ready, {"type": "sequence", "components": [act("a"), act("a")]}, "inner")
    deploy(ready, {"type": "dynamic"})
    run, (part,) = ready.firings("comp", type="action", name=name, params={"n": 1})
    assert run["response"]["result"] == result
    assert (part["name"], part["cause"]) == (name.rpartition("/")[2], run["activationId"])
    assert [ready.finished(one)["name"] for one in part["logs"]] == parts


def test_the_parameters_of_what_runs_inside_lie_under_what_it_is_given(ready):
    given = [{"key": "k", "value": 1}, {"key": "n", "value": 0}]
    body = {**composition(fun("p => ({seen: p})"), "python:3"), "parameters": given}
    ready.call("PUT", "actions/mine?overwrite=true", json=body).raise_for_status()
    seen = {"seen": {"k": 1, "n": 5}}
    deploy(ready, act("mine"))
    assert ready.run("comp", n=5) == seen
    deploy(ready, {"type": "dynamic"})
    assert ready.run("comp", type="action", name="mine", params={"n": 5}) == seen
    put(ready, "beside", {"kind": "sequence", "components": ["/_/mine"]})
    assert ready.run("beside", n=5) == seen
    text = "dataflow: 1\nsteps: {x: {action: a, inputs: $run}}\nresult: x"
    ready.put("mine", text, "dataflow:1", parameters=given).raise_for_status()
    assert ready.run("beside") == {"k": 1, "n": 1}


def test_what_is_named_is_what_it_is_at_that_moment(ready):
    deploy(ready, {"type": "dynamic"})
    for components in (["/_/a"], ["/_/a"] * 3):
        put(ready, "changing", {"kind": "sequence", "components": components})
        told = ready.run("comp", type="action", name="changing", params={"n": 0})
        assert told == {"n": len(components)}


def test_names_that_lead_back_to_their_run_end(ready):
    """A composition may run itself as often as stock lets it; sequences between are bounded, too."""
    again = fun("p => ({type: 'action', name: p.next, params: p})")
    deploy(ready, {"type": "sequence", "components": [again, {"type": "dynamic"}]}, "endless")
    put(ready, "loop", {"kind": "sequence", "components": ["/_/endless"]})
    assert ready.fail("endless", next="endless") == "Too many actions in the composition."
    assert ready.fail("endless", next="loop") == "Too many actions in the composition."


def test_a_composition_that_is_all_async_is_one_too(ready):
    deploy(ready, {"type": "async", "components": [{"type": "async", "components": [act("a")]}]})
    told = ready.run("comp", n=1)
    wait_until(lambda: ready.call("GET", f"activations/{told['activationId']}").status_code == 200)
    told = ready.record(told["activationId"])["response"]["result"]
    wait_until(lambda: ready.call("GET", f"activations/{told['activationId']}").status_code == 200)
    assert ready.record(told["activationId"])["response"]["result"] == {"n": 2}


def test_an_async_part_is_a_run_of_its_own_that_sees_the_variables_around_it(ready):
    part = {"type": "async", "components": [act("a"), fun("p => ({n: p.n, x})")]}
    deploy(ready, {"type": "let", "declarations": {"x": 1}, "components": [fun("() => { x = 5 }"), part]})
    reply = ready.call("POST", "actions/comp?blocking=true", json={"n": 1}).json()
    told = reply["response"]["result"]
    assert (told["method"], told["sessionId"]) == ("async", reply["activationId"])
    wait_until(lambda: ready.call("GET", f"activations/{told['activationId']}").status_code == 200)
    record = ready.record(told["activationId"])
    assert (record["name"], record["response"]["result"]) == ("comp", {"n": 2, "x": 5})
    assert len(record["logs"]) == 1
    assert "cause" not in record


def test_what_many_branches_come_to_may_be_more_than_one_action_may(ready):
    deploy(ready, {"type": "map", "components": [act("big")]})
    found = ready.run("comp", value=list(range(30)))["value"]
    assert [len(one["text"]) for one in found] == [100_000] * 30


def test_a_function_for_each_of_many_elements_is_evaluated(ready):
    deploy(ready, {"type": "map", "components": [fun("p => p.value + 1")]})
    assert ready.run("comp", value=list(range(1500))) == {"value": [{"value": n + 1} for n in range(1500)]}


def test_what_a_function_nests_too_deep_to_be_read_is_an_error_of_the_composition(ready):
    deploy(ready, fun("() => ({error: JSON.parse('['.repeat(3000) + ']'.repeat(3000))})"))
    assert ready.fail("comp").startswith("The value cannot be read: ")
