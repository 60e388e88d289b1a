import json
import pickle

import pytest
from hypothesis import example, given, settings, strategies as st

from action_runtime.wire.errors import Blame
from controller_ext.workflow.errors import DefinitionError, WorkflowInvalid
from controller_ext.workflow.native import parse
from invoker_ext.contract.graph import ERROR, RUN, WHOLE, Edge, EdgeKind, Input, Source

WORDCOUNT = """\
dataflow: 1
steps:
  start:
    action: start
    inputs: {texts: $run.texts}
  count:
    action: count
    inputs: {file: {each: start.file}}
  merge:
    action: merge
    inputs: {counts: {gather: count.words}}
result: merge
"""


def flow(steps: str, result: str = "{}") -> str:
    """Return a workflow of `name: inputs` lines; each step runs the action `a`."""
    lines = ["dataflow: 1", "steps:"]
    for line in steps.strip().splitlines():
        name, _, inputs = line.strip().partition(":")
        lines.append(f"  {name}: {{action: a{', inputs: ' + inputs if inputs.strip() else ''}}}")
    return "\n".join([*lines, f"result: {result}"])


def findings(text: str) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        parse(text)
    return [str(finding) for finding in caught.value.findings]


def scopes(text: str) -> dict[str, tuple[str, ...]]:
    return {step.name: step.scope for step in parse(text).steps}


def edge(text: str) -> Edge:
    """Return the edge of input `x` of step `it` beside steps `s` and `t`."""
    definition = parse(flow(f"s:\nt:\nit: {{x: {text}}}"))
    return next(step for step in definition.steps if step.name == "it").inputs[0].edge


def test_the_example_of_the_design_is_read():
    definition = parse(WORDCOUNT)
    assert [step.name for step in definition.steps] == ["start", "count", "merge"]
    assert [step.scope for step in definition.steps] == [(), ("start",), ()]
    assert definition.steps[1].inputs == (Input("file", Edge(kind=EdgeKind.EACH, source=Source("start", "file"))),)
    assert definition.result == (Input(WHOLE, Edge(kind=EdgeKind.VALUE, source=Source("merge"))),)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("s", Edge(kind=EdgeKind.VALUE, source=Source("s", WHOLE))),
        ("s.out", Edge(kind=EdgeKind.VALUE, source=Source("s", "out"))),
        ("s.$error", Edge(kind=EdgeKind.VALUE, source=Source("s", ERROR))),
        ("$run", Edge(kind=EdgeKind.VALUE, source=Source(RUN, WHOLE))),
        ("$run.x", Edge(kind=EdgeKind.VALUE, source=Source(RUN, "x"))),
        ("{each: $run.x}", Edge(kind=EdgeKind.EACH, source=Source(RUN, "x"))),
        (
            "{each: {from: s.out, when: value.ok}}",
            Edge(kind=EdgeKind.EACH, source=Source("s", "out"), when="value.ok"),
        ),
        ("{from: s.out, when: 'value > 3'}", Edge(kind=EdgeKind.VALUE, source=Source("s", "out"), when="value > 3")),
        ("{from: s.out, optional: true}", Edge(kind=EdgeKind.VALUE, source=Source("s", "out"), optional=True)),
        ("{stream: s.out}", Edge(kind=EdgeKind.STREAM, source=Source("s", "out"))),
        ("{value: [1, yes, null]}", Edge(kind=EdgeKind.CONSTANT, constant='[1,"yes",null]')),
        (
            "{any: [s.out, {any: [t, {value: 1}]}], optional: true}",
            Edge(
                kind=EdgeKind.ANY,
                optional=True,
                alternatives=(
                    Edge(kind=EdgeKind.VALUE, source=Source("s", "out")),
                    Edge(kind=EdgeKind.VALUE, source=Source("t")),
                    Edge(kind=EdgeKind.CONSTANT, constant="1"),
                ),
            ),
        ),
    ],
)
def test_each_form_of_an_edge_is_read(written, read):
    assert edge(written) == read


