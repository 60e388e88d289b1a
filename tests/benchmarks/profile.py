"""Where the time of a call goes: `python -m tests.benchmarks.profile [NAME…]`. Asserts nothing.

The kernel's books give each process's computing time a call and how often it waited; `py-spy`, if it may look at other
processes here, says in which functions their interpreters were.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.benchmarks.actions import CONSUME, NOOP, PRODUCE, TEXT, hand_over
from tests.benchmarks.harness import Bench, load, running
from tests.benchmarks.samples import Series
from tests.benchmarks.scenarios.composer import CASES, MAP, STEPS
from tests.support.composer.trees import Tree, deployed
from tests.support.processes import child_running, children, command, descendants

SECONDS: Final = 4.0
RATE_HZ: Final = 250
SHOWN: Final = 6
_TICK_MS: Final = 1000 / os.sysconf("SC_CLK_TCK")
CALLER: Final = "callers"
_MODULES: Final = {"workers": "controller_ext.wsgi", "balancer": "controller_ext.balancer", "invoker": "invoker_ext"}


@dataclass(slots=True, frozen=True)
class Usage:
    """What a process has used so far.

    Attributes:
        user_ms, system_ms: Computing time, in its own code and in the kernel on its behalf.
        waits: How often one of its threads gave its core away to wait.
    """

    user_ms: float = 0.0
    system_ms: float = 0.0
    waits: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.user_ms + other.user_ms, self.system_ms + other.system_ms, self.waits + other.waits)

    def since(self, before: Usage, calls: int) -> Usage:
        """Return what was used since then, a call."""
        return Usage(
            max(0.0, self.user_ms - before.user_ms) / calls,
            max(0.0, self.system_ms - before.system_ms) / calls,
            max(0, self.waits - before.waits) // calls,
        )


def usage_of(pid: int) -> Usage:
    """Read the kernel's books; nothing of a process that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        waits = sum(
            int(line.split()[1])
            for status in Path(f"/proc/{pid}/task").glob("*/status")
            for line in status.read_text().splitlines()
            if line.startswith("voluntary_ctxt_switches")
        )
    except OSError:
        return Usage()
    return Usage(int(fields[11]) * _TICK_MS, int(fields[12]) * _TICK_MS, waits)


def own_usage() -> Usage:
    """Return what this process, which makes the calls, has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Usage(used.ru_utime * 1000, used.ru_stime * 1000, used.ru_nvcsw)


def roles(server_pid: int) -> dict[str, set[int]]:
    """Return the pids of a server's processes by what they are."""
    found = {role: {child_running(server_pid, module)} for role, module in _MODULES.items()}
    below = children(min(found["invoker"]))  # the keeper of the containers, and what evaluates functions
    found["functions"] = {pid for pid in below if "invoker_ext.inline.worker" in command(pid)}
    found["containers"] = descendants(min(found["invoker"])) - below
    found["workers"] |= descendants(min(found["workers"]))
    return {role: pids for role, pids in found.items() if pids}


def hottest(text: str) -> list[tuple[str, float]]:
    """Return functions with their share of all samples, the largest first.

    Args:
        text: Lines `frame;frame;frame count`, outermost first.
    """
    counts: Counter[str] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        counts[stack.rpartition(";")[2]] += int(count)
    total = sum(counts.values())
    return [(name, count / total) for name, count in counts.most_common()]


