"""What feeds an input: each rule of edges, scopes and items, end to end with real actions."""

from __future__ import annotations

import json

import pytest

from tests.support.deploying import Deployer

ECHO = "def main(args):\n    return args\n"
ADD = "def main(args):\n    return {'sum': sum(args.get('of', [])) + args.get('n', 0)}\n"
LIST = "def main(args):\n    return {'items': args.get('items', [])}\n"
EMIT = """\
from action_runtime import emit
def main(args):
    for item in args.get('items', []):
        emit('item', item)
"""


def test_a_step_without_inputs_fires_when_the_run_starts_and_gets_nothing(live: Deployer):
    live.workflow("{dataflow: 1, steps: {a: {action: echo}}, result: a}", echo=ECHO)
    assert live.run(x=1) == {}


def test_run_alone_is_all_parameters_and_a_named_one_is_its_value(live: Deployer):
    text = """
    dataflow: 1
    steps:
      all: {action: echo, inputs: $run}
      one: {action: echo, inputs: {y: $run.x}}
    result: {all: all, one: one.y, x: $run.x}
    """
    live.workflow(text, echo=ECHO)
    assert live.run(x=[1], z=None) == {"all": {"x": [1], "z": None}, "one": [1], "x": [1]}


def test_a_missing_parameter_of_the_run_is_said(live: Deployer):
    live.workflow("{dataflow: 1, steps: {a: {action: echo, inputs: {y: $run.x}}}, result: a}", echo=ECHO)
    assert live.fail(z=1) == "the run has no parameter 'x', which step 'a' needs"


def test_all_gets_a_whole_result_and_later_inputs_win_over_its_members(live: Deployer):
    text = """
    dataflow: 1
    steps:
      a: {action: echo, inputs: $run}
      b: {action: echo, inputs: {$all: a, y: {value: two}}}
    result: b
    """
    live.workflow(text, echo=ECHO)
    assert live.run(x=1, y="one") == {"x": 1, "y": "two"}


def test_a_constant_of_any_json_type_arrives_as_it_is_written(live: Deployer):
    constant = {"n": None, "l": [1, 2.5, "ä\u2028", {}], "b": True}
    step = {"action": "echo", "inputs": {"v": {"value": constant}}}
    live.workflow(json.dumps({"dataflow": 1, "steps": {"a": step}, "result": "a"}), echo=ECHO)
    assert live.run() == {"v": constant}


def test_a_dead_path_skips_what_needs_it_and_optional_leaves_it_out(live: Deployer):
    text = """
    dataflow: 1
    steps:
      start: {action: echo, inputs: $run}
      big: {action: echo, inputs: {n: {from: start.n, when: "value > 10"}}}
      after: {action: echo, inputs: {n: big.n}}
      join: {action: echo, inputs: {n: start.n, big: {from: after.n, optional: true}}}
    result: join
    """
    live.workflow(text, echo=ECHO)
    assert live.run(n=5) == {"n": 5}
    assert live.run(n=50) == {"n": 50, "big": 50}
    run, firings = live.firings(n=5)
    assert [one["name"] for one in firings] == ["echo", "echo"], "the skipped steps left no record"
    assert run["response"]["success"]


def test_a_result_whose_every_path_is_dead_fails_the_run_with_that_sentence(live: Deployer):
    text = """
    dataflow: 1
    steps: {a: {action: echo, inputs: {n: {from: $run.n, when: "value > 10"}}}}
    result: a
    """
    live.workflow(text, echo=ECHO)
    assert live.fail(n=5) == "the result was not produced: every path to it was skipped"


def test_any_takes_the_first_live_edge_in_order_also_if_a_later_one_is_there_first(live: Deployer):
    text = """
    dataflow: 1
    steps:
      slow: {action: wait, inputs: $run}
      fast: {action: echo, inputs: $run}
      pick: {action: echo, inputs: {v: {any: [{from: slow.a, when: "value < 10"}, fast.b, {value: never}]}}}
    result: pick
    """
    wait = "import time\ndef main(args):\n    time.sleep(0.2)\n    return args\n"
    live.workflow(text, echo=ECHO, wait=wait)
    assert live.run(a=1, b=2) == {"v": 1}
    assert live.run(a=11, b=2) == {"v": 2}


