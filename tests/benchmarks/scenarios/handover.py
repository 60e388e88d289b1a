"""Handing a value over: from the call of `emit` to the consumer's function entered."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.benchmarks.actions import CONSUME, CONSUME_TEXT, PASS_TEXT, PRODUCE, PRODUCE_TEXT, hand_over
from tests.benchmarks.harness import Bench, Caller, in_turn
from tests.benchmarks.samples import Row, Series

KIB, MIB = 1 << 10, 1 << 20
SIZES = (KIB, 16 * KIB, 256 * KIB, 900_000, 4 * MIB, 16 * MIB, 64 * MIB, 256 * MIB)
STOCK_BYTES = 1_000_000
"""Stock takes 1 MiB in all; the value is not alone in the result."""
LARGE_BYTES = 64 * MIB


def sizes(bench: Bench) -> list[Row]:
    """One value from 1 KiB to 256 MiB to one consumer."""
    _deploy(bench)
    bench.workflow("bench-hand-over-1", hand_over(1))
    pair = bench.sequence("bench-text", ["bench-produce-text", "bench-consume-text"])
    rows = []
    with bench.caller() as caller:
        for size in SIZES:
            times = bench.times(60, 20) if size <= 4 * MIB else bench.times(20, 6)
            measures = [partial(spent, caller, "bench-hand-over-1", size)]
            if size <= STOCK_BYTES:
                measures.append(partial(spent, caller, pair[1], size))
            rows += list(_rows("hand-over", _size(size), size, in_turn(times, *measures)))
    return rows


def consumers(bench: Bench) -> list[Row]:
    """One value to 2, 8 and 32 consumers: until the last of them is entered."""
    _deploy(bench)
    rows = []
    with bench.caller() as caller:
        for count in (1, 2, 8, 32):
            name = f"bench-hand-over-{count}"
            bench.workflow(name, hand_over(count))
            # By control flow each consumer comes after the one before and hands the value on.
            parts = ["bench-produce-text", *["bench-pass-text"] * (count - 1), "bench-consume-text"]
            baseline = bench.sequence(f"bench-text-{count}", parts)[1]
            small = in_turn(
                bench.times(30, 8),
                partial(spent, caller, name, 900_000),
                partial(spent, caller, baseline, 900_000),
            )
            rows += list(_rows("consumers", f"{count} × 900 KB", 900_000, small))
            large = in_turn(bench.times(15, 5), partial(spent, caller, name, LARGE_BYTES))
            rows += list(_rows("consumers", f"{count} × 64 MiB", LARGE_BYTES, large))
    return rows


def spent(caller: Caller, name: str, size_bytes: int) -> list[float]:
    """Run once; return the milliseconds from `emit` to the entry of the last consumer."""
    result = caller.result(name, n=size_bytes)
    entered = [value for key, value in result.items() if key == "entered" or (key[0] == "c" and key[1:].isdigit())]
    return [(max(entered) - result["at"]) / 1e6]


def _deploy(bench: Bench) -> None:
    bench.action("bench-produce", PRODUCE, memory_mb=512)
    bench.action("bench-consume", CONSUME, memory_mb=128)
    bench.action("bench-produce-text", PRODUCE_TEXT)
    bench.action("bench-consume-text", CONSUME_TEXT)
    bench.action("bench-pass-text", PASS_TEXT)


def _rows(scenario: str, case: str, size_bytes: int, series: list[Series]) -> Iterator[Row]:
    ours, *rest = series
    yield Row(scenario=scenario, case=case, unit="ms", dataflow=ours, baseline=rest[0] if rest else None)
    if size_bytes >= 4 * MIB:
        rates = Series.of([size_bytes / MIB / (value / 1000) for value in ours.values])
        yield Row(scenario=scenario, case=case, unit="MiB/s", dataflow=rates, more_is_better=True)


def _size(size_bytes: int) -> str:
    if size_bytes % KIB:
        return f"{size_bytes // 1000} KB"
    return f"{size_bytes // MIB} MiB" if size_bytes >= MIB else f"{size_bytes // KIB} KiB"
