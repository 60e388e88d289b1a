"""Measures, prints, asserts nothing on time: `python -m tests.benchmarks [--short] [NAME…]`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

from rich.console import Console

from action_runtime.wire.errors import DataflowError
from tests.benchmarks import deployment
from tests.benchmarks.deployment import on_stack
from tests.benchmarks.harness import Bench, BenchmarkFailed, running
from tests.benchmarks.report import document, headlines, into, markdown, show
from tests.benchmarks.samples import Row
from tests.benchmarks.scenarios import SCENARIOS


def main(arguments: list[str] | None = None) -> int:
    """Run scenarios; 1 if one could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"of {', '.join(SCENARIOS)}; default all")
    parser.add_argument("--short", action="store_true", help="fewer measurements: all in under three minutes")
    parser.add_argument("--stack", action="store_true", help="measure the compose stack, in containers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there too")
    where = "write {} there as Markdown; in a file with markers of figures: between them"
    parser.add_argument("--markdown", type=Path, metavar="FILE", help=where.format("the table"))
    parser.add_argument("--headlines", type=Path, metavar="FILE", help=where.format("its main rows"))
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.names if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    # Killed, it must take its server with it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    rows: list[Row] = []
    failures: dict[str, str] = {}
    console = Console(stderr=True)
    with console.status("starting a server …") as status, _started(chosen) as bench:
        if chosen.stack:
            rows += deployment.start(bench)
        for name in chosen.names or (deployment.SCENARIOS if chosen.stack else SCENARIOS):
            status.update(f"measuring {name} …")
            begin_s = time.monotonic()
            try:
                rows += SCENARIOS[name](bench)
            except (BenchmarkFailed, DataflowError, OSError) as error:
                failures[name] = str(error)
            console.print(f"{name}: {time.monotonic() - begin_s:.1f} s", style="dim")
    show(rows, failures)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(document(rows, failures), indent=2) + "\n")
    options = [f"--{option}" for option in ("stack", "short") if getattr(chosen, option)]
    command = " ".join(["python -m tests.benchmarks", *options, *chosen.names])
    marker = "figures of the stack" if chosen.stack else "figures"
    for file, shown in ((chosen.markdown, rows), (chosen.headlines, headlines(rows))):
        if file is not None:
            old = file.read_text() if file.exists() else ""
            file.write_text(into(old, markdown(shown, command), marker))
    return 1 if failures else 0


def _started(chosen: argparse.Namespace) -> AbstractContextManager[Bench]:
    return on_stack(chosen.short) if chosen.stack else running(chosen.short)


if __name__ == "__main__":
    sys.exit(main())