def test_each_over_a_returned_list_fires_per_element_and_gather_keeps_the_order(live: Deployer):
    text = """
    dataflow: 1
    steps:
      list: {action: list, inputs: $run}
      one: {action: slowest_first, inputs: {n: {each: list.items}}}
      sum: {action: echo, inputs: {of: {gather: one.n}}}
    result: sum
    """
    slowest_first = "import time\ndef main(args):\n    time.sleep(0.05 * (3 - args['n']))\n    return args\n"
    live.workflow(text, list=LIST, slowest_first=slowest_first, echo=ECHO)
    assert live.run(items=[0, 1, 2, 3]) == {"of": [0, 1, 2, 3]}


@pytest.mark.parametrize("source", [LIST, "def main(args):\n    return {}\n"], ids=["an empty list", "no emit"])
def test_an_empty_each_gathers_an_empty_list(live: Deployer, source: str):
    text = """
    dataflow: 1
    steps:
      source: {action: empty, inputs: $run}
      one: {action: echo, inputs: {n: {each: source.items}}}
      all: {action: echo, inputs: {of: {gather: one.n}}}
    result: all
    """
    live.workflow(text, empty=source, echo=ECHO)
    assert live.run(items=[]) == {"of": []}


def test_each_over_the_parameters_of_the_run(live: Deployer):
    text = """
    dataflow: 1
    steps:
      one: {action: echo, inputs: {n: {each: $run.items}, also: $run.also}}
      all: {action: echo, inputs: {of: {gather: one}}}
    result: all
    """
    live.workflow(text, echo=ECHO)
    assert live.run(items=[1, 2], also="x") == {"of": [{"n": 1, "also": "x"}, {"n": 2, "also": "x"}]}
    assert live.fail(items=3, also="x") == (
        "the parameter 'items' of the run is not a list, but step 'one' fires once for each of its items"
    )


def test_an_emitted_list_is_one_item_and_never_spread(live: Deployer):
    text = """
    dataflow: 1
    steps:
      source: {action: emit, inputs: $run}
      one: {action: echo, inputs: {n: {each: source.item}}}
      all: {action: echo, inputs: {of: {gather: one.n}}}
    result: all
    """
    live.workflow(text, emit=EMIT, echo=ECHO)
    assert live.run(items=[[1, 2], [3]]) == {"of": [[1, 2], [3]]}


def test_nested_each_gathers_one_list_per_outer_item(live: Deployer):
    text = """
    dataflow: 1
    steps:
      rows: {action: emit, inputs: {items: $run.rows}}
      row: {action: list, inputs: {items: {each: rows.item}}}
      cell: {action: echo, inputs: {n: {each: row.items}, factor: $run.factor}}
      sum: {action: add, inputs: {of: {gather: cell.n}}}
      total: {action: echo, inputs: {sums: {gather: sum.sum}}}
    result: total
    """
    live.workflow(text, emit=EMIT, list=LIST, echo=ECHO, add=ADD)
    assert live.run(rows=[[1, 2], [], [3]], factor=1) == {"sums": [3, 0, 3]}


def test_plain_edges_below_an_each_stay_with_their_item(live: Deployer):
    text = """
    dataflow: 1
    steps:
      list: {action: list, inputs: $run}
      left: {action: echo, inputs: {n: {each: list.items}}}
      right: {action: echo, inputs: {n: {each: list.items}}}
      pair: {action: echo, inputs: {l: left.n, r: right.n, same: $run.same}}
      all: {action: echo, inputs: {of: {gather: pair}}}
    result: all
    """
    live.workflow(text, list=LIST, echo=ECHO)
    pairs = [{"l": n, "r": n, "same": "s"} for n in range(5)]
    assert live.run(items=list(range(5)), same="s") == {"of": pairs}