@pytest.mark.parametrize(
    ("written", "finding"),
    [
        ("nope.out", "there is no step `nope`; there are "),
        ("its.x", "there is no step `its`: did you mean `it`?"),
        ("it.out", "cannot read its own output"),
        ("s.", "names no output"),
        ("'s. out'", "names no output"),
        ("s.a.b", "is a path"),
        ("s.$nope", "does not exist"),
        ("$run.$error", "does not exist"),
        ("a b", "is not a step or one of its outputs"),
        ("3", "a number is no edge"),
        ("[s]", "a list is no edge"),
        ("{}", "has none of them"),
        ("{form: s}", "did you mean `from`?"),
        ("{from: s, each: s.x}", "has `from` and `each`"),
        ("{from: s, optonal: true}", "did you mean `optional`?"),
        ("{from: s, optional: 1}", "must be true or false, not a number"),
        ("{from: 3}", "names an output by a string"),
        ("{from: s, when: 3}", "a condition is a string in CEL"),
        ("{from: s, when: 'value >'}", "not valid CEL"),
        ("{from: s, when: 'x > 1'}", "unknown variable `x`"),
        ("{each: s.x, when: value}", "write {each: {from: …, when: …}}"),
        ("{gather: s.x, when: value}", "`when` stands beside `from`, not beside `gather`"),
        ("{each: s}", "`each` ranges over the items of one output; `s` has none"),
        ("{each: $run}", "`$run` has none"),
        ("{each: s.$error}", "`s.$error` has none"),
        ("{each: {gather: s.x}}", "`gather` cannot stand in `each`"),
        ("{each: {from: s.x, optional: true}}", "`optional` stands beside `each`"),
        ("{gather: s.x}", "`s` is not below one"),
        ("{gather: $run.x}", "`$run` is not below one"),
        ("{stream: s}", "name one, `step.output`"),
        ("{stream: $run.x}", "while its step still runs"),
        ("{any: []}", "takes a list of 1 to 64 edges"),
        ("{any: s}", "takes a list"),
        ("{any: [{each: s.x}]}", "`each` cannot stand in `any`"),
        ("{any: [{gather: s.x}]}", "`gather` cannot stand in `any`"),
        ("{any: [{stream: s.x}]}", "`stream` cannot stand in `any`"),
        ("{any: [{from: s.x, optional: true}]}", "`optional` stands beside `any`"),
        ("{any: [{value: 1}, s]}", "never reached"),
        ("{value: 1, optional: true}", "unknown key `optional`"),
        ("{value: 1e999}", "not a JSON number"),
    ],
)
def test_a_wrong_edge_is_explained(written, finding):
    found = findings(flow(f"s:\nit: {{x: {written}}}"))
    assert any(finding in one for one in found), found
    assert all(one.startswith("steps.it.inputs.x") for one in found), found


def test_a_finding_has_path_and_line():
    assert findings(WORDCOUNT.replace("each: start.file", "each: strat.file")) == [
        "steps.count.inputs.file.each (line 8): there is no step `strat`: did you mean `start`?",
    ]


