"""Sequences of 4 no-ops per second, with 1 to 16 callers."""

from __future__ import annotations

from tests.benchmarks.actions import NOOP
from tests.benchmarks.harness import Bench, load
from tests.benchmarks.samples import Row, Series

CALLERS = (1, 2, 4, 8, 16)
OF_FOUR = (1, 4, 16)
"""Callers for which stock's figures are there."""
STEPS = 4


def sequences(bench: Bench) -> list[Row]:
    """Blocks of load in turn: data flow, control flow, data flow, …; of one action again and again, then of four."""
    names = [f"bench-noop-{number}" for number in range(STEPS)]
    for name in names:
        bench.action(name, NOOP, memory_mb=128)
    same = bench.sequence("bench-sequence", names[:1] * STEPS)
    four = bench.sequence("bench-sequence-four", names)
    rows = []
    for pair, several, what in ((same, CALLERS, ""), (four, OF_FOUR, ", four actions")):
        for callers in several:
            rows += _rows(f"{callers} caller{'s' if callers > 1 else ''}{what}", *_measured(bench, pair, callers))
    return rows


def _measured(bench: Bench, pair: tuple[str, str], callers: int) -> tuple[list[list[float]], list[list[float]]]:
    """Return rates and latencies of both."""
    rates: list[list[float]] = [[], []]
    latencies: list[list[float]] = [[], []]
    for name in pair:
        load(bench, name, callers, 0.5)
    for _ in range(bench.times(4, 2)):
        for number, name in enumerate(pair):
            rate, times = load(bench, name, callers, 3.0 if not bench.short else 1.5)
            rates[number].append(rate)
            latencies[number] += times
    return rates, latencies


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
