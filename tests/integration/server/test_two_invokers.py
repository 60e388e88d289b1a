"""One server with two invokers that lend each other containers: `standalone --invokers 2`."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.support.bus_tap import BusTap
from tests.support.deploying import Deployer
from tests.support.server import Server
from tests.support.waiting import wait_until

SMALL = {"DATAFLOWER_INVOKER_USER_MEMORY_MB": "512", "DATAFLOWER_INVOKER_STEM_CELLS": "0"}
"""Two containers of the default limit on each host."""
MORE_TRIES = 5
"""The last ping of an invoker may tell of the room that a test before has left."""
MARK = "a-mark-that-is-nowhere-else"
SPLIT = """
import time
def main(args):
    from action_runtime import emit
    for text in args["texts"]:
        emit("text", text)
    return {}
"""
COUNT = """
import time
def main(args):
    time.sleep(0.2)
    words = {}
    for word in bytes(args["text"]).split() if not isinstance(args["text"], str) else args["text"].split():
        words[word] = words.get(word, 0) + 1
    return {"words": words}
"""
MERGE = """
def main(args):
    words = {}
    for counts in args["counts"]:
        for word, count in counts.items():
            words[word] = words.get(word, 0) + count
    return {"words": words}
"""
WORDCOUNT = """
dataflow: 1
steps:
  split: {action: split, inputs: {texts: $run.texts}}
  count: {action: count, inputs: {text: {each: split.text}}}
  merge: {action: merge, inputs: {counts: {gather: count.words}}}
result: merge
"""
MAKE = f"""
import time
from action_runtime import emit, open_output
def main(args):
    mark = "{MARK}" * (65536 // {len(MARK)} + 1)
    for _ in range(4):
        emit("item", mark)
    with open_output("text") as out:
        for _ in range(4):
            out.write((mark + "\\n").encode())
            out.flush()
    return {{"one": mark, "all": {{"inner": mark}}, "raw": mark}}
"""
PASS = """
import time
def main(args):
    time.sleep(0.2)
    return {"y": args["x"]}
"""
READ = """
from action_runtime import open_input
def main(args):
    return {"n": sum(len(line) for line in open_input("lines")), "y": args.get("also", "")}
"""
FAIL = """
def main(args):
    return {"error": args["x"]}
"""
LENGTHS = """
def main(args):
    return {name: len(value) if isinstance(value, (str, list)) else value for name, value in args.items()}
"""
TOO_LARGE = "the error is too large to be kept"
EDGES = """
dataflow: 1
steps:
  make: {action: make}
  passed: {action: pass, inputs: {x: {each: make.item}}}
  whole: {action: lengths, inputs: {"$all": make.all}}
  chosen: {action: pass, inputs: {x: {from: make.one, when: "size(value) > 10"}}}
  other: {action: pass, inputs: {x: {from: make.one, when: "size(value) < 10"}}}
  either: {action: pass, inputs: {x: {any: [other.y, chosen.y]}}}
  read: {action: read, inputs: {lines: {stream: make.text}, also: {from: chosen.y, optional: true}}}
  failing: {action: fail, inputs: {x: make.raw}}
  ends:
    action: lengths
    inputs:
      gathered: {gather: passed.y}
      either: either.y
      whole: whole.inner
      stream: read.n
      also: read.y
      failure: failing.$error
result: ends
"""


def known(server: Server, number: int) -> bool:
    """Return whether an invoker is up and knows the other one."""
    try:
        return bool(server.usage(number)["peers"]["known"])
    except Exception:  # noqa: BLE001 - it is being started
        return False


def acquainted(server: Server) -> Server:
    """Wait until both invokers of a server know each other."""
    for number in (0, 1):
        wait_until(partial(known, server, number), 15.0, f"invoker {number} knows the other")
    return server


@pytest.fixture(scope="module")
def two() -> Iterator[Server]:
    """A server with two small invokers; at the end it must stop without leaving anything."""
    one = Server("--invokers", "2", environ=SMALL)
    try:
        yield acquainted(one.start())
        one.stop()
        assert one.left_over() == []
    finally:
        one.remove()


def empty(server: Server, number: int) -> bool:
    """Return whether an invoker holds nothing of any run."""
    usage = server.usage(number)
    sink = usage["sink"]
    return not (usage["peers"]["runs"] or usage["peers"]["offers"] or sink["inline_bytes"] or sink["by_owner"])


def counted(client: Deployer) -> list[dict[str, Any]]:
    """Run the workflow; return what is told of the firings of its `count`."""
    texts = [f"word{number} all " * 3000 for number in range(12)]
    run, firings = client.firings("words", texts=texts)
    assert run["response"]["result"] == {"words": {f"word{number}": 3000 for number in range(12)} | {"all": 36000}}
    lines = [value["value"] for one in firings for value in one["annotations"] if value["key"] == "dataflow"]
    return [line for line in lines if line["step"] == "count"]


def test_the_firings_of_a_run_are_executed_by_both_and_its_result_is_exact(two):
    client = two.client()
    client.workflow(WORDCOUNT, "words", split=SPLIT, count=COUNT, merge=MERGE)

    counts = counted(client)
    for _ in range(MORE_TRIES):
        if len({line["host"] for line in counts}) > 1:
            break
        counts = counted(client)

    assert {line["host"] for line in counts} == {"invoker0", "invoker1"}
    assert any(line["in"].get("peer") for line in counts)
    assert len({tuple(line["tag"]) for line in counts}) == len(counts) == 12
    for number in (0, 1):
        wait_until(partial(empty, two, number), message=lambda: str([two.usage(0), two.usage(1)]))


def test_data_of_all_kinds_of_edges_pass_neither_the_bus_nor_the_store(two):
    client = two.client()
    tap = BusTap(two.data / "run" / "bus.sock")
    try:
        for number in (0, 1):
            os.kill(two.invoker(number), signal.SIGKILL)
        acquainted(two)
        actions = {"make": MAKE, "pass": PASS, "read": READ, "fail": FAIL, "lengths": LENGTHS}
        client.workflow(EDGES, "edges", **actions)
        length = 65536 // len(MARK) * len(MARK) + len(MARK)

        run, firings = client.firings("edges")

        assert run["response"]["result"] == {
            "gathered": 4, "either": length, "whole": length, "also": length, "failure": len(TOO_LARGE),
            "stream": 4 * (length + 1),
        }  # fmt: skip
        hosts = {
            value["value"]["host"] for one in firings for value in one["annotations"] if value["key"] == "dataflow"
        }
        assert hosts == {"invoker0", "invoker1"}
        carried = b"".join(tap.carried)
        assert run["activationId"].encode() in carried  # the tap works
        assert (MARK * 2).encode() not in carried
        stored = {
            path: path.read_bytes() for path in two.data.rglob("*") if path.is_file() and "containers" not in path.parts
        }
        assert any(run["activationId"].encode() in content for content in stored.values())
        assert [str(path) for path, content in stored.items() if (MARK * 2).encode() in content] == []
    finally:
        tap.close()
