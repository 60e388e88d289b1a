"""What one more step costs: chains of no-ops, small and large."""

from __future__ import annotations

import json
from functools import partial
from itertools import pairwise

from tests.benchmarks.actions import NOOP, STAMP
from tests.benchmarks.harness import Bench, Caller, in_turn, milliseconds
from tests.benchmarks.samples import Row

LENGTHS = (2, 4, 8, 16, 32)
SIZES = {"100 B": 100, "100 KB": 100_000, "900 KB": 900_000}


def chains(bench: Bench) -> list[Row]:
    """From one function's return to the next one's entry, in chains of 2 to 32 steps."""
    bench.action("bench-stamp", STAMP)
    rows = []
    with bench.caller() as caller:
        for length in LENGTHS:
            pair = bench.sequence(f"bench-chain-{length}", ["bench-stamp"] * length)
            times = bench.times(400, 80) // length
            ours, baseline = in_turn(max(10, times), *(lambda name=name: hops(caller, name) for name in pair))
            rows.append(Row(scenario="hop", case=f"chain of {length}", unit="ms", dataflow=ours, baseline=baseline))
    return rows


def hops(caller: Caller, name: str) -> list[float]:
    """Run a chain once and return its hops in milliseconds."""
    stamps = caller.result(name)["stamps"]
    return [(after[0] - before[1]) / 1e6 for before, after in pairwise(stamps)]


def passing(bench: Bench) -> list[Row]:
    """A sequence of 4 that passes a text from step to step, from request to answer."""
    bench.action("bench-noop", NOOP)
    pair = bench.sequence("bench-passing", ["bench-noop"] * 4)
    rows = []
    with bench.caller() as caller:
        for case, size_bytes in SIZES.items():
            body = json.dumps({"text": "x" * size_bytes}).encode()
            calls = [partial(caller.call, name, body) for name in pair]
            ours, baseline = in_turn(bench.times(60, 15), *(partial(milliseconds, call) for call in calls))
            rows.append(Row(scenario="sequence", case=f"4 steps, {case}", unit="ms", dataflow=ours, baseline=baseline))
    return rows
