"""Failures, repetitions and times: each rule end to end with real actions.

Actions note what they do in a file that the test names: a container outlives neither its failure nor its turn.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.deploying import Deployer

ECHO = "def main(args):\n    return args\n"
FAIL = "def main(args):\n    return {'error': args.get('why', 'no')}\n"
RAISE = "def main(args):\n    raise ValueError('not ' + str(args.get('n')))\n"
LIST = "def main(args):\n    return {'items': args.get('items', [])}\n"
NTH = """\
import time
def main(args):
    with open(args['notes'], 'a') as notes:
        notes.write(f'{time.time()}\\n')
    with open(args['notes']) as notes:
        turn = len(notes.readlines())
    if turn < args['succeeds_at']:
        return {'error': f'turn {turn}'}
    return {'turn': turn}
"""
DIES = """\
import os
def main(args):
    with open(args['notes'], 'a') as notes:
        notes.write('x\\n')
    with open(args['notes']) as notes:
        turn = len(notes.readlines())
    if turn < args['survives_at']:
        os.kill(os.getpid(), 9)
    return {'turn': turn}
"""
EXITED = "command exited"


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


def turns(notes: Path) -> list[str]:
    return notes.read_text().split()


def test_an_unhandled_failure_fails_the_run_and_nothing_new_fires(live: Deployer):
    text = """
    dataflow: 1
    steps:
      bad: {action: fail, inputs: $run}
      after: {action: echo, inputs: bad}
    result: after
    """
    live.workflow(text, fail=FAIL, echo=ECHO)
    assert live.fail(why={"reason": 7}) == {"reason": 7}
    _, firings = live.firings()
    assert [one["name"] for one in firings] == ["fail"]


def test_an_exception_fails_the_run_with_its_text(live: Deployer):
    live.workflow("{dataflow: 1, steps: {bad: {action: raise, inputs: $run}}, result: bad}", **{"raise": RAISE})
    assert live.fail(n=3) == "not 3"


def test_running_firings_finish_and_their_outputs_are_dropped(live: Deployer, notes: Path):
    text = """
    dataflow: 1
    steps:
      begin: {action: begin, inputs: $run}
      bad: {action: fail, inputs: {go: begin.begun}}
      after: {action: touch, inputs: {path: begin.path}}
    result: {after: after, bad: bad}
    """
    begin = """\
import os, time
from action_runtime import emit
def main(args):
    emit('begun', True)
    time.sleep(0.5)
    open(args['notes'], 'w').close()
    return {'path': args['notes'] + '.after'}
"""
    touch = "def main(args):\n    open(args['path'], 'w').close()\n    return {}\n"
    live.workflow(text, begin=begin, fail=FAIL, touch=touch)
    assert live.fail(notes=str(notes)) == "no"
    run, firings = live.firings(notes=str(notes))
    assert sorted(one["name"] for one in firings) == ["begin", "fail"]
    assert [one["response"]["success"] for one in firings if one["name"] == "begin"] == [True]
    assert notes.exists(), "what ran finished"
    assert not Path(f"{notes}.after").exists(), "nothing new fired"
    assert run["response"]["result"] == {"error": "no"}


def test_a_handled_failure_gives_its_error_and_kills_the_other_outputs(live: Deployer):
    text = """
    dataflow: 1
    steps:
      bad: {action: fail, inputs: $run}
      unreached: {action: echo, inputs: {x: bad.x}}
      handler: {action: echo, inputs: {why: bad.$error}}
    result: {handled: handler.why, missed: {from: unreached.x, optional: true}}
    """
    live.workflow(text, fail=FAIL, echo=ECHO)
    assert live.run(why=["a", 1]) == {"handled": ["a", 1]}


def test_of_an_exception_error_is_the_text_its_record_shows(live: Deployer):
    text = """
    dataflow: 1
    steps:
      bad: {action: raise, inputs: $run}
      handler: {action: echo, inputs: {why: bad.$error}}
    result: handler
    """
    live.workflow(text, echo=ECHO, **{"raise": RAISE})
    run, firings = live.firings(n=1)
    assert run["response"]["result"] == {"why": "not 1"}
    assert firings[0]["response"]["result"] == {"error": "not 1"}


def test_error_of_a_step_that_succeeds_is_dead(live: Deployer):
    text = """
    dataflow: 1
    steps:
      good: {action: echo, inputs: $run}
      handler: {action: echo, inputs: {why: good.$error}}
      end: {action: echo, inputs: {v: {any: [handler.why, good.x]}}}
    result: end
    """
    live.workflow(text, echo=ECHO)
    assert live.run(x=1) == {"v": 1}


def test_below_an_each_a_failure_is_handled_per_item_and_gather_leaves_dead_items_out(live: Deployer):
    text = """
    dataflow: 1
    steps:
      list: {action: list, inputs: $run}
      check: {action: check, inputs: {n: {each: list.items}}}
      bad: {action: echo, inputs: {why: check.$error}}
      all: {action: echo, inputs: {good: {gather: check.n}, bad: {gather: bad.why}}}
    result: all
    """
    check = "def main(args):\n    return args if args['n'] % 2 else {'error': args['n']}\n"
    live.workflow(text, list=LIST, check=check, echo=ECHO)
    assert live.run(items=[1, 2, 3, 4, 5]) == {"good": [1, 3, 5], "bad": [2, 4]}


def test_application_errors_are_repeated_only_where_retry_is_declared(live: Deployer, notes: Path):
    text = "{dataflow: 1, steps: {a: {action: nth, inputs: $run RETRY}}, result: a}"
    live.workflow(text.replace("RETRY", ""), nth=NTH)
    assert live.fail(notes=str(notes), succeeds_at=2) == "turn 1"
    assert len(turns(notes)) == 1


def test_attempts_counts_the_first_and_backoff_lies_between(live: Deployer, notes: Path):
    text = "{dataflow: 1, steps: {a: {action: nth, inputs: $run, retry: {attempts: 3, backoff_s: 0.2}}}, result: a}"
    live.workflow(text, nth=NTH)
    assert live.run(notes=str(notes), succeeds_at=3) == {"turn": 3}
    times = [float(one) for one in turns(notes)]
    assert all(after - before >= 0.2 for before, after in pairwise(times))
    notes.unlink()
    assert live.fail(notes=str(notes), succeeds_at=9) == "turn 3"
    assert len(turns(notes)) == 3


def test_every_attempt_leaves_a_record_of_its_own(live: Deployer, notes: Path):
    text = "{dataflow: 1, steps: {a: {action: nth, inputs: $run, retry: {attempts: 2}}}, result: a}"
    live.workflow(text, nth=NTH)
    _, firings = live.firings(notes=str(notes), succeeds_at=2)
    assert [one["response"]["result"] for one in firings] == [{"error": "turn 1"}, {"turn": 2}]


def test_a_retry_that_yields_another_number_of_items_fails_the_run(live: Deployer, notes: Path):
    text = """
    dataflow: 1
    steps:
      source: {action: source, inputs: $run, retry: {attempts: 2}}
      one: {action: echo, inputs: {n: {each: source.item}}}
      all: {action: echo, inputs: {of: {gather: one.n}}}
    result: all
    """
    source = """\
