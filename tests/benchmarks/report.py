"""Prints the report of a benchmark: a table for people, JSON for programs."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tests.benchmarks import stock
from tests.benchmarks.samples import Row, Series

HEADLINES: Final = frozenset(
    {
        ("start", "until ready"),
        ("memory", "idle"),
        ("invoke", "blocking, warm no-op"),
        ("hop", "chain of 4"),
        ("hop", "chain of 32"),
        ("sequence", "4 steps, 900 KB"),
        ("hand-over", "1 KiB"),
        ("hand-over", "900 KB"),
        ("hand-over", "64 MiB"),
        ("consumers", "1 × 64 MiB"),
        ("consumers", "8 × 64 MiB"),
        ("consumers", "32 × 900 KB"),
        ("fan-in", "16 × 1 MiB, from the first emit"),
        ("fan-out", "1,000 firings"),
        ("wordcount", "8 books, 3.4 MB"),
        ("composer", "10 no-op steps"),
        ("composer", "map, 100 × 100 KB; conductor: 10 × its 10 steps"),
        ("sequences of 4", "1 caller"),
        ("sequences of 4", "4 callers"),
        ("sequences of 4", "16 callers"),
        ("memory", "busy, with its containers"),
    }
)
"""Scenario and case of what somebody with five minutes wants to see."""
TITLES: Final = ("scenario", "case", "unit", "data flow p50", "p99", "control flow p50", "p99", "ratio")


def cells(row: Row) -> tuple[str, ...]:
    """Return a row as text, in the order of TITLES."""
    ratio = "–" if row.ratio is None else f"{row.ratio:.1f}×"
    return (row.scenario, row.case, row.unit, *_pair(row, row.dataflow), *_pair(row, row.baseline), ratio)


def table(rows: Sequence[Row]) -> Table:
    """Return the table: medians and 99th percentiles of both, and how many times better data flow is."""
    found = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, title in enumerate(TITLES):
        found.add_column(title, no_wrap=True, justify="left" if number < 3 else "right")
    for row in rows:
        found.add_row(*cells(row))
    return found


def markdown(rows: Sequence[Row], command: str) -> str:
    """Return where and how it was measured, and the table, as Markdown for documents.

    Args:
        rows: The table.
        command: That measured them.
    """
    titles = (*TITLES, stock.TITLE)
    lines = [titles, ("---",) * 3 + ("---:",) * (len(titles) - 3), *_by_case(rows)]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    machine = f"{os.cpu_count()} × {_processor()}, {platform.system()} {platform.release().partition('-')[0]}"
    what = f"{machine}, Python {platform.python_version()}, commit {_commit()}, `{command}`"
    return f"{what}; in the last column {stock.SOURCE}, p50 or p50 / p99:\n\n{table}"


def _by_case(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """Yield a line a case: what was measured in several units stands side by side."""
    for (scenario, case), grouped in groupby(rows, lambda row: (row.scenario, row.case)):
        several = list(grouped)
        columns = list(zip(*map(cells, several), strict=True))[2:]
        beside = [found for row in several if (found := stock.cell(row.scenario, row.case, row.unit)) != stock.NONE]
        ours = (" · ".join(one) if set(one) != {"–"} else "–" for one in columns)
        yield scenario, case, *ours, " ".join(beside) or stock.NONE


def headlines(rows: Sequence[Row]) -> list[Row]:
    """Return those of HEADLINES."""
    return [row for row in rows if (row.scenario, row.case) in HEADLINES]


def into(document: str, text: str, name: str = "figures") -> str:
    """Return a document with what stands between the markers of this name replaced; one without markers, wholly."""
    before, begin, rest = document.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    return f"{before}{begin}{text}{end}{after}" if begin and end else text


def show(rows: Sequence[Row], failures: Mapping[str, str]) -> None:
    """Print the table and what failed."""
    # Never narrower than the table: what is piped into a file has no width of its own.
    console = Console()
    console.width = max(console.width, 120)
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


def _pair(row: Row, series: Series | None) -> tuple[str, str]:
    if series is None:
        return "–", "–"
    return _number(series.median), _number(series.p99(more_is_better=row.more_is_better))


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
