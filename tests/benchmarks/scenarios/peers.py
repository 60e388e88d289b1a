"""Data from the sink of one host to the sink of another, two processes over loopback, beside plain `sendfile`."""

from __future__ import annotations

from contextlib import closing
from typing import Final

from tests.benchmarks.harness import Bench, BenchmarkFailed
from tests.benchmarks.plain import MIB, Plain
from tests.benchmarks.samples import Row, Series
from tests.support.peer_process import PeerProcess

SIZES_BYTES: Final = (16 * 1024, MIB, 64 * MIB, 256 * MIB)


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