def test_all_findings_are_reported_together_in_the_order_of_the_text():
    found = findings("dataflow: 2\nsteps:\n  a b: {action: /x}\n  c: {inputs: {x: d}}\n  c: {}\nextra: 1\n")
    assert [one.partition(":")[0] for one in found] == [
        "workflow (line 1)", "dataflow (line 1)", "steps.a b (line 3)", "steps.a b.action (line 3)",
        "steps.c (line 5)", "steps.c (line 5)", "extra (line 6)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("[]", "workflow (line 1): a workflow is a mapping"),
        ("", "a workflow is a mapping with dataflow, steps, result, timeout_s, not null"),
        ("{dataflow: true, steps: {a: {action: a}}, result: a}", "is the version of the format, 1, not true"),
        ("{dataflow: 1, steps: {}, result: {}}", "at least one step"),
        ("{dataflow: 1, steps: [], result: {}}", "`steps` must be a mapping, not a list"),
        ("{dataflow: 1, steps: {a: {action: a}}}", "`result` is missing: it names the step whose result is the run's"),
        ("{steps: {a: {action: a}}, result: a}", "`dataflow` is missing: begin with `dataflow: 1`"),
        ("{dataflow: 1, step: {a: {action: a}}, result: a}", "unknown key `step`: did you mean `steps`?"),
        ("{dataflow: 1, steps: {a: b}, result: a}", "steps.a (line 1): a step must be a mapping, not a string"),
        ("{dataflow: 1, steps: {a: {actoin: a}}, result: a}", "did you mean `action`?"),
        ("{dataflow: 1, steps: {1a: {action: a}}, result: {}}", "a step's name is a letter"),
        ("{dataflow: 1, steps: {$run: {action: a}}, result: {}}", "a step's name is a letter"),
        ("{dataflow: 1, steps: {a: {action: a/b/c/d}}, result: a}", "steps.a.action (line 1): names an action"),
        ("{dataflow: 1, steps: {a: {action: 3}}, result: a}", "names an action"),
        ("{dataflow: 1, steps: {a: {action: a, inputs: 3}}, result: a}", "one edge (a string) or a mapping"),
        ("{dataflow: 1, steps: {a: {action: a, inputs: {$x: $run}}}, result: a}", "does not begin with $"),
        ("{dataflow: 1, steps: {a: {action: a, retry: 3}}, result: a}", "`retry` must be a mapping, not a number"),
        ("{dataflow: 1, steps: {a: {action: a, retry: {attempts: 0}}}, result: a}", "from 1 to 100, not 0"),
        ("{dataflow: 1, steps: {a: {action: a, retry: {attempts: 1.5}}}, result: a}", "a whole number"),
        ("{dataflow: 1, steps: {a: {action: a, retry: {backoff_s: -1}}}, result: a}", "steps.a.retry.backoff_s"),
        ("{dataflow: 1, steps: {a: {action: a, retry: {times: 2}}}, result: a}", "unknown key `times`"),
        ("{dataflow: 1, steps: {a: {action: a, repeat: 3}}, result: a}", "`repeat` must be a mapping, not a number"),
        ("{dataflow: 1, steps: {a: {action: a, repeat: {max: 3}}}, result: a}", "steps.a.repeat"),
        ("{dataflow: 1, steps: {a: {action: a, repeat: {while: 'true'}}}, result: a}", "steps.a.repeat"),
        ("{dataflow: 1, steps: {a: {action: a, repeat: {while: 'true', max: 0}}}, result: a}", "from 1 to 10000"),
        ("{dataflow: 1, steps: {a: {action: a, repeat: {while: 'x > 1', max: 2}}}, result: a}", "steps.a.repeat.while"),
        ("{dataflow: 1, steps: {a: {action: a, repeat: {while: true, max: 2}}}, result: a}", "a string in CEL"),
        (
            "{dataflow: 1, steps: {s: {action: s}, a: {action: a, inputs: {x: {stream: s.y}}, "
            "repeat: {while: 'true', max: 2}}}, result: a}",
            "step `a` repeats, so it cannot read a stream",
        ),
        ("{dataflow: 1, steps: {a: {action: a, timeout_s: true}}, result: a}", "steps.a.timeout_s"),
        ("{dataflow: 1, steps: {a: {action: a}}, result: a, timeout_s: 0}", "a number of seconds from 0.001"),
        ("{dataflow: 1, steps: {a: {action: a, at_most_once: 1}}, result: a}", "true or false"),
        (
            "{dataflow: 1, steps: {a: {action: a, at_most_once: true, retry: {attempts: 2}}}, result: a}",
            "2 attempts contradict",
        ),
        ("{dataflow: 1, steps: {a: {action: a}}, result: {x: {each: a.b}}}", "`each` cannot stand in the result"),
        ("{dataflow: 1, steps: {a: {action: a}}, result: {x: {stream: a.b}}}", "the result cannot be streamed"),
        ("{dataflow: 1, steps: {a: {action: a}}, result: [a]}", "result (line 1): must be one edge"),
        ("{dataflow: 1, steps: {a: {action: a, inputs: {$all: {value: 3}}}}, result: a}", "must be a mapping"),
        ("{dataflow: 1, steps: {a: {action: a, inputs: nope}}, result: a}", "steps.a.inputs (line 1): there is no"),
        ("{dataflow: 1, steps: {a: {action: a, retry: {attempts: 99999999999999999999}}}, result: a}", "such a large"),
        ("{dataflow: 1, steps: {a: {action: a, timeout_s: 1e999}}, result: a}", "such a large number"),
        (
            "{dataflow: 1, result: a, steps: {s: {action: a}, b: {action: a, inputs: {x: {each: s.i}}}, "
            "a: {action: a, inputs: {$all: {gather: b.o}}}}}",
            "a gather is a list",
        ),
    ],
)  # fmt: skip
def test_a_wrong_key_or_number_is_explained(text, finding):
    found = findings(text)
    assert any(finding in one for one in found), found