@contextmanager
def watched(pids: Mapping[str, int], seconds: float) -> Iterator[dict[str, list[tuple[str, float]]]]:
    """Sample processes while the body runs; what is yielded is filled when it has ended."""
    found: dict[str, list[tuple[str, float]]] = {}
    spy = shutil.which("py-spy", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if spy is None:
        yield found
        return
    with tempfile.TemporaryDirectory() as folder:
        files = {role: Path(folder, role) for role in pids}
        # Only threads that hold the interpreter: who waits would count as at work otherwise.
        options = f"record --gil --function --format raw --rate {RATE_HZ} --duration {max(1, round(seconds))}".split()
        spies = [
            subprocess.Popen(
                [spy, *options, "--output", str(files[role]), "--pid", str(pid)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for role, pid in pids.items()
        ]
        try:
            yield found
        finally:
            for one in spies:
                try:
                    one.wait(seconds + 10)
                except subprocess.TimeoutExpired:
                    one.kill()
                    one.wait()
        found |= {role: hottest(file.read_text()) for role, file in files.items() if file.exists()}


def invoke(bench: Bench) -> tuple[str, bytes, int]:
    """A blocking invoke of a warm no-op, one caller."""
    bench.action("profile-noop", NOOP, memory_mb=128)
    return "profile-noop", b"{}", 1


def sequence(bench: Bench) -> tuple[str, bytes, int]:
    """A sequence of 4 no-ops, 4 callers."""
    return _sequence(bench), b"{}", 4


def sequence_16(bench: Bench) -> tuple[str, bytes, int]:
    """A sequence of 4 no-ops, 16 callers."""
    return _sequence(bench), b"{}", 16


def large(bench: Bench) -> tuple[str, bytes, int]:
    """A sequence of 4 that passes 900 KB, one caller."""
    return _sequence(bench), json.dumps({"text": "x" * 900_000}).encode(), 1


def consumers(bench: Bench) -> tuple[str, bytes, int]:
    """64 MiB handed to 8 consumers, one caller."""
    bench.action("bench-produce", PRODUCE, memory_mb=512)
    bench.action("bench-consume", CONSUME, memory_mb=128)
    bench.workflow("profile-consumers", hand_over(8))
    return "profile-consumers", json.dumps({"n": 64 << 20}).encode(), 1


def composed_steps(bench: Bench) -> tuple[str, bytes, int]:
    """A composition of 10 no-op steps, one caller."""
    return _composition(bench, CASES[f"{STEPS} no-op steps"]), b"{}", 1


def composed_rounds(bench: Bench) -> tuple[str, bytes, int]:
    """A composition of 10 rounds of a no-op, counted by a function, one caller."""
    return _composition(bench, CASES[f"{STEPS} rounds of a no-op, counted by a function"]), b"{}", 1


def composed_functions(bench: Bench) -> tuple[str, bytes, int]:
    """A composition of 10 inline functions, one caller."""
    return _composition(bench, CASES[f"{STEPS} functions"]), b'{"n": 1}', 1


def composed_map(bench: Bench) -> tuple[str, bytes, int]:
    """A `map` whose 100 elements become 100 KB each, one caller."""
    return _composition(bench, MAP), b"{}", 1


def _composition(bench: Bench, ast: Tree) -> str:
    bench.action("bench-noop", NOOP)
    bench.action("bench-text", TEXT)
    bench.put("profile-composition", deployed(ast))
    return "profile-composition"


def _sequence(bench: Bench) -> str:
    bench.action("profile-noop", NOOP, memory_mb=128)
    return bench.sequence("profile-sequence", ["profile-noop"] * 4)[0]


LOADS: Final[Mapping[str, Callable[[Bench], tuple[str, bytes, int]]]] = {
    "invoke": invoke,
    "sequence": sequence,
    "sequence-16": sequence_16,
    "sequence-900k": large,
    "consumers-8": consumers,
    "composed-steps": composed_steps,
    "composed-rounds": composed_rounds,
    "composed-functions": composed_functions,
    "composed-map": composed_map,
}


def profile(bench: Bench, name: str, seconds: float, console: Console) -> None:
    """Put one load on the server, warm first, and print where the time went."""
    action, body, callers = LOADS[name](bench)
    load(bench, action, callers, 1.0, body)
    pids = roles(bench.server.pid)
    before = {role: _sum(of) for role, of in pids.items()} | {CALLER: own_usage()}
    begin_s = time.monotonic()
    rate, latencies = load(bench, action, callers, seconds, body)
    wall_s = time.monotonic() - begin_s
    calls = len(latencies)
    after = {role: _sum(of) for role, of in pids.items()} | {CALLER: own_usage()}
    series = Series.of(latencies)
    a_call = {role: after[role].since(before[role], calls) for role in before}
    total = sum(a_call.values(), Usage())
    computing_ms = total.user_ms + total.system_ms
    cores = os.cpu_count() or 1
    console.print(
        f"\n[bold]{name}[/bold]: {(LOADS[name].__doc__ or '').rstrip('.')}: {rate:,.0f} calls/s, "
        f"p50 {series.median:.2f} ms, p99 {series.p99():.2f} ms; {computing_ms:.2f} ms of computing a call, "
        f"so {cores} cores allow {1000 * cores / computing_ms:,.0f} calls/s; "
        f"they were {computing_ms * calls / 10 / wall_s / cores:.0f} % busy with these processes",
        highlight=False,
    )
    # Looking slows what is looked at: stacks come from a second, equal load.
    looked_at = {role: _busiest(of) for role, of in pids.items()}
    with watched(looked_at, seconds) as stacks:
        load(bench, action, callers, seconds, body)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    titles = ("process", "ms/call", "in the kernel", "waits/call", "interpreter at work in")
    for number, title in enumerate(titles):
        table.add_column(title, justify="right" if 0 < number < 4 else "left", overflow="fold")
    for role, used in a_call.items():
        hot = ", ".join(f"{where} {share:.0%}" for where, share in stacks.get(role, [])[:SHOWN])
        table.add_row(
            role, f"{used.user_ms + used.system_ms:.3f}", f"{used.system_ms:.3f}", str(used.waits), hot or "–"
        )
    console.print(table)


def _sum(pids: set[int]) -> Usage:
    return sum((usage_of(pid) for pid in pids), Usage())


def _busiest(pids: set[int]) -> int:
    return max(pids, key=lambda pid: usage_of(pid).user_ms)


def main(arguments: list[str] | None = None) -> int:
    """Profile loads, one after the other, on one server."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.profile", description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"of {', '.join(LOADS)}; default all")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of load, twice a profile; default %(default)s")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.names if name not in LOADS]
    if unknown:
        parser.error(f"no load {', '.join(unknown)}; there are {', '.join(LOADS)}")
    console = Console()
    console.width = max(console.width, 140)
    with running(short=True) as bench:
        for name in chosen.names or LOADS:
            profile(bench, name, chosen.seconds, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
