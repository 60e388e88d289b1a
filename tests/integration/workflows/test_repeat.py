"""Steps that repeat, on a live server."""

from __future__ import annotations

from tests.support.deploying import Deployer

GROW = "def main(a): return {'n': a['n'] + 1, 'list': [a['n']]}"
BOOM = "def main(a): return {'error': 'at ' + str(a['n'])} if a['n'] == 3 else {'n': a['n'] + 1}"
ECHO = "def main(a): return a"


def test_a_step_repeats_with_its_result_while_its_condition_holds(live: Deployer):
    text = """
    dataflow: 1
    steps:
      grow: {action: grow, inputs: {n: $run.n}, repeat: {while: value.n < 5, max: 100}}
      echo: {action: echo, inputs: {last: grow.n, items: grow.list}}
    result: echo
    """
    live.workflow(text, grow=GROW, echo=ECHO)
    reply = live.call("POST", "actions/flow?blocking=true", json={"n": 1}).json()
    assert reply["response"]["result"] == {"last": 5, "items": [4]}
    records = [live.record(one) for one in reply["logs"]]
    lines = [next(one["value"] for one in each["annotations"] if one["key"] == "dataflow") for each in records]
    assert [(one["step"], one["tag"]) for one in lines] == [
        ("grow", [0]), ("grow", [1]), ("grow", [2]), ("grow", [3]), ("echo", []),
    ]  # fmt: skip


def test_a_loop_ends_after_so_many_iterations(live: Deployer):
    text = "{dataflow: 1, steps: {g: {action: grow, inputs: $run, repeat: {while: 'true', max: 3}}}, result: {n: g.n}}"
    live.workflow(text, grow=GROW)
    assert live.run(n=0) == {"n": 3}


def test_a_workflow_repeats_for_each_item(live: Deployer):
    live.workflow("{dataflow: 1, steps: {g: {action: grow, inputs: $run}}, result: {n: g.n}}", "inner", grow=GROW)
    text = """
    dataflow: 1
    steps:
      one: {action: inner, inputs: {n: {each: $run.items}}, repeat: {while: value.n < 10, max: 20}}
      all: {action: echo, inputs: {of: {gather: one.n}}}
    result: all
    """
    live.workflow(text, echo=ECHO)
    assert live.run(items=[1, 50, 8, 9]) == {"of": [10, 51, 10, 10]}


def test_an_error_ends_the_loop_and_can_be_handled(live: Deployer):
    text = """
    dataflow: 1
    steps:
      boom: {action: boom, inputs: $run, repeat: {while: 'true', max: 9}}
      note: {action: echo, inputs: {why: boom.$error}}
    result: note
    """
    live.workflow(text, boom=BOOM, echo=ECHO)
    assert live.run(n=1) == {"why": "at 3"}


def test_a_condition_that_cannot_be_evaluated_fails_the_step(live: Deployer):
    live.workflow(
        "{dataflow: 1, steps: {g: {action: grow, inputs: $run, repeat: {while: value.nope > 1, max: 3}}}, result: g}",
        grow=GROW,
    )
    assert "nope" in live.fail(n=1)
