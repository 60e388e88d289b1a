"""Start-up time and memory of the server itself."""

from __future__ import annotations

import threading
import time

from controller_ext.cli.server import EmbeddedServer
from tests.benchmarks.actions import NOOP
from tests.benchmarks.harness import Bench, load
from tests.benchmarks.memory import mebibytes
from tests.benchmarks.samples import Row, Series

LOAD_S = 2.0


def start(bench: Bench) -> list[Row]:
    """From the start of the process until the line `ready`."""
    starts = [bench.start_s]
    for _ in range(bench.times(4, 1)):
        begin_s = time.monotonic()
        with EmbeddedServer():
            starts.append(time.monotonic() - begin_s)
    return [Row(scenario="start", case="until ready", unit="s", dataflow=Series.of(starts))]


def idle(bench: Bench) -> list[Row]:
    """Memory of a server that has done nothing."""
    return [_memory(bench, "idle", Series.of([mebibytes(bench.server.pid)]))]


def busy(bench: Bench) -> list[Row]:
    """Memory under load: 16 callers of one action, looked at in the middle."""
    bench.action("bench-noop", NOOP)
    seen: list[float] = []
    look = threading.Timer(LOAD_S / 2, lambda: seen.append(mebibytes(bench.server.pid)))
    look.start()
    load(bench, "bench-noop", 16, LOAD_S)
    look.join()
    return [_memory(bench, "busy, with its containers", Series.of(seen))]


def _memory(bench: Bench, case: str, series: Series) -> Row:
    return Row(scenario="memory", case=case, unit="MiB PSS", dataflow=series)
