"""Evaluates inline functions in this process, one after the other. Blocks; no loop, no thread of its own."""

from __future__ import annotations

import os
import resource
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import quickjs

from invoker_ext.contract.inline import HOST_NAMES
from invoker_ext.inline.call import LOG_CHARS, MIB, Bounds, Call, Evaluated, Fault, failed
from invoker_ext.inline.text import utf8

STACK_BYTES: Final = 2 * MIB
"""Of native stack for recursion; a process has 8 MiB."""
_PRELUDE: Final = Path(__file__).with_name("prelude.js").read_text(encoding="utf-8")
_STATUS: Final = Path("/proc/self/status")
_STATM: Final = Path("/proc/self/statm")
_STATUS_BYTES: Final = 16 * 1024
_PAGE_KB: Final = resource.getpagesize() // 1024
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


KEPT: Final = 8
"""Contexts of programs that were in use last; each holds some hundred KB."""
USES: Final = 200
"""Of a context: what functions leave in it that cannot be seen does not grow without bound."""
CLEAN_S: Final = 0.05
"""What a function may go on to do after its result is there, before its context is given up."""
_HARMLESS: Final = frozenset({None, Fault.THREW, Fault.FUNCTION, Fault.INTERNAL, Fault.HOST, Fault.SIZE})
"""How a function may have ended whose context can be used again."""


@dataclass(slots=True)
class _Context:
    """An interpreter: the engine's own object, the function to reach it by, and how many calls it had."""

    engine: Any
    turn: Any
    uses: int = 0


class Engine:
    """Evaluates calls. A context is made ahead; it serves the functions of one program, or a single call.

    Args:
        bounds: Of each call.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._spare: _Context | None = None
        self._used: tuple[str, _Context] | None = None
        self._kept: OrderedDict[str, _Context] = OrderedDict()
        self._status = os.open(_STATUS, os.O_RDONLY | os.O_CLOEXEC)  # now: it may not be allowed later
        self._statm = os.open(_STATM, os.O_RDONLY | os.O_CLOEXEC)
        self._own_kb = self._peak_kb()
        self._floor_kb = self._data_kb()

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self._status)  # by a name of its own: that of the module may be gone when the interpreter ends
        close(self._statm)

    def prepare(self) -> None:
        """Do, while nobody waits, what the next call would have to wait for."""
        used, self._used = self._used, None
        if used is not None and self._clean(used[1]):
            name, context = used
            self._kept[name] = context
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        if used is not None:
            self._make_room()
        if self._spare is None:
            self._spare = self._make()

    def _make_room(self) -> None:
        """Give up what is kept if functions left so much in it that another's call might lack room."""
        data_kb = self._data_kb()
        self._floor_kb = min(self._floor_kb, data_kb)
        if data_kb - self._floor_kb > self._bounds.memory_mb * 512:
            self._kept.clear()
            self._floor_kb = self._data_kb()

    def evaluate(self, call: Call) -> Evaluated:
        """Return how a call ended; raises nothing that the function could bring about."""
        self.prepare()
        name = f"{call.namespace}/{call.program}" if call.program else ""
        context = self._kept.pop(name, None)
        if context is not None:
            answer = self._evaluate(context, call)
            if answer.fault is not Fault.MEMORY:
                return self._done(name, context, answer)
            # Others may have left little room in it; what failed has had no effect.
        context, self._spare = self._spare or self._make(), None
        return self._done(name, context, self._evaluate(context, call))

    def _done(self, name: str, context: _Context, answer: Evaluated) -> Evaluated:
        context.uses += 1
        if name and context.uses < USES and answer.fault in _HARMLESS:
            self._used = name, context
        return answer

    def _make(self) -> _Context:
        engine = quickjs.Context()
        engine.set_memory_limit(self._bounds.memory_mb * MIB)
        engine.set_max_stack_size(STACK_BYTES)
        engine.set_time_limit(self._bounds.time_s)
        return _Context(engine, engine.eval(_PRELUDE))

    def _clean(self, context: _Context) -> bool:
        """Return whether nothing of a call goes on, and all that it left in the global object could be taken away."""
        try:
            context.engine.set_time_limit(CLEAN_S)
            clean = not context.engine.execute_pending_job() and bool(context.turn("clean"))
            context.engine.set_time_limit(self._bounds.time_s)
        except (quickjs.JSException, MemoryError):
            return False
        return clean

    def _evaluate(self, context: _Context, call: Call) -> Evaluated:
        bounds = self._bounds
        try:
            head = self._run(context, call)
            if head is None:
                return failed(Fault.PENDING, call.path)
            if self._exhausted(head):
                return failed(Fault.MEMORY, call.path, str(bounds.memory_mb), log=head["log"])
            return _answer(context.turn, head, call, bounds)
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
        return head["kind"] == "null" and self._peak_kb() - self._own_kb > self._bounds.memory_mb * 512

    def _data_kb(self) -> int:
        """Return the writable memory that this process has asked for."""
        return int(os.pread(self._statm, _STATUS_BYTES, 0).split()[5]) * _PAGE_KB

    def _peak_kb(self) -> int:
        """Return the most memory that this process has had; `getrusage` counts that of the program before it, too."""
        lines = os.pread(self._status, _STATUS_BYTES, 0).splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(b"VmHWM:"))

    def _run(self, context: _Context, call: Call) -> dict[str, str] | None:
        """Return the head of the answer; None: nothing is left to do, and there is none.

        A function that keeps giving itself something to do is stopped by the clock of this loop: the engine's own
        begins anew with each piece.
        """
        deadline = time.process_time() + self._bounds.time_s
        variables = b"{%b}" % b",".join(b"%b:%b" % (orjson.dumps(name), cell) for name, cell in call.cells.items())
        code = call.code.encode(errors="replace").decode()
        given = call.params[0] if len(call.params) == 1 else b"".join(call.params)
        params = str(given, errors="replace")
        context.turn("call", code, params, variables.decode(errors="replace"))
        while (head := context.turn("head")) is None:
            if not context.engine.execute_pending_job():
                return None
            if time.process_time() > deadline:
                raise quickjs.JSException(_INTERRUPTED)
        read: dict[str, str] = orjson.loads(utf8(head))
        return read


def _answer(turn: Any, head: Mapping[str, str], call: Call, bounds: Bounds) -> Evaluated:
    room = bounds.answer_mb * MIB
    cells = {}
    for name, before in call.cells.items():
        text = turn("cell", name)
        after = before if text is None else utf8(text)
        if after != before:
            cells[name] = after
            room -= len(after)
    log = head["log"]
    if room < 0:
        return failed(Fault.SIZE, call.path, str(bounds.answer_mb), log=log)
    fault = _KINDS.get(head["kind"])
    if fault is Fault.THREW:
        missing = _missing(head["name"], head["message"])
        if missing is not None:
            return failed(Fault.HOST, call.path, missing, cells=cells, log=log)
    if fault is not None:
        return failed(fault, call.path, _NODE_SAYS.get(head["message"], head["message"]), cells=cells, log=log)
    text = turn("result")
    result = None if text is None else utf8(text)
    if room < (len(result) if result is not None else 0):
        return failed(Fault.SIZE, call.path, str(bounds.answer_mb), log=log)
    return Evaluated(result=result, cells=cells, log=log)


def _missing(name: str, message: str) -> str | None:
    """Return what of Node.js an error says is not there."""
    if name != "ReferenceError":
        return None
    missing = "import" if _MODULE in message else message.removesuffix(_NOT_DEFINED)
    return missing if missing in HOST_NAMES else None
