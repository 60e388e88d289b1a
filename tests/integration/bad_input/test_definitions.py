"""Workflows that are none: refused at deploy time with every finding and its place, or at run time with the reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.deploying import Deployer

ECHO = "def main(args):\n    return args\n"
CONDITION = "{dataflow: 1, steps: {a: {action: hello, inputs: {x: {from: $run.x, when: WHEN}}}}, result: a}"
INVALID = "The request content was malformed:\nThe workflow is not valid:\n"


def refused(live: Deployer, text: str) -> str:
    reply = live.put("refused", text, kind="dataflow:1")
    assert reply.status_code == 400, reply.text
    error: str = reply.json()["error"]
    assert error.startswith(INVALID)
    assert live.call("GET", "actions/refused").status_code == 404, "nothing was stored"
    return error.removeprefix(INVALID)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("dataflow: 1\nsteps: [a: {\n", "workflow (line 2): not valid YAML or JSON: did not find expected node"),
        ("dataflow: 1\nsteps:\n\t- a", "workflow (line 3): the line is indented with a tab, which "),
        ("", "workflow: a workflow is a mapping with dataflow, steps, result, timeout_s, not null"),
        ("[1, 2]", "workflow (line 1): a workflow is a mapping with dataflow, steps, result, timeout_s, not a list"),
        ("a: &a [*a]", "workflow (line 1): alias *a names nothing that ends before it"),
        ("[" * 50, "workflow (line 1): nested deeper than 32"),
        ("--- 1\n--- 2\n", "workflow (line 2): the text holds more than one document"),
        ('{"dataflow": 1, "x": "' + "y" * 300_000 + '"}', "workflow: the text has 300024 bytes, at most 262144 are "),
    ],
)  # fmt: skip
def test_text_that_is_no_workflow_is_refused_with_its_line(live: Deployer, text: str, finding: str):
    assert refused(live, text).startswith(finding)


def test_an_alias_bomb_costs_nothing(live: Deployer):
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert "more than 50000 values, aliases expanded" in refused(live, "\n".join(levels))


def test_a_cycle_is_refused_with_its_steps(live: Deployer):
    text = """
    dataflow: 1
    steps:
      a: {action: hello, inputs: {x: b.y}}
      b: {action: hello, inputs: {y: a.x}}
    result: a
    """
    assert refused(live, text) == "steps.a (line 4): the steps wait for each other in a circle: a → b → a"


def test_every_unknown_name_is_told_of_at_once(live: Deployer):
    text = """
    dataflow: 1
    steps:
      start: {action: hello, inptus: {}}
      next: {action: hello, inputs: {x: stat.y}}
    result: {end: nxt}
    """
    assert refused(live, text).split("\n") == [
        "steps.start.inptus (line 4): unknown key `inptus`: did you mean `inputs`?; known are action, inputs, retry, "
        "repeat, timeout_s, at_most_once",
        "steps.next.inputs.x (line 5): there is no step `stat`: did you mean `start`?",
        "result.end (line 6): there is no step `nxt`: did you mean `next`?",
    ]


def test_unknown_actions_are_refused_with_where_they_were_looked_for(live: Deployer):
    text = "{dataflow: 1, steps: {a: {action: nope}, b: {action: /other/x}}, result: a}"
    assert refused(live, text).split("\n") == [
        "steps.a.action (line 1): step `a` runs action `nope`, which does not exist as /guest/nope: create it first",
        "steps.b.action (line 1): step `b` runs action `/other/x`, which does not exist as /other/x: create it first",
    ]


def test_a_workflow_that_names_itself_is_refused(live: Deployer):
    live.workflow("{dataflow: 1, steps: {a: {action: hello}}, result: a}", name="itself")
    reply = live.put("itself", "{dataflow: 1, steps: {a: {action: itself}}, result: a}", kind="dataflow:1")
    assert reply.status_code == 400
    assert "itself" in reply.json()["error"]


@pytest.mark.parametrize(
    ("condition", "finding"),
    [
        ("value >", "the condition is not valid CEL at column 8: mismatched input '<EOF>'"),
        ("valeu > 1", "unknown variable `valeu`: the only one is `value`, what `from` names"),
        ("(" * 3000 + "value" + ")" * 3000, "the condition has 6005 characters, at most 4096 are allowed"),
        ("value.all(a, value.all(b, value.all(c, true)))", "comprehensions (all, exists, …) nest 3 deep, at most 2"),
        ("__import__('os').system('true')", "unknown"),
    ],
)
def test_a_condition_that_is_no_cel_is_refused(live: Deployer, condition: str, finding: str):
    assert finding in refused(live, CONDITION.replace("WHEN", json.dumps(condition)))


@pytest.mark.parametrize(
    ("value", "kind"),
    [(1, "a number"), ("a", "a string"), (None, "null"), ([1], "a list"), ({}, "an object"), (1.5, "a number")],
)
def test_a_condition_that_is_not_true_or_false_fails_the_run(live: Deployer, value: Any, kind: str):
    live.workflow(CONDITION.replace("WHEN", "value"), name="odd")
    assert live.fail("odd", x=value) == (
        "the condition 'value' on the input 'x' of step 'a' failed: "
        f"condition `value`: the outcome is {kind}, not true or false"
    )
    assert live.run("odd", x=True) == {"hello": "world"}


@pytest.mark.parametrize(
    ("condition", "value", "why"),
    [
        ("value.a.b > 1", 1, "the value (a number) or a part of it has another type than the condition takes"),
        ("value.a.b > 1", {"a": {"b": "x"}}, "has another type than the condition takes"),
        ("1 / value > 0", 0, "division by zero"),
    ],
)
def test_a_condition_that_fails_on_a_value_fails_the_run_with_the_reason(
    live: Deployer, condition: str, value: Any, why: str
):
    live.workflow(CONDITION.replace("WHEN", json.dumps(condition)), name="odd")
    error = live.fail("odd", x=value)
    assert error.startswith(f"the condition '{condition}' on the input 'x' of step 'a' failed: ")
    assert why in error


def test_a_regular_expression_that_would_search_for_ever_does_not(live: Deployer):
    live.workflow(CONDITION.replace("WHEN", "'value.matches(\"(a+)+$\")'"), name="odd")
    reply = live.invoke("odd", {"x": "a" * 60 + "b"})
    assert reply.elapsed.total_seconds() < 5


def test_nesting_as_deep_as_a_request_may_have_passes_every_step(live: Deployer):
    text = """
    dataflow: 1
    steps:
      a: {action: echo, inputs: {x: $run.x}}
      b: {action: echo, inputs: {x: {from: a.x, when: "value != 3"}}}
      c: {action: echo, inputs: {x: {each: b.x}}}
      d: {action: echo, inputs: {x: {gather: c.x}}}
    result: d
    """
    live.workflow(text, name="deep", echo=ECHO)
    body = b'{"x": ' + b"[" * 900 + b"1" + b"]" * 900 + b"}"
    reply = live.call(
        "POST",
        "actions/deep?blocking=true&result=true",
        data=body,
        headers={"Content-Type": "application/json"},
    )
    assert (reply.status_code, reply.content) == (200, body)