def test_several_each_on_one_step_zip_by_index(live: Deployer):
    text = """
    dataflow: 1
    steps:
      two: {action: two, inputs: $run}
      pair: {action: echo, inputs: {a: {each: two.a}, b: {each: two.b}}}
      all: {action: echo, inputs: {of: {gather: pair}}}
    result: all
    """
    two = """
    from action_runtime import emit
    def main(args):
        for n in args['a']:
            emit('a', n)
        return {'b': args['b']}
    """
    live.workflow(text, two=two, echo=ECHO)
    assert live.run(a=[1, 2], b=[3, 4]) == {"of": [{"a": 1, "b": 3}, {"a": 2, "b": 4}]}
    assert "reads the items of step 'two' side by side, but there are " in live.fail(a=[1, 2], b=[3])


def test_a_condition_in_each_leaves_items_out(live: Deployer):
    text = """
    dataflow: 1
    steps:
      list: {action: list, inputs: $run}
      odd: {action: echo, inputs: {n: {each: {from: list.items, when: "value % 2 == 1"}}}}
      all: {action: echo, inputs: {of: {gather: odd.n}}}
    result: all
    """
    live.workflow(text, list=LIST, echo=ECHO)
    assert live.run(items=[1, 2, 3, 4, 5]) == {"of": [1, 3, 5]}


def test_a_plain_edge_on_an_output_that_is_emitted_once_is_its_value(live: Deployer):
    text = "{dataflow: 1, steps: {a: {action: emit, inputs: $run}, b: {action: echo, inputs: {n: a.item}}}, result: b}"
    live.workflow(text, emit=EMIT, echo=ECHO)
    assert live.run(items=[7]) == {"n": 7}
    assert live.fail(items=[7, 8]) == (
        "the output 'item' of step 'a' was emitted more than once, but step 'b' reads it as one value"
    )


CLASH = "from action_runtime import emit\ndef main(args):\n    emit('n', 1)\n    return {'n': 2}\n"


@pytest.mark.parametrize(
    "rest",
    [
        "b: {action: echo, inputs: {n: a.n}}}, result: b",
        "b: {action: echo, inputs: a}}, result: b",
        "b: {action: echo, inputs: {n: {each: a.n}}}}, result: {n: {gather: b.n}}",
    ],
)
def test_one_name_emitted_and_returned_fails_the_run(live: Deployer, rest: str):
    live.workflow(f"{{dataflow: 1, steps: {{a: {{action: clash}}, {rest}}}", clash=CLASH, echo=ECHO)
    assert live.fail() == "the output 'n' of step 'a' was both emitted and returned; use two names"


@pytest.mark.parametrize("returned", ["2", "'x' * 20000"])
def test_one_name_emitted_and_returned_fails_a_plain_action_and_a_sequence(live: Deployer, returned: str):
    live.action("clash", CLASH.replace("2", returned))
    live.action("echo", ECHO)
    line = {"kind": "sequence", "components": ["/_/clash", "/_/echo"]}
    live.put("line", "", exec=line).raise_for_status()

    assert {live.fail("clash"), live.fail("line")} == {"the output 'n' was both emitted and returned; use two names"}


def test_one_name_emitted_and_returned_is_nobodys_business_if_nothing_reads_it(live: Deployer):
    other = CLASH.replace("'n': 2", "'n': 2, 'm': 3")
    text = "{dataflow: 1, steps: {a: {action: clash}, b: {action: echo, inputs: {n: a.m}}}, result: b}"
    live.workflow(text, clash=other, echo=ECHO)
    assert live.run() == {"n": 3}


def test_an_output_that_somebody_needs_and_nobody_produces_is_said(live: Deployer):
    text = "{dataflow: 1, steps: {a: {action: echo}, b: {action: echo, inputs: {n: a.nothing}}}, result: b}"
    live.workflow(text, echo=ECHO)
    assert live.fail() == "step 'a' ended without producing the output 'nothing', which step 'b' needs"


def test_a_thousand_items_each_fire_once(live: Deployer):
    text = """
    dataflow: 1
    steps:
      list: {action: list, inputs: $run}
      one: {action: echo, inputs: {n: {each: list.items}}}
      sum: {action: add, inputs: {of: {gather: one.n}}}
    result: sum
    """
    live.workflow(text, list=LIST, echo=ECHO, add=ADD)
    assert live.run(items=list(range(1000))) == {"sum": 499500}
