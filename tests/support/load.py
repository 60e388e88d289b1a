"""A load whose every function execution leaves a mark on the disk, to see what a kill loses or repeats."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

import requests

from tests.support.deploying import Deployer
from tests.support.waiting import wait_until

MARK: Final = """
import os, time
def main(args):
    line = f"{args['tag']} {args['step']} {args.get('n', '')}\\n".encode()
    mark = os.open(args["file"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(mark, line)
    os.close(mark)
    time.sleep(args.get("s", 0.01))
    return {"tag": args["tag"], "file": args["file"], "s": args.get("s", 0.01), "items": [1, 2]}
"""
STEPS: Final = ("plain", "a", "b", "c", "first", "item", "last")
FLOW: Final = """
dataflow: 1
steps:
  first: {action: mark-first, inputs: {tag: $run.tag, file: $run.file, s: $run.s}}
  item: {action: mark-item, inputs: {n: {each: first.items}, tag: $run.tag, file: $run.file, s: $run.s}}
  last: {action: mark-last, inputs: {n: {gather: item.tag}, tag: $run.tag, file: $run.file, s: $run.s}}
result: last
"""
TARGETS: Final = ("mark-plain", "mark-sequence", "mark-flow")
LARGE: Final = "x" * 700_000
"""Parameters of this size travel outside of the message."""
LARGE_EVERY: Final = 15
ONCE: Final = frozenset({"plain", "a", "b", "c"})


class Served(Protocol):
    """Whatever answers requests: `Server`, or several controllers."""

    def client(self) -> Deployer:
        """Return a client for one thread."""


S = TypeVar("S", bound=Served)


@dataclass
class Load(Generic[S]):
    """Runs of three kinds, from several callers.

    Attributes:
        accepted: Activation id → tag, of every run that the server has said it accepted.
        results: Tag → what a blocking call was answered.
        refused: What else it answered, or how the connection broke.
    """

    server: S
    marks: Path
    pause_s: float = 0.01
    accepted: dict[str, str] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def deploy(self) -> None:
        """Deploy what the runs need."""
        client = self.server.client()
        for step in STEPS:
            client.action(f"mark-{step}", MARK, parameters=[{"key": "step", "value": step}])
        components = [f"/_/mark-{step}" for step in ("a", "b", "c")]
        client.call(
            "PUT",
            "actions/mark-sequence?overwrite=true",
            json={"exec": {"kind": "sequence", "components": components}},
        ).raise_for_status()
        client.workflow(FLOW, "mark-flow")
        client.close()

    def run(self, runs: int, callers: int, *, blocking: bool | None = None) -> None:
        """Invoke, and return once all have been answered.

        Args:
            runs: How many in all.
            callers: Threads.
            blocking: Wait for the results; None: every other one does.
        """
        numbers = iter(range(runs))
        lock = threading.Lock()  # guards numbers

        def work() -> None:
            client = self.server.client()
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    client.close()
                    return
                self._invoke(client, number, bool(number // 3 % 2) if blocking is None else blocking)

        with ThreadPoolExecutor(callers) as pool:
            for future in [pool.submit(work) for _ in range(callers)]:
                future.result()

    def _invoke(self, client: Deployer, number: int, blocking: bool) -> None:
        name = TARGETS[number % len(TARGETS)]
        tag = f"{name}-{number}-{'waited' if blocking else 'sent'}"
        body = {"tag": tag, "file": str(self.marks), "s": self.pause_s}
        if number % LARGE_EVERY == TARGETS.index("mark-flow"):
            body["unread"] = LARGE
        try:
            reply = client.call("POST", f"actions/{name}?blocking={str(blocking).lower()}", json=body)
        except requests.RequestException as error:
            self.refused.append(f"{tag}: {type(error).__name__}")
            return
        document = reply.json()
        if reply.status_code in (200, 202, 502, 500) and "activationId" in document:
            self.accepted[document["activationId"]] = tag
            if blocking and "response" in document:
                self.results[tag] = document["response"]
        else:
            self.refused.append(f"{tag}: {reply.status_code} {reply.text}")

    def records(self, within_s: float) -> dict[str, dict[str, Any]]:
        """Return the record of each accepted run by its tag, once all are there."""
        client = self.server.client()
        found: dict[str, dict[str, Any]] = {}

        def complete() -> bool:
            for activation_id, tag in self.accepted.items():
                if tag not in found:
                    reply = client.call("GET", f"activations/{activation_id}")
                    if reply.status_code == requests.codes.ok:
                        found[tag] = reply.json()
            return len(found) == len(self.accepted)

        try:
            wait_until(complete, within_s, lambda: f"no record of {sorted(set(self.accepted.values()) - found.keys())}")
        finally:
            client.close()
        return found

    def executions(self) -> Counter[tuple[str, str, str]]:
        """Return how often each function of each run began."""
        lines = self.marks.read_text().splitlines() if self.marks.exists() else []
        return Counter((tag, step, n) for tag, step, n in (line.split(" ", 2) for line in lines))


def check(load: Load[Any], records: dict[str, dict[str, Any]], *, losses: int) -> Counter[str]:
    """Hold what is promised of accepted runs against what happened.

    Args:
        load: Done.
        records: Of all its accepted runs.
        losses: How often a native run may have started over.

    Returns:
        How many runs succeeded, and how many of each stated error there are.
    """
    outcomes: Counter[str] = Counter()
    for tag, record in records.items():
        response = record["response"]
        if response["success"]:
            outcomes["success"] += 1
            assert response["result"]["tag"] == tag, record
        else:
            error = response["result"]["error"]
            assert isinstance(error, str), record
            assert error, record
            outcomes[error] += 1
        if tag in load.results:
            assert load.results[tag]["result"] == response["result"], (tag, load.results[tag], record)
    for (tag, step, n), times in load.executions().items():
        bound = 1 if step in ONCE else 1 + losses
        assert times <= bound, f"{step} of {tag} ({n}) began {times} times"
    return outcomes
