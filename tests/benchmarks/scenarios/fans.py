"""Many firings at once: out to 1,000 steps, in from 16 producers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.benchmarks.actions import COUNT, FAN_IN, FAN_OUT, ITEMS, MEBIBYTE, MERGE, ONE
from tests.benchmarks.harness import Bench, Caller, in_turn, milliseconds
from tests.benchmarks.samples import Row, Series

PRODUCERS = 16
ITEMS_OUT = 1000
CALLERS = 16


def fan_in(bench: Bench) -> list[Row]:
    """1 MiB from each of 16 producers, all gathered by one consumer; above what stock can pass on."""
    bench.action("bench-items", ITEMS)
    bench.action("bench-mebibyte", MEBIBYTE, memory_mb=128)
    bench.action("bench-merge", MERGE)
    bench.workflow("bench-fan-in", FAN_IN)
    last: list[float] = []
    with bench.caller() as caller:

        def once() -> list[float]:
            result = caller.result("bench-fan-in", items=PRODUCERS)
            last.append((result["entered"] - max(result["ats"])) / 1e6)
            return [(result["entered"] - min(result["ats"])) / 1e6]

        times = bench.times(40, 10)
        (first,) = in_turn(times, once)
    return [
        Row(scenario="fan-in", case="16 × 1 MiB, from the first emit", unit="ms", dataflow=first),
        Row(scenario="fan-in", case="16 × 1 MiB, from the last emit", unit="ms", dataflow=Series.of(last[-times:])),
    ]


def fan_out(bench: Bench) -> list[Row]:
    """1,000 firings and their gather in one run; baseline: 16 callers who invoke the action 1,000 times."""
    bench.action("bench-items", ITEMS)
    bench.action("bench-one", ONE, memory_mb=128)
    bench.action("bench-count", COUNT)
    bench.workflow("bench-fan-out", FAN_OUT)
    with bench.caller() as caller, ThreadPoolExecutor(CALLERS) as pool:
        callers = [Caller(bench.url) for _ in range(CALLERS)]
        try:
            ours, baseline = in_turn(
                bench.times(8, 3),
                lambda: milliseconds(lambda: caller.result("bench-fan-out", items=ITEMS_OUT)),
                lambda: milliseconds(lambda: list(pool.map(_many, callers))),
                warm_up=1,
            )
        finally:
            for one in callers:
                one.close()
    rates = [Series.of([(ITEMS_OUT + 2) / (value / 1000) for value in series.values]) for series in (ours, baseline)]
    return [
        Row(scenario="fan-out", case="1,000 firings", unit="ms", dataflow=ours, baseline=baseline),
        Row(
            scenario="fan-out",
            case="1,000 firings",
            unit="steps/s",
            dataflow=rates[0],
            baseline=rates[1],
            more_is_better=True,
        ),
    ]


def _many(caller: Caller) -> None:
    for _ in range(ITEMS_OUT // CALLERS):
        caller.call("bench-one")
