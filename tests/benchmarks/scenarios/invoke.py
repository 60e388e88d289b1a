"""A blocking invoke of one warm action."""

from __future__ import annotations

from tests.benchmarks.actions import NOOP
from tests.benchmarks.harness import Bench, in_turn, milliseconds
from tests.benchmarks.samples import Row


def blocking(bench: Bench) -> list[Row]:
    """From the request to the whole answer, one caller."""
    bench.action("bench-noop", NOOP)
    with bench.caller() as caller:
        (series,) = in_turn(bench.times(1000, 200), lambda: milliseconds(lambda: caller.call("bench-noop")), warm_up=20)
    return [Row(scenario="invoke", case="blocking, warm no-op", unit="ms", dataflow=series)]
