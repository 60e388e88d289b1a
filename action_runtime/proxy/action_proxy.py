"""Answers `/init` and `/run` as ActionLoop's proxy does, down to its texts. Knows no sockets.

Source: OpenWhisk's `docs/actions-new.md`; the observed replies of the Go proxy with the Python launcher.
Deviates: parallel runs are answered one after the other, where the stock proxy mixes them up.
"""

from __future__ import annotations

import json
import os
import sys

from action_runtime import api
from action_runtime.answer import EXITED, Status, body, judge, refusal
from action_runtime.errors import OutputMisused
from action_runtime.function_unit import Exited, FunctionUnit, flush_logs, report
from action_runtime.loader import TWICE, InitFailed, Loader
from action_runtime.proxy.merger import Merger
from action_runtime.serde import dumps, revive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

SENTINEL: Final = b"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"
NOT_READY: Final = "no action defined yet"
_TWICE_MADE: Final = "was both emitted and returned; use two names"
_STATUSES: Final = {Status.OK: 200, Status.ERROR: 200, Status.NULL: 200, Status.INVALID: 502, Status.EXITED: 400}


class ActionProxy:
    """One action: initialised once, run often, gone when it exits."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._initialised = False
        self._function: FunctionUnit | None = None

    def handle(self, path: str, content: bytes) -> tuple[int, bytes]:
        """Return status and body of the reply to a request; the log is complete and closed when it returns."""
        if path == "/init":
            return self._init(content)
        if path == "/run":
            return self._run(content)
        return 200, b""

    def _init(self, content: bytes) -> tuple[int, bytes]:
        if self._initialised:
            sys.stderr.write(f"{TWICE}\n")
            flush_logs()
            return _error(403, TWICE)
        try:
            request = _object(content).get("value") or {}
            if not isinstance(request, dict):
                raise _Unreadable("json: cannot unmarshal into the value of /init")
            code = request.get("code") or ""
            function = self._loader.load(request, code.encode() if isinstance(code, str) else b"")
        except _Unreadable as error:
            return _error(400, f"Error unmarshaling request: {error}")
        except InitFailed as failed:
            flush_logs()
            if failed.logged:
                _close_logs()
            return _error(failed.status, failed.error)
        self._function = FunctionUnit(function)
        self._initialised = True
        flush_logs()
        return 200, b'{"ok":true}\n'

    def _run(self, content: bytes) -> tuple[int, bytes]:
        if self._function is None:
            return _error(500, NOT_READY)
        try:
            request = _object(content)
        except _Unreadable as error:
            return _error(400, f"Error unmarshaling request: {error}")
        status, text = self._activate(self._function, request)
        if status is Status.EXITED:
            self._function = None
        flush_logs()
        _close_logs()
        return _STATUSES[status], text.encode() + b"\n"

    def _activate(self, function: FunctionUnit, request: dict[str, Any]) -> tuple[Status, str]:
        """Run the function; return how it ended and the body."""
        argument = request.pop("value", {})
        if isinstance(argument, dict):
            argument = {name: revive(value) for name, value in argument.items()}
        merger = Merger(argument)
        try:
            for name, value in request.items():
                os.environ[f"__OW_{name.upper()}"] = value
            api.install(merger)
            result = function.call(argument)
            emitted = merger.texts()
            status = judge(result, bool(emitted))
            if status is Status.OK and isinstance(result, dict):
                for name in sorted(emitted.keys() & result.keys()):
                    return Status.ERROR, dumps({"error": str(OutputMisused(name, _TWICE_MADE))})
            return status, body(status, result, emitted)
        except Exited:
            return Status.EXITED, EXITED
        except Exception as error:  # noqa: BLE001 - serialising calls code of the user's classes
            status = refusal(error)
            if status is Status.EXITED:
                report(error)
            return status, body(status, None, {})
        finally:
            api.install(None)


class _Unreadable(Exception):
    """The body of a request is no JSON object; the text is the Go decoder's."""


def _object(content: bytes) -> dict[str, Any]:
    text = content.decode(errors="replace")
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()):
            raise _Unreadable("unexpected end of JSON input") from error
        raise _Unreadable(f"invalid character '{text[error.pos]}' looking for beginning of value") from error
    except RecursionError as error:
        raise _Unreadable("exceeded max depth") from error
    if not isinstance(parsed, dict):
        raise _Unreadable("json: cannot unmarshal into an object")
    return parsed


def _error(status: int, text: str) -> tuple[int, bytes]:
    return status, json.dumps({"error": text}, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _close_logs() -> None:
    for descriptor in (1, 2):
        os.write(descriptor, SENTINEL)
