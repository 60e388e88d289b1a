"""Runs the Python code of one action in a process of its own; a stand-in for a container, not for its runtime."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROGRAM = """
import base64, io, json, os, sys, zipfile
work = json.load(sys.stdin)
os.environ.update(work["env"])
space = {"__name__": "action"}
code, main = work["code"], work["main"]
if work["binary"]:
    code = zipfile.ZipFile(io.BytesIO(base64.b64decode(code))).read("__main__.py").decode()
answer = os.fdopen(os.dup(1), "w")
try:
    exec(code, space)
except SyntaxError as error:
    print(error.msg, file=sys.stderr)
    fail = "The action failed to generate or locate a binary. See logs for details."
else:
    fail = None if callable(space.get(main)) else "Cannot start action. Check logs for details."
import contextlib
if fail is None:
    with open(work["out"], "w", buffering=1) as out, contextlib.redirect_stdout(out):
        try:
            value = space[main](work["args"])
        except Exception as error:
            import traceback
            traceback.print_exc()
            value = {"error": str(error)}
    if value is None or isinstance(value, (dict, list)):
        json.dump({"value": value}, answer)
    else:
        json.dump({"fail": "The action did not return a dictionary or array."}, answer)
else:
    json.dump({"fail": fail}, answer)
answer.close()
"""
MAX_RESPONSE = 1_048_576
_MISSING = "TIME stderr: The action did not initialize or run as expected. Log data might be missing."


@dataclass(frozen=True)
class Outcome:
    """How an execution ended: status, result, size of the raw response, log lines, timed out?"""

    status: int
    result: Any
    size: int | None
    logs: tuple[str, ...]
    timeout: bool = False


def run(exec_: dict[str, Any], args: Any, env: dict[str, str], timeout_ms: int, out: str) -> Outcome:
    """Run the code once.

    Args:
        exec_: Of the action.
        args: What the function gets.
        env: Added to the environment.
        timeout_ms: After which the process is killed.
        out: Path of a file for what it prints.
    """
    work = {
        "code": exec_["code"],
        "binary": exec_["binary"],
        "main": exec_.get("main", "main"),
        "args": args,
        "env": env,
        "out": out,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _PROGRAM],
            input=json.dumps(work).encode(),
            capture_output=True,
            timeout=timeout_ms / 1000,
            check=False,
        )
    except subprocess.TimeoutExpired:
        logs = (*_lines(out), _MISSING)
        text = f"The action exceeded its time limits of {timeout_ms} milliseconds."
        return Outcome(2, {"error": text}, None, logs, timeout=True)
    errors = tuple(f"TIME stderr: {line}" for line in done.stderr.decode().splitlines())
    logs = (*_lines(out), *errors)
    if not done.stdout:
        return _failed("command exited", logs)
    answer = json.loads(done.stdout)
    if "fail" in answer:
        return _failed(answer["fail"], logs)
    return _ended(answer["value"], logs)


def _ended(value: Any, logs: tuple[str, ...]) -> Outcome:
    if value is None:
        text = "The action did not produce a valid JSON or JSON Array response: null\n"
        return Outcome(2, {"error": text}, 5, logs)
    raw = json.dumps(value) + "\n"
    if len(raw) - 1 > MAX_RESPONSE:
        front = f"The action produced a response that exceeded the allowed length: {len(raw)} > {MAX_RESPONSE} bytes."
        return Outcome(1, {"error": f"{front} The truncated response was: {raw[:MAX_RESPONSE]}"}, len(raw), logs)
    if isinstance(value, dict) and "error" in value:
        return Outcome(1, {"error": value["error"]}, len(raw), logs)
    return Outcome(0, value, len(raw), logs)


def _failed(text: str, logs: tuple[str, ...]) -> Outcome:
    return Outcome(2, {"error": text}, len(json.dumps({"error": text}, separators=(",", ":"))) + 1, (*logs, _MISSING))


def _lines(path: str) -> tuple[str, ...]:
    try:
        return tuple(f"TIME stdout: {line}" for line in Path(path).read_text().splitlines())
    except FileNotFoundError:
        return ()