import os
from action_runtime import emit
def main(args):
    again = os.path.exists(args['notes'])
    open(args['notes'], 'w').close()
    for n in range(1 if again else 3):
        emit('item', n)
    return {} if again else {'error': 'once'}
"""
    live.workflow(text, source=source, echo=ECHO)
    assert live.fail(notes=str(notes)) == (
        "the output 'item' of step 'source' has 1 item after the step was repeated, but at least 3 were there before"
    )


def test_the_first_commit_of_an_item_wins_over_that_of_a_retry(live: Deployer, notes: Path):
    text = """
    dataflow: 1
    steps:
      source: {action: source, inputs: $run, retry: {attempts: 2}}
      one: {action: echo, inputs: {n: {each: source.item}}}
      all: {action: echo, inputs: {of: {gather: one.n}}}
    result: all
    """
    source = """\
import os
from action_runtime import emit
def main(args):
    again = os.path.exists(args['notes'])
    open(args['notes'], 'w').close()
    for n in range(3):
        emit('item', f'again {n}' if again else f'first {n}')
    return {} if again else {'error': 'once'}
"""
    live.workflow(text, source=source, echo=ECHO)
    assert live.run(notes=str(notes)) == {"of": ["first 0", "first 1", "first 2"]}


def test_a_container_that_dies_is_replaced_once_without_any_retry(live: Deployer, notes: Path):
    live.workflow("{dataflow: 1, steps: {a: {action: dies, inputs: $run}}, result: a}", dies=DIES)
    assert live.run(notes=str(notes), survives_at=2) == {"turn": 2}
    notes.unlink()
    assert live.fail(notes=str(notes), survives_at=9) == EXITED
    assert len(turns(notes)) == 2


def test_at_most_once_is_never_repeated_after_its_function_began(live: Deployer, notes: Path):
    live.workflow("{dataflow: 1, steps: {a: {action: dies, inputs: $run, at_most_once: true}}, result: a}", dies=DIES)
    assert live.fail(notes=str(notes), survives_at=2) == EXITED
    assert len(turns(notes)) == 1


def test_timeout_is_per_attempt_and_names_the_bound(live: Deployer, notes: Path):
    text = "{dataflow: 1, steps: {a: {action: slow, inputs: $run, timeout_s: 0.3, retry: {attempts: 2}}}, result: a}"
    slow = """\
import os, time
def main(args):
    again = os.path.exists(args['notes'])
    open(args['notes'], 'w').close()
    time.sleep(0 if again and args['hurries'] else 5)
    return {'again': again}
"""
    live.workflow(text, slow=slow)
    sentence = "The action exceeded its time limits of 300 milliseconds."
    assert live.fail(notes=str(notes), hurries=False) == sentence


def test_timeout_is_never_above_the_limit_of_the_action(live: Deployer):
    live.action("sleepy", "import time\ndef main(args):\n    time.sleep(5)\n", limits={"timeout": 400})
    live.workflow("{dataflow: 1, steps: {a: {action: sleepy, timeout_s: 3600}}, result: a}")
    assert live.fail() == "The action exceeded its time limits of 400 milliseconds."


def test_the_time_limit_of_the_workflow_ends_everything(live: Deployer):
    text = "{dataflow: 1, timeout_s: 0.5, steps: {a: {action: nap}, b: {action: nap, inputs: a}}, result: b}"
    live.workflow(text, nap="import time\ndef main(args):\n    time.sleep(20)\n    return {}\n")
    assert live.fail() == "The workflow exceeded its time limit of 500 milliseconds."


def test_what_a_failed_attempt_returned_is_forgotten(live: Deployer, notes: Path):
    text = """
    dataflow: 1
    steps:
      a: {action: both, inputs: $run, retry: {attempts: 2}}
      b: {action: echo, inputs: {n: a.n}}
    result: b
    """
    both = """\
import os
def main(args):
    again = os.path.exists(args['notes'])
    open(args['notes'], 'w').close()
    return {'n': 'second'} if again else {'n': 'first', 'error': 'x'}
"""
    live.workflow(text, both=both, echo=ECHO)
    assert live.run(notes=str(notes)) == {"n": "second"}
