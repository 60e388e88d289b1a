"""Many workflows that are under way at once, and what must be true of each of them once all are over.

Each run makes data of 64 KiB and more, then waits at a gate until all of them do; so at that moment the data of all lie
in the sinks, and whatever dies next dies under all of them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

from tests.support.deploying import Deployer
from tests.support.load import Served
from tests.support.waiting import wait_until

ITEMS: Final = 2
TEXT_BYTES: Final = 80_000
LARGE_BYTES: Final = 400_000
"""Of the texts of every eighth run: a consumer is placed where so many bytes are."""
LARGE_EVERY: Final = 8
SPOOLED: Final = "x" * 700_000
"""Parameters of this size travel outside of the message."""
SPOOLED_EVERY: Final = 12
SENDERS: Final = 8
READERS: Final = 4
MEMORY_MB: Final = 128
SPLIT: Final = """
import os
from action_runtime import emit
def main(args):
    for number in range(args["items"]):
        emit("text", f"{args['tag']} {number} ".ljust(args["bytes"], "."))
    mark = os.open(args["file"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(mark, f"split {args['tag']}\\n".encode())
    os.close(mark)
    return {}
"""
HOLD: Final = """
const fs = require('fs');
const gates = new Map();
function opened(gate) {
  if (!gates.has(gate)) gates.set(gate, new Promise((open) => {
    const timer = setInterval(() => { if (fs.existsSync(gate)) { clearInterval(timer); open(); } }, 20);
  }));
  return gates.get(gate);
}
function main(args) { return opened(args.gate).then(() => args); }
"""
PASS: Final = """
import os, time
def main(args):
    mark = os.open(args["file"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(mark, f"pass {' '.join(args['text'].split()[:2])}\\n".encode())
    os.close(mark)
    time.sleep(0.02)
    return {"text": args["text"]}
"""
JOIN: Final = """
def main(args):
    return {"heads": [text.split()[:2] for text in args["texts"]], "bytes": sum(map(len, args["texts"]))}
"""
FIRST: Final = """
import os
def main(args):
    mark = os.open(args["file"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(mark, f"split {args['tag']}\\nfirst {args['tag']} first\\n".encode())
    os.close(mark)
    return {**args, "texts": [f"{args['tag']} {number} ".ljust(args["bytes"], ".") for number in range(args["items"])]}
"""
LAST: Final = """
import os
def main(args):
    mark = os.open(args["file"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(mark, f"last {args['tag']} last\\n".encode())
    os.close(mark)
    return {"heads": [text.split()[:2] for text in args["texts"]], "bytes": sum(map(len, args["texts"]))}
"""
FLOW: Final = """
dataflow: 1
steps:
  split: {action: crowd-split, inputs: {tag: $run.tag, file: $run.file, items: $run.items, bytes: $run.bytes}}
  hold: {action: crowd-hold, inputs: {gate: $run.gate}}
  pass: {action: crowd-pass, inputs: {text: {each: split.text}, file: $run.file, go: hold.gate}}
  join: {action: crowd-join, inputs: {texts: {gather: pass.text}}}
result: join
"""
WORKFLOW: Final = "crowd"
CHAINS: Final = tuple(f"crowd-chain-{number}" for number in range(4))
"""Sequences, whose actions must not begin twice. Their names have their homes on different hosts."""
_ACTIONS: Final = {"split": SPLIT, "pass": PASS, "join": JOIN, "first": FIRST, "last": LAST}


def deploy(client: Deployer, concurrency: int) -> None:
    """Deploy what the runs need.

    Args:
        client: Of the namespace.
        concurrency: How many may wait at the gate in one container.
    """
    limits: dict[str, Any] = {"memory": MEMORY_MB}
    for name, code in _ACTIONS.items():
        client.action(f"crowd-{name}", code, limits=limits)
    many = {**limits, "concurrency": concurrency}
    client.put("crowd-hold", HOLD, kind="nodejs:20", limits=many).raise_for_status()
    client.workflow(FLOW, WORKFLOW)
    chain = {"exec": {"kind": "sequence", "components": [f"/_/crowd-{name}" for name in ("first", "hold", "last")]}}
    for name in CHAINS:
        client.call("PUT", f"actions/{name}?overwrite=true", json=chain).raise_for_status()


@dataclass(slots=True, frozen=True)
class Asked:
    """One invocation.

    Attributes:
        name: Of what is invoked.
        tag: Of the run; in all that it makes.
        blocking: Its caller waits for the result.
        size_bytes: Of each text.
        spooled: Its parameters are large.
    """

    name: str
    tag: str
    blocking: bool
    size_bytes: int
    spooled: bool

    @property
    def result(self) -> dict[str, Any]:
        """What it must come to."""
        return {"heads": [[self.tag, str(number)] for number in range(ITEMS)], "bytes": ITEMS * self.size_bytes}


@dataclass
class Crowd:
    """All runs of one death.

    Attributes:
        server: Is asked.
        folder: Of marks and gate; may be new. Its name is in all that the runs make.
        accepted: Activation id → what was asked, of every run that the server has said it accepted.
        answers: Tag → the response that a blocking call got.
        refused: What else was answered, or how the connection broke, with what was asked.
    """

    server: Served
    folder: Path
    accepted: dict[str, Asked] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    refused: list[tuple[Asked, str]] = field(default_factory=list)
    _asked: int = 0
    _threads: list[threading.Thread] = field(default_factory=list)

    def begun(self, step: str) -> Counter[str]:
        """Return how often each function of a step began, by what it was called with."""
        lines = self._marks.read_text().splitlines() if self._marks.exists() else []
        marks = (line.split(" ", 1) for line in lines)
        return Counter(what for one, what in marks if one == step)

    # -- inviting ------------------------------------------------------------------------------

    def gather(self, workflows: int, chains: int, within_s: float) -> None:
        """Invoke all, every fifth waiting for its result; return once the data of all lie in the sinks."""
        self.folder.mkdir(exist_ok=True)
        asked = [self._flow(number % 5 == 0) for number in range(workflows)]
        asked += [self._chain(number) for number in range(chains)]
        self._send(asked)
        wait_until(
            lambda: len(self.begun("split")) == len(asked),
            within_s,
            lambda: f"{len(self.begun('split'))} of {len(asked)} began, {self.refused[:3]}",
        )

    def open(self, moving: int, within_s: float) -> None:
        """Let all go on; return once so many functions have begun behind the gate."""
        (self.folder / "gate").touch()
        wait_until(lambda: sum(self.begun("pass").values()) >= moving, within_s, "functions behind the gate")

    def come(self, workflows: int, *, blocking: bool | None = None) -> None:
        """Invoke more; every other one waits for its result, or as it is said."""
        self._send([self._flow(number % 2 == 0 if blocking is None else blocking) for number in range(workflows)])

    def answered(self, within_s: float) -> None:
        """Return once every request has its answer."""
        for thread in self._threads:
            thread.join(within_s)
        assert [thread.name for thread in self._threads if thread.is_alive()] == []
        self._threads.clear()

    def _flow(self, blocking: bool) -> Asked:
        number = self._asked
        self._asked += 1
        size_bytes = LARGE_BYTES if number % LARGE_EVERY == 3 else TEXT_BYTES
        return Asked(WORKFLOW, f"{self.folder.name}-{number}", blocking, size_bytes, number % SPOOLED_EVERY == 1)

    def _chain(self, number: int) -> Asked:
        name = CHAINS[number % len(CHAINS)]
        return Asked(name, f"{self.folder.name}-chain-{number}", number // 4 % 2 == 0, TEXT_BYTES, False)

    def _send(self, asked: list[Asked]) -> None:
        """Have threads invoke; each that waits for its result has one of its own."""
        sent = [one for one in asked if not one.blocking]
        work = [[one] for one in asked if one.blocking] + [sent[at::SENDERS] for at in range(SENDERS)]
        threads = [threading.Thread(target=self._ask, args=(share,), name=f"asks for {share[:1]}") for share in work]
        self._threads += threads
        for thread in threads:
            thread.start()

    def _ask(self, asked: list[Asked]) -> None:
        client = self.server.client()
        try:
            for one in asked:
                self._invoke(client, one)
        finally:
            client.close()

    def _invoke(self, client: Deployer, asked: Asked) -> None:
        places = {"file": str(self._marks), "gate": str(self.folder / "gate")}
        body: dict[str, Any] = {"tag": asked.tag, "items": ITEMS, "bytes": asked.size_bytes, **places}
        if asked.spooled:
            body["unread"] = SPOOLED
        try:
            reply = client.call("POST", f"actions/{asked.name}?blocking={str(asked.blocking).lower()}", json=body)
        except requests.RequestException as error:
            self.refused.append((asked, type(error).__name__))
            return
        document = reply.json()
        if "activationId" not in document:
            self.refused.append((asked, f"{reply.status_code} {reply.text}"))
            return
        self.accepted[document["activationId"]] = asked
        if "response" in document:
            self.answers[asked.tag] = document["response"]

    # -- afterwards ----------------------------------------------------------------------------

    def records(self, within_s: float) -> dict[str, dict[str, Any]]:
        """Return the record of each accepted run by its id, once all have one."""
        found: dict[str, dict[str, Any]] = {}

        def look(ids: list[str]) -> None:
            client = self.server.client()
            for one in ids:
                reply = client.call("GET", f"activations/{one}")
                if reply.status_code == requests.codes.ok:
                    found[one] = reply.json()
            client.close()

        def complete() -> bool:
            missing = [one for one in self.accepted if one not in found]
            with ThreadPoolExecutor(READERS) as pool:
                list(pool.map(look, [missing[at::READERS] for at in range(READERS)]))
            return len(found) == len(self.accepted)

        wait_until(complete, within_s, lambda: f"no record of {sorted(self.accepted.keys() - found.keys())}")
        return found

    def check(self, records: dict[str, dict[str, Any]], stated: Collection[str]) -> Counter[str]:
        """Hold what is promised of runs against what became of them.

        Args:
            records: Of all that were accepted, by activation id.
            stated: Errors with which a run may end.

        Returns:
            How many runs succeeded, and how many ended with each error.
        """
        outcomes: Counter[str] = Counter()
        for one, asked in self.accepted.items():
            response = records[one]["response"]
            if response["success"]:
                outcomes["success"] += 1
                assert response["result"] == asked.result, (asked, records[one])
            else:
                error = response["result"]["error"]
                assert error in stated, (asked, records[one])
                outcomes[error] += 1
            if asked.tag in self.answers:
                assert self.answers[asked.tag]["result"] == response["result"], (asked, records[one])
        once = self.begun("first") + self.begun("last")
        assert max(once.values(), default=0) <= 1, once
        began = self.begun("split")
        assert [(asked, text) for asked, text in self.refused if text[0].isdigit() and began[asked.tag]] == []
        return outcomes

    @property
    def stored(self) -> int:
        """How many records all accepted runs leave if none loses a container."""
        flows = sum(asked.name == WORKFLOW for asked in self.accepted.values())
        return flows * (4 + ITEMS) + (len(self.accepted) - flows) * 4

    @property
    def _marks(self) -> Path:
        return self.folder / "marks"
