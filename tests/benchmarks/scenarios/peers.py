"""Data from the sink of one host to the sink of another, two processes over loopback, beside plain `sendfile`."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import Final

from tests.benchmarks.harness import Bench, BenchmarkFailed, Caller, in_turn, running
from tests.benchmarks.plain import MIB, Plain
from tests.benchmarks.samples import Row, Series
from tests.support.peer_process import PeerProcess

SIZES_BYTES: Final = (16 * 1024, MIB, 64 * MIB, 256 * MIB)
LARGE_BYTES: Final = 256 * MIB
_TRIES: Final = 5
TWO_HOSTS: Final = {
    "DATAFLOWER_INVOKER_USER_MEMORY_MB": "600",
    "DATAFLOWER_INVOKER_SINK_MB": "1536",
    "DATAFLOWER_INVOKER_STEM_CELLS": "0",
}
"""Each has room for one container of 512 MB: while the producer runs, its consumer goes to the other host."""
PRODUCE: Final = """
import time
from action_runtime import emit

data = b"1" * (256 << 20)

def main(args):
    at = time.monotonic()
    emit("data", data)
    time.sleep(1.5)  # holds its container until the value has arrived
    return {"at": at}
"""
CONSUME: Final = """
import time

def main(args):
    return {"entered": time.monotonic(), "size": len(args["data"])}
"""
FLOW: Final = """
dataflow: 1
steps:
  produce: {action: bench-far-produce}
  consume: {action: bench-far-consume, inputs: {data: produce.data}}
result: {at: produce.at, entered: consume.entered, size: consume.size}
"""


def pulls(bench: Bench) -> list[Row]:
    """Time of a pull, and by how much both processes have grown in the end, shared segments left out."""
    with closing(PeerProcess(0)) as one, closing(PeerProcess(1)) as two:
        two.ask("know", number=0, address=one.address)
        _pull_ms(one, two, MIB)
        before = _kib(one, two)
        rows = [_size(bench, one, two, size_bytes) for size_bytes in SIZES_BYTES]
        grown = max(_kib(one, two)) - max(before)
        rows.append(Row(scenario="peers", case="growth of a process", unit="MiB", dataflow=Series.of([grown / 1024])))
    return rows


def between_containers(bench: Bench) -> list[Row]:
    """From the call of `emit` to the consumer's function entered, in containers of two invokers."""
    with running(bench.short, TWO_HOSTS, "--invokers", "2") as hosts, closing(Plain(LARGE_BYTES)) as plain:
        for name, code in (("bench-far-produce", PRODUCE), ("bench-far-consume", CONSUME)):
            hosts.action(name, code, 512)
        hosts.workflow("bench-far", FLOW)
        with hosts.caller() as caller:
            _meet(hosts, caller)
            times = bench.times(10, 3)
            ours, theirs = in_turn(
                times, partial(_hand_over, hosts, caller), lambda: [1000 * plain.measure_s()], warm_up=1
            )
    return [Row(scenario="hand-over, other host", case="256 MiB", unit="ms", dataflow=ours, baseline=theirs)]


def _meet(hosts: Bench, caller: Caller) -> None:
    """Run until a value goes to the other host: right after the start neither has heard of the other."""
    for _ in range(_TRIES):
        caller.result("bench-far")
        if hosts.peer_bytes(caller.activation_id):
            return


def _hand_over(hosts: Bench, caller: Caller) -> list[float]:
    result = caller.result("bench-far")
    if result["size"] != LARGE_BYTES or hosts.peer_bytes(caller.activation_id) != LARGE_BYTES:
        raise BenchmarkFailed("the value did not come from the other host")
    return [1000 * (result["entered"] - result["at"])]


def _size(bench: Bench, one: PeerProcess, two: PeerProcess, size_bytes: int) -> Row:
    ours: list[float] = []
    plain_ms: list[float] = []
    with closing(Plain(size_bytes)) as plain:
        plain.measure_s()
        ref = one.ask("offer", size_bytes=size_bytes, check=False)["ref"]
        for _ in range(bench.times(15, 7)):
            ours.append(_pull_ms(one, two, size_bytes, ref))
            plain_ms.append(1000 * plain.measure_s())
        one.ask("withdraw", name=ref["name"])
    case = f"{size_bytes // MIB} MiB" if size_bytes >= MIB else f"{size_bytes // 1024} KiB"
    return Row(scenario="peers", case=case, unit="ms", dataflow=Series.of(ours), baseline=Series.of(plain_ms))


def _pull_ms(one: PeerProcess, two: PeerProcess, size_bytes: int, ref: object = None) -> float:
    answer = two.ask("pull", ref=ref or one.ask("offer", size_bytes=size_bytes, check=False)["ref"], check=False)
    if "error" in answer:
        raise BenchmarkFailed(f"a pull failed: {answer['error']}")
    took_s: float = answer["took_s"]
    return 1000 * took_s


def _kib(*processes: PeerProcess) -> list[int]:
    return [process.ask("figures")["rss_kib"] for process in processes]
