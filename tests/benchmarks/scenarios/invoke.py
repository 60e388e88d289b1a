"""A blocking invoke of one warm action, and what of it is the controller's."""

from __future__ import annotations

from tests.benchmarks.actions import NOOP
from tests.benchmarks.harness import Bench, in_turn, milliseconds
from tests.benchmarks.samples import Row, Series


def blocking(bench: Bench) -> list[Row]:
    """From the request to the whole answer, one caller."""
    bench.action("bench-noop", NOOP)
    with bench.caller() as caller:
        (series,) = in_turn(bench.times(1000, 200), lambda: milliseconds(lambda: caller.call("bench-noop")), warm_up=20)
    return [Row(scenario="invoke", case="blocking, warm no-op", unit="ms", dataflow=series)]


def controller(bench: Bench) -> list[Row]:
    """From the request to the answer, less the time from the invoker's acceptance to the function's return.

    What is left is HTTP in → bus out and bus in → HTTP out, the caller's own part and the network included.
    """
    bench.action("bench-noop", NOOP)
    shares: list[float] = []
    with bench.caller() as caller:
        for turn in range(20 + bench.times(500, 100)):
            (spent_ms,) = milliseconds(lambda: caller.call("bench-noop"))
            if turn >= 20:
                shares.append(spent_ms - bench.invoker_ms(caller.activation_id))
    return [Row(scenario="controller", case="its share of a blocking invoke", unit="ms", dataflow=Series.of(shares))]
