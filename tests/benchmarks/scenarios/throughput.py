"""Sequences of 4 no-ops per second, with 1 to 16 callers."""

from __future__ import annotations

from tests.benchmarks.actions import NOOP
from tests.benchmarks.harness import Bench, load
from tests.benchmarks.samples import Row, Series

CALLERS = (1, 2, 4, 8, 16)
STEPS = 4


def sequences(bench: Bench) -> list[Row]:
    """Blocks of load in turn: data flow, control flow, data flow, …"""
    bench.action("bench-noop", NOOP, memory_mb=128)
    pair = bench.sequence("bench-sequence", ["bench-noop"] * STEPS)
    rows = []
    for callers in CALLERS:
        rates: list[list[float]] = [[], []]
        latencies: list[list[float]] = [[], []]
        for name in pair:
            load(bench, name, callers, 0.5)
        for _ in range(bench.times(4, 2)):
            for number, name in enumerate(pair):
                rate, times = load(bench, name, callers, 3.0 if not bench.short else 1.5)
                rates[number].append(rate)
                latencies[number] += times
        rows += _rows(f"{callers} caller{'s' if callers > 1 else ''}", rates, latencies)
    return rows


def _rows(case: str, rates: list[list[float]], latencies: list[list[float]]) -> list[Row]:
    runs = [Series.of(values) for values in rates]
    steps = [Series.of([value * STEPS for value in values]) for values in rates]
    times = [Series.of(values) for values in latencies]
    return [
        Row(
            scenario="sequences of 4",
            case=case,
            unit="runs/s",
            dataflow=runs[0],
            baseline=runs[1],
            more_is_better=True,
        ),
        Row(
            scenario="sequences of 4",
            case=case,
            unit="steps/s",
            dataflow=steps[0],
            baseline=steps[1],
            more_is_better=True,
        ),
        Row(scenario="sequences of 4", case=case, unit="ms", dataflow=times[0], baseline=times[1]),
    ]
