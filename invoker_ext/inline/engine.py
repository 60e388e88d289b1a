"""Evaluates inline functions in this process, one after the other. Blocks; no loop, no thread of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import quickjs

from invoker_ext.contract.inline import HOST_NAMES
from invoker_ext.inline.call import LOG_CHARS, MIB, Bounds, Call, Evaluated, Fault, failed

STACK_BYTES: Final = 2 * MIB
"""Of native stack for recursion; a process has 8 MiB."""
_PRELUDE: Final = Path(__file__).with_name("prelude.js").read_text(encoding="utf-8")
_STATUS: Final = Path("/proc/self/status")
_MEMORY: Final = "out of memory"
_INTERRUPTED: Final = "interrupted"
_NOT_DEFINED: Final = " is not defined"
_MODULE: Final = "could not load module"
_KINDS: Final = {
    "threw": Fault.THREW, "null": Fault.THREW, "function": Fault.FUNCTION, "internal": Fault.INTERNAL
}  # fmt: skip
_NODE_SAYS: Final = {
    "BigInt are forbidden in JSON.stringify": "Do not know how to serialize a BigInt",
    "circular reference": "Converting circular structure to JSON",
}
"""Where node words an error in another way and a record shows it."""


class Engine:
    """Evaluates calls, each in a context of its own.

    Args:
        bounds: Of each call.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._turn: Any = None
        self._own_kb = _peak_kb()

    def prepare(self) -> None:
        """Make the context of the next call ahead of it."""
        if self._turn is None:
            context = quickjs.Context()
            context.set_memory_limit(self._bounds.memory_mb * MIB)
            context.set_max_stack_size(STACK_BYTES)
            context.set_time_limit(self._bounds.time_s)
            self._turn = (context, context.eval(_PRELUDE))

    def evaluate(self, call: Call) -> Evaluated:
        """Return how a call ended; raises nothing that the function could bring about."""
        self.prepare()
        (context, turn), self._turn = self._turn, None
        bounds = self._bounds
        try:
            head = self._run(context, turn, call)
            if head is None:
                return failed(Fault.PENDING, call.path)
            if self._exhausted(head):
                return failed(Fault.MEMORY, call.path, str(bounds.memory_mb), log=head["log"])
            return _answer(turn, head, call, bounds)
        except (quickjs.JSException, MemoryError) as error:
            text = str(error)
            if _INTERRUPTED in text:
                return failed(Fault.TIME, call.path, f"{bounds.time_s:g}")
            if isinstance(error, MemoryError) or _MEMORY in text:
                return failed(Fault.MEMORY, call.path, str(bounds.memory_mb))
            return failed(Fault.THREW, call.path, log=text[:LOG_CHARS])

    def _exhausted(self, head: Mapping[str, str]) -> bool:
        """Return whether a function ended for want of memory; where even an error found no room, by what was used."""
        if head["message"] == _MEMORY and head["name"] == "InternalError":
            return True
        return head["kind"] == "null" and _peak_kb() - self._own_kb > self._bounds.memory_mb * 512

    def _run(self, context: Any, turn: Any, call: Call) -> dict[str, str] | None:
        """Return the head of the answer; None: nothing is left to do, and there is none.

        A function that keeps giving itself something to do is stopped by the clock of this loop: the engine's own
        begins anew with each piece.
        """
        deadline = time.process_time() + self._bounds.time_s
        variables = b"{%b}" % b",".join(b"%b:%b" % (orjson.dumps(name), cell) for name, cell in call.cells.items())
        code = call.code.encode(errors="replace").decode()
        turn("call", code, call.params.decode(errors="replace"), variables.decode(errors="replace"))
        while (head := turn("head")) is None:
            if not context.execute_pending_job():
                return None
            if time.process_time() > deadline:
                raise quickjs.JSException(_INTERRUPTED)
        read: dict[str, str] = orjson.loads(head)
        return read


def _answer(turn: Any, head: Mapping[str, str], call: Call, bounds: Bounds) -> Evaluated:
    room = bounds.answer_mb * MIB
    cells = {}
    for name, before in call.cells.items():
        text = turn("cell", name)
        after = before if text is None else _utf8(text)
        if after != before:
            cells[name] = after
            room -= len(after)
    log = head["log"]
    fault = _KINDS.get(head["kind"])
    if fault is Fault.THREW:
        missing = _missing(head["name"], head["message"])
        if missing is not None:
            return failed(Fault.HOST, call.path, missing, cells=cells, log=log)
    if fault is not None:
        return failed(fault, call.path, _NODE_SAYS.get(head["message"], head["message"]), cells=cells, log=log)
    text = turn("result")
    result = None if text is None else _utf8(text)
    if room < (len(result) if result is not None else 0):
        return failed(Fault.SIZE, call.path, str(bounds.answer_mb), log=log)
    return Evaluated(result=result, cells=cells, log=log)


def _missing(name: str, message: str) -> str | None:
    """Return what of Node.js an error says is not there."""
    if name != "ReferenceError":
        return None
    missing = "import" if _MODULE in message else message.removesuffix(_NOT_DEFINED)
    return missing if missing in HOST_NAMES else None


def _peak_kb() -> int:
    """Return the most memory that this process has had; `getrusage` counts that of the program before it, too."""
    with _STATUS.open() as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def _utf8(text: str) -> bytes:
    """Return JSON text as bytes. Halves of a character, which JavaScript allows and UTF-8 has not, are replaced."""
    if "\\ud" not in text:
        return text.encode()
    whole = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    return whole.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
