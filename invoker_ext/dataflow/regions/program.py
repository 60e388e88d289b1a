"""A region as instructions: jumps in place of nesting, compiled once and shared by all that run it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import islice
from typing import Final

from invoker_ext.contract.graph import Graph, Step
from invoker_ext.contract.regions import Region, RegionKind


class Op(Enum):
    """What an instruction does: see `instructions.OPS`."""

    __hash__ = object.__hash__  # Enum's own is Python code, and every instruction looks one up.

    PASS = "pass"
    CHECK = "check"
    """An error goes to its handler."""
    CHOOSE = "choose"
    """Go on at `target` if the member `value` is false."""
    TRY = "try"
    """An error until the matching EXIT goes on at `target`."""
    LET = "let"
    ENTER = "enter"
    """A loop begins."""
    AGAIN = "again"
    """Its next iteration does, at `target`."""
    WHILE = "while"
    """AGAIN if the condition holds, and there are iterations left."""
    EXIT = "exit"
    """What the matching TRY, LET or ENTER began is over."""
    STOP = "stop"
    """The thread is."""
    CALL = "call"
    DYNAMIC = "dynamic"
    FUNCTION = "function"
    RAISE = "raise"
    ASYNC = "async"
    PARALLEL = "parallel"
    MAP = "map"


@dataclass(slots=True, eq=False)
class Instruction:
    """One of a program.

    Attributes:
        op: What it does.
        at: Its place in the program.
        region: That it was made of.
        path: Of the nearest region around it that has one.
        next: Where to go on.
        target: Where else; its meaning is the op's.
        starts: Of PARALLEL: where each branch begins.
        step: Of CALL and DYNAMIC: names firings.
        more: Of FUNCTION: the functions that come next in the same scope, each whatever the one before came to.
    """

    op: Op
    at: int
    region: Region
    path: str
    next: int
    target: int = 0
    starts: tuple[int, ...] = ()
    step: Step | None = None
    more: tuple[Instruction, ...] = ()


@dataclass(slots=True, eq=False)
class Program:
    """Instructions; a thread that is past the last one is over.

    Attributes:
        code: The instructions.
        python: See `Region`.
    """

    code: list[Instruction] = field(default_factory=list)
    python: bool = False

    @staticmethod
    def of(graph: Graph, step: Step, region: Region) -> Program:
        """Return the program of a step, the same object for equal graphs as long as it is kept.

        Args:
            graph: That has the step.
            step: With whose name those of its firings begin.
            region: That it runs.
        """
        key = graph.digest, step.name
        program = _programs.get(key)
        if program is None:
            program = compile_region(region, step)
            if len(_programs) >= _KEPT_PROGRAMS:
                del _programs[next(iter(_programs))]
            _programs[key] = program
        return program


TOGETHER: Final = 32
"""Functions that are asked for at once."""
_KEPT_PROGRAMS: Final = 1024
_programs: Final[dict[tuple[str, str], Program]] = {}
# A cache of immutable values by content: sharing it between machines shares no state.


def compile_region(region: Region, step: Step) -> Program:
    """Compile a region; its firings are named after the step, and bounded as it is."""
    compiler = _Compiler(step)
    compiler.emit(region, "")
    for instruction in compiler.code:
        if _evaluated(instruction):
            instruction.more = tuple(islice(_following(compiler.code, instruction), TOGETHER - 1))
    return Program(compiler.code, region.python)


def _evaluated(instruction: Instruction) -> bool:
    return instruction.op is Op.FUNCTION and instruction.region.helper is None


def _following(code: list[Instruction], instruction: Instruction) -> Iterator[Instruction]:
    """Yield the functions between which nothing happens; no jump among them leads back."""
    while (at := instruction.next) < len(code):
        instruction = code[at]
        if _evaluated(instruction):
            yield instruction
        elif instruction.op is not Op.PASS:
            return


class _Compiler:
    def __init__(self, step: Step) -> None:
        self.code: list[Instruction] = []
        self._step = step
        self._names: set[str] = set()

    def _add(self, op: Op, region: Region, path: str) -> Instruction:
        instruction = Instruction(op, len(self.code), region, path, len(self.code) + 1)
        self.code.append(instruction)
        return instruction

    @property
    def _here(self) -> int:
        return len(self.code)

    def _all(self, parts: Iterable[Region], region: Region, path: str) -> None:
        """Emit parts one after the other; none at all look at the value as any part would."""
        before = self._here
        for part in parts:
            self.emit(part, path)
        if self._here == before:
            self._add(Op.CHECK, region, path)

    def emit(self, region: Region, around: str) -> None:
        """Append the instructions of a region."""
        path = region.path or around
        match region.kind:
            case RegionKind.CALL | RegionKind.DYNAMIC:
                instruction = self._add(Op.DYNAMIC if region.call is None else Op.CALL, region, path)
                instruction.step = replace(self._step, name=self._unique(path), call=region.call or region)
            case RegionKind.FUNCTION | RegionKind.RAISE:
                self._add(Op.FUNCTION if region.kind is RegionKind.FUNCTION else Op.RAISE, region, path)
            case RegionKind.SEQUENCE | RegionKind.RESUME:
                self._add(Op.PASS, region, path)
                self._all(region.parts, region, path)
            case RegionKind.LET | RegionKind.MASK:
                self._add(Op.LET, region, path)
                self._all(region.parts, region, path)
                self._add(Op.EXIT, region, path)
            case RegionKind.IF:
                self._if(region, path)
            case RegionKind.WHILE | RegionKind.DO_WHILE | RegionKind.REPEAT:
                self._loop(region, path)
            case RegionKind.TRY | RegionKind.FINALLY:
                self._try(region, path)
            case RegionKind.PARALLEL | RegionKind.MAP | RegionKind.ASYNC:
                self._fork(region, path)

    def _unique(self, path: str) -> str:
        name, number = self._step.name + path, 1
        while name in self._names:
            number += 1
            name = f"{self._step.name}{path}-{number}"
        self._names.add(name)
        return name

    def _if(self, region: Region, path: str) -> None:
        test, then, otherwise = region.parts
        self._add(Op.PASS, region, path)
        self.emit(test, path)
        choose = self._add(Op.CHOOSE, region, path)
        self.emit(then, path)
        jump = self._add(Op.PASS, region, path)
        choose.target = self._here
        self.emit(otherwise, path)
        jump.next = self._here

    def _loop(self, region: Region, path: str) -> None:
        self._add(Op.ENTER, region, path)
        first = self._here
        if region.kind is RegionKind.WHILE:
            test, body = region.parts
            self.emit(test, path)
            choose = self._add(Op.CHOOSE, region, path)
            self.emit(body, path)
            self._add(Op.AGAIN, region, path).target = first
            choose.target = self._here
        elif region.kind is RegionKind.DO_WHILE:
            body, test = region.parts
            self.emit(body, path)
            self.emit(test, path)
            choose = self._add(Op.CHOOSE, region, path)
            self._add(Op.AGAIN, region, path).target = first
            choose.target = self._here
        else:
            self.emit(region.parts[0], path)
            self._add(Op.WHILE, region, path).target = first
        self._add(Op.EXIT, region, path)

    def _try(self, region: Region, path: str) -> None:
        body, after = region.parts
        begin = self._add(Op.TRY, region, path)
        self.emit(body, path)
        leave = self._add(Op.EXIT, region, path)
        begin.target = self._here
        self.emit(after, path)
        if region.kind is RegionKind.TRY:
            leave.next = self._here

    def _fork(self, region: Region, path: str) -> None:
        op = {RegionKind.PARALLEL: Op.PARALLEL, RegionKind.MAP: Op.MAP, RegionKind.ASYNC: Op.ASYNC}[region.kind]
        fork = self._add(op, region, path)
        if op is Op.MAP:
            self._all(region.parts, region, path)
            self._add(Op.STOP, region, path)
        elif op is Op.PARALLEL:
            starts = []
            for part in region.parts:
                starts.append(self._here)
                self.emit(part, path)
                self._add(Op.STOP, region, path)
            fork.starts = tuple(starts)
        fork.next = self._here
