"""An invoker is killed while others own runs whose firings and data it has: nothing is lost, nothing answered twice."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tests.integration.server.test_two_invokers import SMALL, acquainted, empty
from tests.support.regions import composition
from tests.support.waiting import wait_until

STATED = {
    "The action did not produce a valid response and exited unexpectedly.",
    "The invoker was restarted after this activation had begun; it was not started a second time. "
    "Invoke it again if that is safe.",
}
"""What those end with that must not begin twice."""


SPLIT = """
from action_runtime import emit
def main(args):
    for number in range(args["items"]):
        emit("text", f"{args['tag']} {number} " * 10_000)
    return {}
"""
PASS = """
import os, time
def main(args):
    with open(args["file"], "a") as marks:
        marks.write(args["text"][:20] + "\\n")
    time.sleep(0.25)
    return {"text": args["text"]}
"""
JOIN = """
def main(args):
    return {"heads": [text.split()[:2] for text in args["texts"]], "bytes": sum(map(len, args["texts"]))}
"""
FLOW = """
dataflow: 1
steps:
  split: {action: split, inputs: {tag: $run.tag, items: $run.items}}
  pass: {action: pass, inputs: {text: {each: split.text}, file: $run.file}}
  join: {action: join, inputs: {texts: {gather: pass.text}}}
result: join
"""
ITEMS, FLOWS = 8, 6
SET_BACK = """
import os, time
if os.path.exists({when!r}):
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() - 3600
    time.time_ns = lambda: now_ns() - 3600 * 10**9
"""
"""Run first by every process that begins: a clock an hour behind, once a file is there."""


def test_what_a_killed_invoker_held_is_made_again_and_every_result_is_exact_though_its_clock_was_set_back(
    make_server, tmp_path: Path
):
    set_back = tmp_path / "set-back"
    (tmp_path / "sitecustomize.py").write_text(SET_BACK.format(when=str(set_back)))
    environ = {**SMALL, "DATAFLOWER_INVOKER_PEER_LOST_S": "2", "PYTHONPATH": str(tmp_path)}
    server = make_server("--invokers", "2", environ=environ).start()
    acquainted(server)
    server.client().workflow(FLOW, "flow", split=SPLIT, join=JOIN, **{"pass": PASS})
    marks = tmp_path / "marks"

    def ask(number: int) -> object:
        return server.client().run("flow", tag=f"t{number}", items=ITEMS, file=str(marks))

    with ThreadPoolExecutor(FLOWS) as pool:
        answers = [pool.submit(ask, number) for number in range(FLOWS)]
        wait_until(lambda: marks.exists() and len(marks.read_text().splitlines()) > 2 * ITEMS, 30.0, "executions")
        set_back.touch()
        os.kill(server.invoker(1), signal.SIGKILL)
        for number, answer in enumerate(answers):
            size = sum(len(f"t{number} {item} ") * 10_000 for item in range(ITEMS))
            heads = [[f"t{number}", str(item)] for item in range(ITEMS)]
            assert answer.result(60.0) == {"heads": heads, "bytes": size}

    assert "peer was started anew" in (server.data / "log" / "invoker.log").read_text()
    for number in (0, 1):
        wait_until(partial(empty, server, number), 20.0, lambda: str([server.usage(0), server.usage(1)]))


GROW = """
import time
def main(args):
    with open(args["file"], "a") as marks:
        marks.write("grown\\n")
    time.sleep(0.2)
    return {**args, "n": args["n"] + 1, "list": [args["text"]]}
"""
FAN = """
def main(args):
    return {"value": [{**args, "n": n, "text": f"{n} " * 50_000} for n in range(4)]}
"""
LOOP = """
dataflow: 1
steps:
  loop: {action: grow, inputs: $run, repeat: {while: value.n < 4, max: 100}}
  last: {action: last, inputs: {n: loop.n, list: loop.list}}
result: last
"""
LAST = "def main(args): return {'n': args['n'], 'bytes': len(args['list'][0])}"
MAP: dict[str, Any] = {
    "type": "sequence",
    "components": [
        {"type": "action", "name": "/_/fan"},
        {"type": "map", "components": [{"type": "action", "name": "/_/grow"}]},
        {"type": "action", "name": "/_/count"},
    ],
}
COUNT = """
def main(args):
    return {"value": [one if "error" in one else [one["n"], len(one["text"])] for one in args["value"]]}
"""


def test_loops_and_compositions_outlive_a_killed_invoker_with_their_values(make_server, tmp_path: Path):
    server = make_server("--invokers", "2", environ={**SMALL, "DATAFLOWER_INVOKER_PEER_LOST_S": "1"}).start()
    acquainted(server)
    live = server.client()
    live.workflow(LOOP, "loop", grow=GROW, last=LAST)
    live.action("fan", FAN)
    live.action("count", COUNT)
    live.call("PUT", "actions/map", json=composition(MAP, "python:3")).raise_for_status()
    marks = tmp_path / "marks"
    text = "x" * 300_000

    def ask(name: str, **arguments: object) -> tuple[int, Any]:
        reply = server.client().invoke(name, {"file": str(marks), **arguments})
        return reply.status_code, reply.json()

    with ThreadPoolExecutor(4) as pool:
        loops = [pool.submit(ask, "loop", n=0, text=text) for _ in range(2)]
        maps = [pool.submit(ask, "map") for _ in range(2)]
        wait_until(lambda: marks.exists() and len(marks.read_text().splitlines()) > 6, 30.0, "executions")
        os.kill(server.invoker(1), signal.SIGKILL)
        for loop in loops:
            assert loop.result(60.0) == (200, {"n": 4, "bytes": len(text)})
        for one in maps:
            status, result = one.result(60.0)
            if status == 200:
                rows = zip(result["value"], range(4), strict=True)
                assert all(row == [n + 1, 100_000] or row["error"] in STATED for row, n in rows), result
            else:
                assert result["error"] in STATED

    for number in (0, 1):
        wait_until(partial(empty, server, number), 20.0, lambda: str([server.usage(0), server.usage(1)]))
    assert "run broken" not in (server.data / "log" / "invoker.log").read_text()


def test_an_invoker_that_is_stopped_ends_what_it_has_and_nothing_is_executed_twice(make_server, tmp_path: Path):
    server = make_server("--invokers", "2", environ={**SMALL, "DATAFLOWER_INVOKER_DRAIN_S": "10"}).start()
    acquainted(server)
    server.client().workflow(FLOW, "flow", split=SPLIT, join=JOIN, **{"pass": PASS})
    marks = tmp_path / "marks"

    def ask(number: int) -> dict[str, object]:
        found: dict[str, object] = server.client().run("flow", tag=f"t{number}", items=ITEMS, file=str(marks))
        return found

    with ThreadPoolExecutor(FLOWS) as pool:
        answers = [pool.submit(ask, number) for number in range(FLOWS)]
        wait_until(lambda: marks.exists() and len(marks.read_text().splitlines()) > ITEMS, 30.0, "executions")
        os.kill(server.invoker(1), signal.SIGTERM)
        for number, answer in enumerate(answers):
            assert answer.result(60.0)["heads"] == [[f"t{number}", str(item)] for item in range(ITEMS)]

    assert len(marks.read_text().splitlines()) == FLOWS * ITEMS
