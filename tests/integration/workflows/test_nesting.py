"""Workflows in workflows, other kinds of steps, and what is fixed when a run is accepted."""

from __future__ import annotations

from pathlib import Path

from tests.support.deploying import Deployer
from tests.support.waiting import wait_until

ECHO = "def main(args):\n    return args\n"
DOUBLE = "def main(args):\n    return {'n': 2 * args['n']}\n"


def test_a_step_may_name_another_workflow(live: Deployer):
    live.workflow(
        "{dataflow: 1, steps: {d: {action: double, inputs: $run}}, result: {n: d.n}}", name="inner", double=DOUBLE
    )
    text = """
    dataflow: 1
    steps:
      i: {action: inner, inputs: {n: $run.n}}
      j: {action: double, inputs: {n: i.n}}
    result: j
    """
    live.workflow(text)
    assert live.run(n=3) == {"n": 12}


def test_a_step_below_an_each_may_be_a_workflow(live: Deployer):
    live.workflow(
        "{dataflow: 1, steps: {d: {action: double, inputs: $run}}, result: {n: d.n}}", name="inner", double=DOUBLE
    )
    text = """
    dataflow: 1
    steps:
      one: {action: inner, inputs: {n: {each: $run.items}}}
      all: {action: echo, inputs: {of: {gather: one.n}}}
    result: all
    """
    live.workflow(text, echo=ECHO)
    assert live.run(items=[1, 2, 3]) == {"of": [2, 4, 6]}


def test_the_failure_of_a_workflow_is_that_of_its_step_and_can_be_handled(live: Deployer):
    fail = "def main(args):\n    return {'error': {'code': 7}}\n"
    live.workflow("{dataflow: 1, steps: {f: {action: fails}}, result: f}", name="inner", fails=fail)
    live.workflow("{dataflow: 1, steps: {i: {action: inner}}, result: i}")
    assert live.fail() == {"code": 7}
    text = "{dataflow: 1, steps: {i: {action: inner}, h: {action: echo, inputs: {why: i.$error}}}, result: h}"
    live.workflow(text, echo=ECHO)
    assert live.run() == {"why": {"code": 7}}


def test_a_step_may_name_a_sequence(live: Deployer):
    live.action("double", DOUBLE)
    sequence = {"kind": "sequence", "components": ["/_/double", "/_/double"]}
    live.call("PUT", "actions/four?overwrite=true", json={"exec": sequence}).raise_for_status()
    live.workflow("{dataflow: 1, steps: {f: {action: four, inputs: $run}}, result: f}")
    assert live.run(n=1) == {"n": 4}


def test_a_workflow_may_be_a_component_of_a_sequence(live: Deployer):
    live.workflow("{dataflow: 1, steps: {d: {action: double, inputs: $run}}, result: d}", name="inner", double=DOUBLE)
    sequence = {"kind": "sequence", "components": ["/_/double", "/_/inner"]}
    live.call("PUT", "actions/mixed?overwrite=true", json={"exec": sequence}).raise_for_status()
    assert live.run("mixed", n=1) == {"n": 4}


def test_steps_run_the_actions_that_were_there_when_the_run_was_accepted(live: Deployer, tmp_path: Path):
    text = """
    dataflow: 1
    steps:
      wait: {action: waits, inputs: $run}
      after: {action: version, inputs: {done: wait.done}}
    result: after
    """
    waits = """\
import os, time
def main(args):
    open(args['begun'], 'w').close()
    deadline = time.time() + 15
    while not os.path.exists(args['go']) and time.time() < deadline:
        time.sleep(0.01)
    return {'done': True}
"""
    live.workflow(text, waits=waits, version="def main(args):\n    return {'version': 'old'}\n")
    begun, go = tmp_path / "begun", tmp_path / "go"
    reply = live.call("POST", "actions/flow", json={"begun": str(begun), "go": str(go)})
    wait_until(begun.exists, within_s=10, message="the first step began")
    new = "def main(args):\n    return {'version': 'new'}\n"
    live.workflow("{dataflow: 1, steps: {w: {action: version}}, result: w}", version=new)
    go.touch()
    run = live.finished(reply.json()["activationId"])
    assert run["response"]["result"] == {"version": "old"}
    assert live.run() == {"version": "new"}


def test_a_step_s_action_is_looked_up_in_the_workflow_s_package_first(live: Deployer):
    live.call("PUT", "packages/pack?overwrite=true", json={}).raise_for_status()
    live.action("who", "def main(args):\n    return {'who': 'namespace'}\n")
    live.workflow("{dataflow: 1, steps: {w: {action: who}}, result: w}", name="pack/flow")
    assert live.run("pack/flow") == {"who": "namespace"}
    live.action("pack/who", "def main(args):\n    return {'who': 'package'}\n")
    live.workflow("{dataflow: 1, steps: {w: {action: who}}, result: w}", name="pack/flow")
    assert live.run("pack/flow") == {"who": "package"}


def test_parameters_of_the_workflow_are_defaults_of_the_run(live: Deployer):
    text = "{dataflow: 1, steps: {a: {action: echo, inputs: $run}}, result: a}"
    live.action("echo", ECHO)
    live.put("flow", text, kind="dataflow:1", parameters=[{"key": "x", "value": 1}, {"key": "y", "value": 2}])
    assert live.run(y=3) == {"x": 1, "y": 3}