def test_a_step_may_tell_how_often_and_how_long_it_runs():
    step = parse(
        "{dataflow: 1, timeout_s: 60, result: a, steps: {a: {action: /_/p/a, timeout_s: 1.5, "
        "retry: {attempts: 3, backoff_s: 2}}}}"
    ).steps[0]
    assert (step.action, step.attempts, step.backoff_s, step.timeout_s) == ("/_/p/a", 3, 2.0, 1.5)


def test_a_string_as_inputs_feeds_all_parameters():
    assert parse(flow("a: $run")).steps[0].inputs == (Input(WHOLE, Edge(kind=EdgeKind.VALUE, source=Source(RUN))),)


def test_all_parameters_can_be_fed_beside_single_ones():
    inputs = parse(flow("a:\nb: {$all: $run, x: a.y}")).steps[1].inputs
    assert [one.name for one in inputs] == [WHOLE, "x"]


def test_names_in_inputs_and_result_may_be_words_of_the_format():
    definition = parse(flow("a: {from: $run.x, value: $run.y, on: $run.z}", "{any: a.b}"))
    assert [one.name for one in definition.steps[0].inputs] == ["from", "value", "on"]
    assert definition.result[0].name == "any"


def test_steps_come_in_topological_order_and_else_as_written():
    definition = parse(flow("z: {x: b.o}\nc:\nb: {x: a.o}\na:"))
    assert [step.name for step in definition.steps] == ["c", "a", "b", "z"]


@pytest.mark.parametrize(
    ("steps", "cycle"),
    [
        ("a: {x: b.o}\nb: {x: a.o}", "steps.a (line 3): the steps wait for each other in a circle: a → b → a"),
        ("a: {x: c.o}\nb: {x: a.o}\nc: {x: {any: [b.o, $run.x]}}\nd: {x: c.o}", "a → b → c → a"),
    ],
)
def test_a_cycle_is_named(steps, cycle):
    found = findings(flow(steps))
    assert len(found) == 1
    assert cycle in found[0]


def test_every_separate_cycle_is_found():
    assert len(findings(flow("a: {x: b.o}\nb: {x: a.o}\nc: {x: d.o}\nd: {x: c.o}"))) == 2


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("s:\na: {x: {each: s.i}}\nb: {x: a.o}", {"s": (), "a": ("s",), "b": ("s",)}),
        ("s:\na: {x: {each: s.i}}\nb: {x: {each: a.o}}\nc: {x: {gather: b.o}}", {"b": ("s", "a"), "c": ("s",)}),
        ("s:\na: {x: {each: s.i}, y: {each: s.j}}", {"a": ("s",)}),
        ("s:\na: {x: {each: s.i}}\nb: {x: {each: s.j}, y: a.o}", {"b": ("s",)}),
        ("s:\na: {x: {each: s.i}, y: $run.z}\nb: {x: a.o, y: s.z}", {"a": ("s",), "b": ("s",)}),
        ("a: {x: {each: $run.i}}", {"a": ("$run",)}),
        ("s:\na: {x: {each: s.i}}\nb: {x: {any: [a.o, s.z]}}", {"b": ("s",)}),
        ("s:\na: {x: {each: s.i}}\nb: {x: {gather: a.$error}}", {"b": ()}),
        ("s:\na: {x: {each: s.i}}\nb: {x: {gather: a}}", {"b": ()}),
        ("s:\na: {x: {each: s.i}}\nb: {x: {stream: a.o}}", {"b": ("s",)}),
    ],
)
def test_scopes_follow_each_and_gather(steps, expected):
    assert scopes(flow(steps)).items() >= expected.items()


@pytest.mark.parametrize(
    ("steps", "result", "finding"),
    [
        ("s:\na: {x: {each: s.i}}", "a", "result (line 5): `a` runs once per item of `s`, the result is there once"),
        ("s:\na: {x: {each: s.i}}", "{x: a.o}", "result.x (line 5)"),
        ("s:\na: {x: {each: s.i}}\nb: {x: {each: a.j}}", "{x: {gather: b.o}}", "gather that list in a further step"),
        ("s:\nt:\na: {x: {each: s.i}, y: {each: t.i}}", "{}", "steps.a.inputs.y.each (line 5): several `each`"),
        ("s:\na: {x: {each: s.i}}\nb: {x: {each: $run.l}, y: {each: a.j}}", "{}", "not `$run` and `a`"),
        (
            "s:\nt:\na: {x: {each: s.i}}\nb: {x: {each: t.i}}\nc: {x: a.o, y: b.o}",
            "{}",
            "steps.c.inputs.y (line 7): joins items of `t` with items of `s`",
        ),
        ("s:\na: {x: {gather: s.o}}", "{}", "`s` is not below one"),
    ],
)  # fmt: skip
def test_leaving_or_mixing_scopes_is_a_finding(steps, result, finding):
    found = findings(flow(steps, result))
    assert len(found) == 1
    assert finding in found[0]


