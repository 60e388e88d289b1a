"""Replays recordings of a real server with the logic of the recordings' own `replay.py`, without its pauses."""

from __future__ import annotations

import importlib.util
import json
import re
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support.conformance import Conformance, Outcome
from tests.support.waiting import wait_until

Note = Callable[[Outcome | None], None]


@dataclass
class Report:
    """What came of a replay: `step: problems` of the steps that differ, and of those that may; those that need not."""

    equal: int = 0
    wrong: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    needless: list[str] = field(default_factory=list)


def load(recordings: Path) -> ModuleType:
    """Import `replay.py`."""
    spec = importlib.util.spec_from_file_location("recordings_replay", recordings / "replay.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_allowed(path: Path) -> list[tuple[str, str]]:
    """Read `STEP-REGEX<tab>reason` lines."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return [(pattern, reason) for pattern, _, reason in (line.partition("\t") for line in lines)]


def replay(
    module: ModuleType,
    url: str,
    recording: Path,
    allowed: Sequence[tuple[str, str]],
    note: Note = lambda outcome: None,
) -> Report:
    """Send every step of a recording and compare the answers.

    Args:
        module: From `load`.
        url: Of the server.
        recording: One session.
        allowed: Steps that may differ.
        note: Told as what each answer is declared.
    """
    report = Report()
    session = Session(module, url, note)
    for line in read_lines(recording):
        answer = session.send(line)
        if answer[0] == 202 and line["response"]["status"] == 202:
            session.await_record(answer[2]["json"]["activationId"])
        problems = session.problems(line, answer)
        step = line["step"] or ""
        may = any(re.search(pattern, step) for pattern, _ in allowed)
        if not problems:
            report.equal += 1
            if may:
                report.needless.append(step)
            continue
        told = f"{step} [{line['request']['method']} {line['request']['path'][:80]}]: {'; '.join(problems[:6])}"
        (report.allowed if may else report.wrong).append(told)
    return report


def read_lines(recording: Path) -> list[dict[str, Any]]:
    """Return the exchanges of a recorded session."""
    return [json.loads(text) for text in recording.read_text().splitlines()]


Answer = tuple[int, dict[str, str], Any]
"""Status, headers by their lower-case names, and body as recordings have it."""


class Session:
    """One session with a server: sends what was recorded, and compares; ids of answers stand for the recorded ones.

    Args:
        module: From `load`.
        url: Of the server.
        note: Told as what each answer is declared.
    """

    def __init__(self, module: ModuleType, url: str, note: Note = lambda outcome: None) -> None:
        self._module = module
        self._note = note
        self._target = urllib.parse.urlsplit(url)
        self._ids = module.Ids()
        self._described = Conformance(_get(module, self._target, "/api/v1/api-docs")[2]["json"])

    def send(self, line: dict[str, Any]) -> Answer:
        """Send the request of an exchange."""
        answer: Answer = self._module.send(self._target, line["request"], self._ids)
        request = line["request"]
        self._note(self._described.outcome(request["method"], request["path"], answer[0]))
        want, body = line["response"], answer[2]
        if want["body"] and body and "json" in want["body"] and "json" in body:
            self._ids.learn(want["body"]["json"], body["json"])
        return answer

    def problems(self, line: dict[str, Any], answer: Answer) -> list[str]:
        """Return what about an answer is not as recorded, or not as the server's own document says."""
        found = _problems(self._module, line["response"], *answer)
        return found + _undocumented(self._described, line, *answer)

    def await_record(self, activation_id: str) -> None:
        """Wait for the end of what was accepted, and of what it fired: the recorded session did, between its steps."""
        path = f"/api/v1/namespaces/_/activations/{activation_id}"
        wait_until(
            lambda: _get(self._module, self._target, path)[0] == 200,
            within_s=15,
            message=lambda: f"no record of {activation_id}",
        )
        for line in _get(self._module, self._target, path)[2]["json"]["logs"]:
            if line.startswith('{"statusCode":0,'):
                self.await_record(json.loads(line)["activationId"])


def _get(module: ModuleType, target: urllib.parse.SplitResult, path: str) -> Answer:
    request: dict[str, Any] = {"method": "GET", "path": path, "auth": "guest", "headers": {}, "body": None}
    answer: Answer = module.send(target, request, module.Ids())
    return answer


def _undocumented(
    described: Conformance, line: dict[str, Any], status: int, headers: dict[str, str], body: dict[str, Any] | None
) -> list[str]:
    """Return what about an answer is not as the server's own document says."""
    request = line["request"]
    raw = b"" if body is None else json.dumps(body["json"]).encode() if "json" in body else b"?"
    if body is not None and "text" in body:
        raw = body["text"].encode()
    return described.problems(request["method"], request["path"], status, headers.get("content-type"), raw)


def _problems(module: ModuleType, want: dict[str, Any], status: int, headers: dict[str, str], body: Any) -> list[str]:
    problems = [] if status == want["status"] else [f"status {status}, want {want['status']}"]
    if not (want["body"] and "omitted" in want["body"]):
        problems += module.diff(module.norm(module.grow(want["body"])), module.norm(body))
    for name in ("content-type", "www-authenticate", "allow", "location"):
        wanted, got = want["headers"].get(name), headers.get(name)
        if wanted and (got or "").lower() != wanted.lower():
            problems.append(f"header {name}: {got!r}, want {wanted!r}")
    if "x-openwhisk-activation-id" in want["headers"] and "x-openwhisk-activation-id" not in headers:
        problems.append("header x-openwhisk-activation-id is missing")
    document = (body or {}).get("json")
    refused = status >= 400 and "code" in (want["body"] or {}).get("json", {})
    if refused and isinstance(document, dict) and document.get("code") != headers.get("x-request-id", ""):
        problems.append("error code is not the X-Request-ID")
    return problems
