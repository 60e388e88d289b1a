"""The compose stack under test: controller, two invokers, Kafka, CouchDB's stand-in and actions in containers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from controller_ext.cli.client import Client
from controller_ext.cli.options import GUEST_AUTH, Endpoint
from tests.benchmarks.harness import Bench, BenchmarkFailed
from tests.benchmarks.samples import Row, Series
from tests.support import stack

SCENARIOS: Final = ("invoke", "hop", "sequence")
"""What is measured if no scenario is named: what stock was measured by, split as this is."""


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
    """From the start of the stack, its images present, until all are healthy."""
    return [Row(scenario="start", case="until ready", unit="s", dataflow=Series.of([bench.start_s]))]
