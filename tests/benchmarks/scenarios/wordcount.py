"""The wordcount example on whole books, where they are there, else on Python's language reference."""

from __future__ import annotations

import json
import os
from pathlib import Path

from controller_ext.cli.demo_run import read_texts
from controller_ext.cli.examples import load
from tests.benchmarks.harness import Bench, in_turn, milliseconds
from tests.benchmarks.samples import Row


def books(bench: Bench) -> list[Row]:
    """From the request to the whole answer."""
    shared = Path(os.environ.get("DATAFLOWER_SHARED", Path(__file__).resolve().parents[4] / "shared"))
    files = sorted((shared / "data" / "wordcount").glob("*.txt"))
    texts = read_texts(files)
    example = load("wordcount")
    for name, source in example.actions.items():
        bench.action(name, source.code)
    bench.workflow(example.name, example.workflow or "")
    body = json.dumps({"texts": texts}).encode()
    with bench.caller() as caller:
        (series,) = in_turn(bench.times(50, 8), lambda: milliseconds(lambda: caller.call(example.name, body)))
    case = f"{len(texts)} {'books' if files else 'topics'}, {len(body) / 1e6:.1f} MB"
    return [Row(scenario="wordcount", case=case, unit="ms", dataflow=series)]
