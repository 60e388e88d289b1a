"""The compose stack under test: controller, two invokers, Kafka, CouchDB's stand-in and actions in containers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from controller_ext.cli.client import Client
from controller_ext.cli.options import GUEST_AUTH, Endpoint
from tests.benchmarks.actions import NOOP
from tests.benchmarks.harness import Bench, BenchmarkFailed, Caller, in_turn, milliseconds
from tests.benchmarks.samples import Row, Series
from tests.support import stack

SCENARIOS: Final = ("invoke", "hop", "sequence")
"""What is measured if no scenario is named: what stock was measured by, split as this is."""

BLOCK: Final = 200
"""Calls after the start that are looked at together."""
STEADY: Final = 0.95
"""Of the median of the block before: above it calls have got as fast as they get."""
LEAST_BLOCKS: Final = 5
MOST_BLOCKS: Final = 20


@contextmanager
def on_stack(short: bool) -> Iterator[Bench]:
    """Start the stack, and end it when left.

    Args:
        short: Take fewer measurements.

    Raises:
        BenchmarkFailed: There are no images and none can be built.
    """
    if not stack.available():
        raise BenchmarkFailed(f"no images of the stack: {stack.HOW}")
    stack.images()
    one = stack.Stack()
    try:
        begin_s = time.monotonic()
        one.up()
        start_s = time.monotonic() - begin_s
        with Client(Endpoint(one.url, GUEST_AUTH)) as client:
            yield Bench(one.url, client, short, start_s)
        one.down()
    finally:
        one.remove()


def start(bench: Bench) -> list[Row]:
    """From the start of the stack, its images present, until all are healthy; and the first calls after that.

    Goes on with calls until they get no faster: Kafka, the store and our own servers are interpreted for their first
    thousands of calls, and what is measured after this is a deployment that has been at work for a while.
    """
    bench.action("bench-noop", NOOP)
    with bench.caller() as caller:
        first = block = _block(caller)
        for number in range(1, MOST_BLOCKS):
            before, block = block, _block(caller)
            if number >= LEAST_BLOCKS and block.median > STEADY * before.median:
                break
    return [
        Row(scenario="start", case="until ready", unit="s", dataflow=Series.of([bench.start_s])),
        Row(scenario="start", case=f"first {BLOCK} blocking no-ops", unit="ms", dataflow=first),
    ]


def _block(caller: Caller) -> Series:
    return in_turn(BLOCK, lambda: milliseconds(lambda: caller.call("bench-noop")), warm_up=0)[0]
