"""What the paper is about, seen in the records of real runs: triggering early, and computing while data leave."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from controller_ext.cli.examples import load
from tests.support.deploying import Deployer
from tests.support.server import Server

RENDEZVOUS = """
import pathlib, time
from action_runtime import emit

def wait_for(path):
    deadline = time.monotonic() + 20
    while not pathlib.Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(path)
        time.sleep(0.005)
"""
EARLY = """
dataflow: 1
steps:
  produce: {action: produce, inputs: {folder: $run.folder}}
  consume: {action: consume, inputs: {part: {each: produce.part}, folder: $run.folder}}
result: {parts: {gather: consume.part}}
"""
EMITS = """
import time
from action_runtime import emit

def main(args):
    time.sleep(0.15)  # longer than the data take to leave: pressure stays negative
    data = bytes([args["n"]]) * 20_000_000
    emit("data", data)
    emit("data", data)
    return {"n": args["n"]}
"""
DIGESTS = """
import hashlib

def main(args):
    return {"digest": hashlib.sha256(args["data"]).hexdigest()}
"""
LEAVING = """
dataflow: 1
steps:
  make: {action: make, inputs: {n: {each: $run.numbers}}}
  digest: {action: digest, inputs: {data: {each: make.data}}}
  both: {action: both, inputs: {digests: {gather: digest.digest}, n: make.n}}
result: {digests: {gather: both.digests}}
"""
PASSES = "def main(args):\n    return args\n"


def flow(record: dict[str, Any]) -> dict[str, Any]:
    """Return the `dataflow` annotation of a firing."""
    found: dict[str, Any] = next(one["value"] for one in record["annotations"] if one["key"] == "dataflow")
    return found


def invoked(client: Deployer, name: str, **arguments: Any) -> tuple[Any, dict[str, list[dict[str, Any]]]]:
    """Run a workflow; return its result and the time lines of its firings by step, in order of their start."""
    run, firings = client.firings(name, **arguments)
    assert run["response"]["success"], run["response"]
    lines = sorted(map(flow, firings), key=lambda line: line["started"])
    return run["response"]["result"], {
        step: [line for line in lines if line["step"] == step] for step in {line["step"] for line in lines}
    }


@pytest.mark.timeout(60)
def test_consumers_start_before_their_producer_returns(shared_server: Server, tmp_path: Path):
    client = shared_server.client()
    # The producer does not return before the consumer of its first item runs: only early triggering ends this.
    client.workflow(
        EARLY,
        "early",
        produce=RENDEZVOUS
        + "def main(args):\n    emit('part', 1)\n    wait_for(args['folder'] + '/consuming')\n    emit('part', 2)\n",
        consume="import pathlib\n"
        "def main(args):\n    pathlib.Path(args['folder'], 'consuming').touch()\n    return {'part': args['part']}\n",
    )
    result, lines = invoked(client, "early", folder=str(tmp_path))
    client.close()

    assert result == {"parts": [1, 2]}
    (produced,) = lines["produce"]
    assert lines["consume"][0]["started"] < produced["returned"]


@pytest.mark.timeout(60)
def test_a_container_runs_its_next_firing_while_the_last_ones_data_leave(make_server: Callable[..., Server]):
    # Room for one container of `make` beside one of each other action.
    memory = {"DATAFLOWER_INVOKER_USER_MEMORY_MB": "1024", "DATAFLOWER_INVOKER_STEM_CELLS": "0"}
    client = make_server(environ=memory).start().client()
    client.action("make", EMITS, limits={"memory": 512})
    client.workflow(LEAVING, "leaving", digest=DIGESTS, both=PASSES)
    result, lines = invoked(client, "leaving", numbers=list(range(6)))
    client.close()

    digests = [hashlib.sha256(bytes([n]) * 20_000_000).hexdigest() for n in range(6)]
    assert result["digests"] == [[digest, digest] for digest in digests]
    makes = lines["make"]
    assert len({line["container"] for line in makes}) == 1
    overlaps = [later["started"] < earlier["drained"] for earlier, later in pairwise(makes)]
    assert any(overlaps), makes
    assert all(later["started"] >= earlier["returned"] for earlier, later in pairwise(makes))


@pytest.mark.timeout(60)
def test_wordcount_of_the_eight_texts_is_that_of_a_plain_loop(shared_server: Server, shared_dir: Path):
    texts = {path.name: path.read_text() for path in sorted((shared_dir / "data" / "wordcount").glob("*.txt"))}
    assert len(texts) == 8
    expected: Counter[str] = Counter()
    for text in texts.values():
        expected.update(re.findall(r"[a-z]+", text.lower()))
    client = shared_server.client()
    example = load("wordcount")
    assert example.workflow is not None
    codes = {name: source.code for name, source in example.actions.items()}
    client.workflow(example.workflow, "wordcount", **codes)
    result, lines = invoked(client, "wordcount", texts=texts)
    client.close()

    assert result == {"words": dict(expected)}
    assert len(lines["count"]) == 8
