"""Prints the report of a benchmark: a table for people, JSON for programs."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.samples import Row, Series


def table(rows: Sequence[Row]) -> Table:
    """Return the table: medians and 99th percentiles of both, and how many times better data flow is."""
    found = Table("scenario", "case", "unit", header_style="bold")
    for name in ("data flow p50", "p99", "control flow p50", "p99", "ratio"):
        found.add_column(name, justify="right")
    last = ""
    for row in rows:
        ratio = "–" if row.ratio is None else f"{row.ratio:.1f}×"
        name = "" if row.scenario == last else row.scenario
        found.add_row(name, row.case, row.unit, *_pair(row.dataflow), *_pair(row.baseline), ratio)
        last = row.scenario
    return found


def show(rows: Sequence[Row], failures: Mapping[str, str]) -> None:
    """Print the table and what failed."""
    console = Console()
    console.print(table(rows))
    for name, reason in failures.items():
        console.print(f"[red]{name} failed:[/red] {reason}", highlight=False, markup=True)


def document(rows: Sequence[Row], failures: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON report."""
    return {
        "machine": {
            "cores": os.cpu_count(),
            "processor": _processor(),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "commit": _commit(),
        "rows": [row.to_json() for row in rows],
        "failures": dict(failures),
    }


def _pair(series: Series | None) -> tuple[str, str]:
    return ("–", "–") if series is None else (_number(series.median), _number(series.p99))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str | None:
    root = Path(__file__).resolve().parent
    result = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True)
    return result.stdout.strip() or None
