"""A host in a process of its own, which may be killed or live in a network namespace.

Run as a module it is that process. Commands come as lines of JSON on stdin and are answered by lines of JSON on stdout,
in order of their completion.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import uvloop

from invoker_ext.peers.bounds import Bounds
from invoker_ext.peers.ref import Ref
from tests.support.peering import MIB, Host
from tests.support.sources import ROOT

ANSWER_S: Final = 60.0


class PeerProcess:
    """The other end of its pipes.

    Attributes:
        address: Where it listens.
    """

    def __init__(
        self, number: int, listen: str = "127.0.0.1:0", *, bounds: Bounds | None = None, prefix: Sequence[str] = ()
    ) -> None:
        """Start it; returns when it listens.

        Args:
            number: Of the invoker.
            listen: `HOST:PORT`.
            bounds: Of the pipe; default: those of a server.
            prefix: What to put before its command, as `ip netns exec NAME`.
        """
        command = [sys.executable, "-m", "tests.support.peer_process", str(number), listen]
        if bounds is not None:
            command += ["--bounds", json.dumps(dataclasses.asdict(bounds))]
        self._process = subprocess.Popen(
            [*prefix, *command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.number = number
        self.address: str = self.answer()["address"]

    def begin(self, command: str, **fields: Any) -> None:
        """Give a command; its answer comes in time."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": command, **fields}) + "\n")

    def answer(self) -> dict[str, Any]:
        """Return the next answer; raises EOFError if the process has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise EOFError("the host has ended")
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, command: str, **fields: Any) -> dict[str, Any]:
        """Give a command and return its answer."""
        self.begin(command, **fields)
        return self.answer()

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        """End it, if it still runs, and wait."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def own_kib() -> int:
    """Return the memory of this process without shared segments."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kib = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "RssShmem"))}
    return kib["VmRSS:"] - kib["RssShmem:"]


class _Served:
    """The commands, inside."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def know(self, number: int, address: str) -> dict[str, Any]:
        self._host.peers.know(number, address)
        return {}

    async def offer(self, size_bytes: int, *, check: bool = True) -> dict[str, Any]:
        """Offer a datum whose megabytes differ."""
        one = os.urandom(min(size_bytes, MIB))
        data = b"".join(index.to_bytes(8, "big") + one[8:] for index in range(-(-size_bytes // MIB)))[:size_bytes]
        stored, ref = self._host.offer(data)
        stored.release()
        return {"ref": ref.to_meta(), "digest": hashlib.sha256(data).hexdigest() if check else ""}

    async def withdraw(self, name: str) -> dict[str, Any]:
        self._host.peers.withdraw(name)
        return {}

    async def pull(self, ref: dict[str, Any], *, check: bool = True) -> dict[str, Any]:
        begin_s = time.perf_counter()
        stored = await self._host.peers.pull(Ref.from_meta(ref), "guest/run")
        took_s = time.perf_counter() - begin_s
        digest = hashlib.sha256(stored.read()).hexdigest() if check else ""
        stored.release()
        return {"took_s": took_s, "digest": digest, **await self.figures()}

    async def figures(self) -> dict[str, Any]:
        """Return what was moved and lost, and the memory of the process without shared segments."""
        return {
            "rss_kib": own_kib(),
            "pinned_bytes": sum(self._host.sink.usage.by_owner.values()) - sum(self._host.sink.unmapped().values()),
            "lost": self._host.lost,
            "lent_bytes": self._host.peers.lent_bytes,
            "resumed_at": self._host.peers.resumed_at,
        }


async def _serve(number: int, listen: str, bounds: Bounds) -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    tasks: set[asyncio.Task[None]] = set()
    with tempfile.TemporaryDirectory() as folder:
        host = await Host(number, Path(folder), bounds=bounds, listen=listen, budget_bytes=1024 * MIB).start()
        served = _Served(host)

        async def carry_out(given: dict[str, Any]) -> None:
            command = given.pop("command")
            try:
                found = await getattr(served, command)(**given)
            except Exception as error:  # noqa: BLE001 - the test gets it, whatever it is
                found = {"error": repr(error)}
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()

        sys.stdout.write(json.dumps({"address": host.peers.address}) + "\n")
        sys.stdout.flush()
        while line := await lines.readline():
            task = loop.create_task(carry_out(json.loads(line)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        for task in tasks:
            task.cancel()
        await host.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("number", type=int)
    parser.add_argument("listen")
    parser.add_argument("--bounds", type=json.loads, default={})
    chosen = parser.parse_args()
    uvloop.run(_serve(chosen.number, chosen.listen, Bounds(**chosen.bounds)))
