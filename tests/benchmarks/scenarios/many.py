"""Many blocking invocations at once; the same by wrk, as stock's own performance tests do it."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from controller_ext.cli.options import GUEST_AUTH
from tests.benchmarks.actions import NOOP
from tests.benchmarks.crowd import crowd
from tests.benchmarks.harness import Bench, BenchmarkFailed
from tests.benchmarks.samples import Row, Series

CALLERS = 200
CONNECTIONS = (1, 4)
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
# Stock's tests/performance/wrk_tests post to an action and wait for its end.
_SCRIPT = """\
wrk.method = "POST"
wrk.body = "{}"
wrk.headers["Content-Type"] = "application/json"
"""


def at_once(bench: Bench) -> list[Row]:
    """200 callers of a warm no-op for a minute; anything but an answer or a throttle is a failure."""
    bench.action("bench-noop", NOOP, memory_mb=128)
    crowd(bench.url, "bench-noop", CALLERS, 2.0)
    seconds = 5.0 if bench.short else 60.0
    tally = crowd(bench.url, "bench-noop", CALLERS, seconds)
    if tally.failed:
        raise BenchmarkFailed(f"{len(tally.failed)} of {len(tally.times_ms)} calls failed: {tally.failed[0]}")
    case = f"blocking no-op, {CALLERS} at once"
    rate = Series.of([len(tally.times_ms) / seconds])
    rows = [
        Row(scenario="many", case=case, unit="calls/s", dataflow=rate, more_is_better=True),
        Row(scenario="many", case=case, unit="ms", dataflow=Series.of(tally.times_ms)),
        Row(scenario="many", case="slowest of these", unit="ms", dataflow=Series.of([max(tally.times_ms)])),
    ]
    if tally.refused:
        refused = Series.of([tally.refused])
        rows.append(Row(scenario="many", case="throttled of these", unit="calls", dataflow=refused))
    return rows


def wrk(bench: Bench) -> list[Row]:
    """The same action by wrk with 1 and 4 connections; nothing where wrk is not installed."""
    if shutil.which("wrk") is None:
        return []
    bench.action("bench-noop", NOOP, memory_mb=128)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "post.lua")
        script.write_text(_SCRIPT)
        for connections in CONNECTIONS:
            rate, p50_ms, p99_ms = _measure(bench, script, connections)
            case = f"blocking no-op, {connections} connection{'s' if connections > 1 else ''}"
            rows.append(Row(scenario="wrk", case=case, unit="calls/s", dataflow=Series.of([rate]), more_is_better=True))
            # Of wrk's latencies only these two are known; as a series of a hundred they are its median and p99.
            rows.append(Row(scenario="wrk", case=case, unit="ms", dataflow=Series.of([p50_ms] * 98 + [p99_ms] * 2)))
    return rows


def _measure(bench: Bench, script: Path, connections: int) -> tuple[float, float, float]:
    """Return calls a second, median and 99th percentile in milliseconds."""
    seconds = 3 if bench.short else 30
    key = base64.b64encode(GUEST_AUTH.encode()).decode()
    url = f"{bench.url}/api/v1/namespaces/_/actions/bench-noop?blocking=true&result=true"
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--latency"]
    command += ["--header", f"Authorization: Basic {key}", "--script", str(script), url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    text = done.stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if done.returncode != 0 or rate is None or "Non-2xx" in text or "Socket errors" in text:
        raise BenchmarkFailed(f"wrk: {(text + done.stderr).strip()[-300:]}")
    return float(rate[1]), _latency_ms(text, "50"), _latency_ms(text, "99")


def _latency_ms(text: str, percent: str) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s)$", text, re.MULTILINE)
    if found is None:
        raise BenchmarkFailed(f"wrk printed no {percent} % latency: {text[-300:]}")
    return float(found[1]) * _UNITS_MS[found[2]]
