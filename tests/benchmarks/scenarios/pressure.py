"""What pressure-aware scaling is worth where outputs leave more slowly than functions make them."""

from __future__ import annotations

from functools import partial
from itertools import count

from tests.benchmarks.actions import SIZE, SLOW_OUTPUT, slow_outputs
from tests.benchmarks.harness import Bench, Caller, in_turn, milliseconds, running
from tests.benchmarks.samples import Row

ITEMS = 4
OFF = {"DATAFLOWER_INVOKER_PRESSURE": "off"}


def on_and_off(bench: Bench) -> list[Row]:
    """A run of 4 firings that emit 4 MiB each, to 8 MB/s; baseline: the same with pressure off.

    Each run has an action of its own with one container, whose bandwidth is known from a run before: how many more
    come, and when, is the question.
    """
    with running(bench.short, OFF) as without, bench.caller() as caller, without.caller() as other:
        numbers = count()
        on, off = in_turn(
            bench.times(10, 4),
            partial(_one_run, bench, caller, numbers),
            partial(_one_run, without, other, numbers),
            warm_up=1,
        )
    return [Row(scenario="pressure", case="4 × 4 MiB at 8 MB/s; on, off", unit="ms", dataflow=on, baseline=off)]


def _one_run(bench: Bench, caller: Caller, numbers: count[int]) -> list[float]:
    action = f"bench-slow-{next(numbers)}"
    bench.action("bench-size", SIZE)
    bench.action(action, SLOW_OUTPUT)
    bench.workflow(f"{action}-run", slow_outputs(action))
    caller.result(f"{action}-run", items=[0])
    return milliseconds(lambda: caller.result(f"{action}-run", items=list(range(ITEMS))))
