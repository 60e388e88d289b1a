"""The throttles of a real server with stock's limits, against the recorded exchanges of stock's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.replaying import Answer, Session, load, read_lines
from tests.support.server import Server, serving
from tests.support.waiting import wait_until

LIMITS: Final = {"INVOCATIONS_PER_MINUTE": "60", "CONCURRENT_INVOCATIONS": "30", "FIRES_PER_MINUTE": "60"}
ATTEMPTS: Final = 3
"""At a part that has to fit into one clock minute: the first starts thirty containers."""

Line = dict[str, Any]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    environ = {f"DATAFLOWER_CONTROLLER_{name}": value for name, value in LIMITS.items()}
    with serving("--workers", "2", environ=environ) as one:
        yield one


def within_one_minute(seconds: int, act: Callable[[], list[str]]) -> list[str]:
    """Do something that should take so many seconds, again if the clock's minute went over meanwhile."""
    for _ in range(ATTEMPTS):
        wait_until(lambda: time.time() % 60 < 60 - seconds, within_s=61, message="the next minute")
        minute = time.time() // 60
        problems = act()
        if time.time() // 60 == minute:
            return problems
    raise AssertionError(f"it did not fit into a minute {ATTEMPTS} times")


@pytest.mark.timeout(300)
def test_rates_and_concurrency_are_bounded_as_recorded(server: Server, shared_dir: Path):
    recordings = shared_dir / "recordings"
    session = Session(load(recordings), server.url)
    lines = {line["step"]: line for line in read_lines(recordings / "throttles.jsonl")}
    crowd = [lines.pop(step) for step in sorted(lines) if step.startswith("concurrent-")]
    fires = [lines.pop(step) for step in sorted(lines) if step.startswith("fire-")]
    # In recorded order; the sequence that comes too late is made before.
    calls = [lines.pop(step) for step in list(lines) if step == "invoke-warm" or step.startswith("rate-")]

    def one(line: Line) -> list[str]:
        return [f"{line['step']}: {problem}" for problem in session.problems(line, session.send(line))]

    def invocations() -> list[str]:
        with ThreadPoolExecutor(len(crowd)) as pool:
            warm = one(calls[0])
            answers = list(pool.map(session.send, crowd))
        return [*warm, *compared(session, crowd, answers), *(told for line in calls[1:] for told in one(line))]

    assert [told for line in lines.values() for told in one(line)] == []
    assert within_one_minute(35, invocations) == []
    assert within_one_minute(10, lambda: [told for line in fires for told in one(line)]) == []


def compared(session: Session, lines: list[Line], answers: list[Answer]) -> list[str]:
    """Compare the answers of a crowd: how many are refused is recorded, but which ones is a matter of who is first."""
    recorded = [line["response"]["status"] for line in lines]
    problems = [] if sorted(answer[0] for answer in answers) == sorted(recorded) else ["other numbers of refusals"]
    refusal = next(line for line in lines if line["response"]["status"] == 429)
    for line, answer in zip(lines, answers, strict=True):
        if answer[0] == 429:
            problems += session.problems(refusal, answer)
        elif answer[2] != line["request"]["body"]:
            problems.append(f"{line['step']}: {answer}")
    return problems