def test_gather_in_the_result_closes_the_level():
    assert parse(flow("s:\na: {x: {each: s.i}}", "{all: {gather: a.o}}")).result[0].edge.kind is EdgeKind.GATHER


def test_steps_and_inputs_are_bounded():
    assert any("1001 steps are more" in one for one in findings(flow("\n".join(f"s{n}:" for n in range(1001)))))
    many = ", ".join(f"x{n}: $run" for n in range(257))
    assert any("257 names are more" in one for one in findings(flow(f"s: {{{many}}}")))


def test_nesting_of_each_is_bounded():
    steps = "\n".join(["s0:", *(f"s{n}: {{x: {{each: s{n - 1}.i}}}}" for n in range(1, 11))])
    assert any("levels of `each`" in one for one in findings(flow(steps)))


def test_findings_are_bounded():
    found = findings(flow("\n".join(f"s{n}: {{x: nope{n}}}" for n in range(900))))
    assert len(found) == 101
    assert any("stopped after 100" in one for one in found)


def test_the_error_blames_the_caller_and_survives_pickling():
    with pytest.raises(WorkflowInvalid) as caught:
        parse("[]")
    assert caught.value.blame is Blame.CALLER
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@settings(max_examples=200, deadline=None)
@given(text=st.text())
@example(text="\ud800")
@example(text="\x00")
@example(text="a: &a [*a]")
@example(text="? [x]\n: y")
def test_any_text_gives_a_workflow_or_our_error(text):
    with pytest.raises(DefinitionError):
        parse(text)


_WORDS = st.sampled_from(
    ["s", "t", "s.x", "t.y", "$run", "$run.x", "s.$error", "each", "gather", "any", "from", "when", "value", "optional",
     "stream", "action", "inputs", "retry", "attempts", "timeout_s", "at_most_once", "steps", "result", "value > 1"]
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _WORDS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS | st.text(), inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(steps=st.dictionaries(_WORDS | st.text(), _JSON, max_size=4), result=_JSON, more=st.dictionaries(_WORDS, _JSON))
def test_any_document_gives_a_workflow_or_our_error(steps, result, more):
    try:
        definition = parse(json.dumps({"dataflow": 1, "steps": steps, "result": result, **more}))
    except DefinitionError as error:
        finding = error.findings[0]
        assert finding.sentence
    else:
        assert definition.steps


_EDGES = st.recursive(
    st.sampled_from(["s0", "s1.a", "s2.b", "s3", "$run.x", "s1.$error"]),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"each": inner}),
        st.fixed_dictionaries({"gather": inner}, optional={"optional": st.booleans()}),
        st.fixed_dictionaries({"from": inner}, optional={"when": st.just("value.x == 1")}),
        st.fixed_dictionaries({"any": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"stream": inner}),
    ),
    max_leaves=3,
)


@settings(max_examples=300, deadline=None)
@given(inputs=st.lists(st.dictionaries(st.sampled_from("xyz"), _EDGES, max_size=2), min_size=4, max_size=4))
def test_scopes_of_whatever_is_accepted_hold_together(inputs):
    steps = {f"s{n}": {"action": "a", "inputs": one} for n, one in enumerate(inputs)}
    try:
        definition = parse(json.dumps({"dataflow": 1, "steps": steps, "result": {}}))
    except WorkflowInvalid:
        return
    seen: dict[str, tuple[str, ...]] = {RUN: ()}
    for step in definition.steps:
        for one in step.inputs:
            for edge in one.edge.alternatives or (one.edge,):
                assert edge.source is not None
                scope = seen[edge.source.step]  # in topological order
                if edge.kind is EdgeKind.EACH:
                    scope = (*scope, edge.source.step)
                elif edge.kind is EdgeKind.GATHER:
                    scope = scope[:-1]
                assert step.scope[: len(scope)] == scope
        seen[step.name] = step.scope
