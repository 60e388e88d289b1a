import pytest

from controller_ext.workflow.compile import candidates, check_size, compile_workflow
from controller_ext.workflow.errors import WorkflowInvalid
from controller_ext.workflow.native import parse
from invoker_ext.contract.graph import Graph, GraphKind, Step, WorkflowCall, action_graph
from tests.support.actions import Shelf, an_action

CHAIN = """\
dataflow: 1
timeout_s: 30
steps:
  a: {action: first, timeout_s: 90, retry: {attempts: 2, backoff_s: 0.5}}
  b:
    action: second
    inputs: {x: {each: a.items}}
    at_most_once: true
result: {all: {gather: b.y}}
"""


@pytest.mark.parametrize(
    ("action", "home", "names"),
    [
        ("a", "ns", ("ns/a",)),
        ("a", "ns/pkg", ("ns/pkg/a", "ns/a")),
        ("other/a", "ns/pkg", ("ns/other/a",)),
        ("_/a", "ns/pkg", ("ns/a",)),
        ("/_/a", "ns/pkg", ("ns/a",)),
        ("/_/p/a", "ns/pkg", ("ns/p/a",)),
        ("/whisk.system/utils/echo", "ns", ("whisk.system/utils/echo",)),
        ("whisk.system/utils/echo", "ns", ("whisk.system/utils/echo",)),
        ("/other/a", "ns/pkg", ("other/a",)),
    ],
)
def test_a_name_is_looked_up_in_the_package_of_the_workflow_first(action, home, names):
    assert candidates(action, home) == names


def test_a_workflow_compiles_to_a_graph_with_actions_fixed():
    shelf = Shelf(an_action("ns/pkg/first"), an_action("ns/second"))
    graph = compile_workflow(parse(CHAIN), "ns/pkg", shelf)
    assert graph.kind is GraphKind.DATAFLOW
    assert graph.timeout_s == 30
    first, second = graph.steps
    assert first.call == an_action("ns/pkg/first")
    assert (first.attempts, first.backoff_s) == (2, 0.5)
    assert second.call == an_action("ns/second")
    assert (second.scope, second.at_most_once) == (("a",), True)


def test_the_time_of_a_step_is_never_above_its_actions_own_limit():
    graph = compile_workflow(parse(CHAIN), "ns", Shelf(an_action("ns/first", 5_000), an_action("ns/second")))
    assert graph.steps[0].timeout_s == 5.0


def test_missing_actions_are_all_reported_with_step_action_and_line():
    with pytest.raises(WorkflowInvalid) as caught:
        compile_workflow(parse(CHAIN), "ns/pkg", Shelf())
    assert [str(finding) for finding in caught.value.findings] == [
        "steps.a.action (line 4): step `a` runs action `first`, "
        "which does not exist as /ns/pkg/first or /ns/first: create it first",
        "steps.b.action (line 6): step `b` runs action `second`, "
        "which does not exist as /ns/pkg/second or /ns/second: create it first",
    ]


def test_a_name_that_many_steps_use_is_resolved_once():
    shelf = Shelf(an_action("ns/x"))
    compile_workflow(parse("{dataflow: 1, steps: {a: {action: x}, b: {action: x}}, result: a}"), "ns", shelf)
    assert shelf.asked == ["ns/x"]


def test_a_step_may_run_another_workflow():
    inner = WorkflowCall("ns/inner", "0.0.1", action_graph(an_action("ns/x")))
    graph = compile_workflow(parse("{dataflow: 1, steps: {a: {action: inner}}, result: a}"), "ns", Shelf(inner))
    assert graph.steps[0].call is inner


def test_workflows_that_multiply_are_refused():
    graph = action_graph(an_action("ns/x"))
    for level in range(16):
        call = WorkflowCall(f"ns/w{level}", "0.0.1", graph)
        graph = Graph(
            kind=GraphKind.DATAFLOW, steps=tuple(Step(name=f"s{n}", call=call) for n in range(100)), result=()
        )
    with pytest.raises(WorkflowInvalid, match="more than 10000 steps"):
        check_size(graph)
