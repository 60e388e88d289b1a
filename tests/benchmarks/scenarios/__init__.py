"""All scenarios, in the order in which they run: the first ones on a fresh server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.benchmarks.harness import Bench
from tests.benchmarks.samples import Row
from tests.benchmarks.scenarios import (
    composer,
    fans,
    handover,
    hop,
    invoke,
    many,
    peers,
    pressure,
    server,
    throughput,
    wordcount,
)

SCENARIOS: Final[dict[str, Callable[[Bench], list[Row]]]] = {
    "start": server.start,
    "memory-idle": server.idle,
    "invoke": invoke.blocking,
    "controller": invoke.controller,
    "hop": hop.chains,
    "sequence": hop.passing,
    "hand-over": handover.sizes,
    "consumers": handover.consumers,
    "fan-in": fans.fan_in,
    "fan-out": fans.fan_out,
    "pressure": pressure.on_and_off,
    "wordcount": wordcount.books,
    "composer": composer.compositions,
    "throughput": throughput.sequences,
    "many": many.at_once,
    "wrk": many.wrk,
    "peers": peers.pulls,
    "far-hand-over": peers.between_containers,
    "memory-busy": server.busy,
}
