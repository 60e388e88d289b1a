"""Inline functions in real processes: answered in order, at their bounds, and through the death of a process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from invoker_ext.inline import functions, process
from invoker_ext.inline.call import Bounds, Call, Evaluated, Fault
from invoker_ext.inline.frames import pack
from invoker_ext.inline.functions import Functions
from tests.support.waiting import until

HANG = Bounds(time_s=0.1, memory_mb=32)


class Client:
    """Awaits what a run would hear."""

    def __init__(self, functions: Functions) -> None:
        self.functions = functions

    async def __call__(
        self, code: str, *more: str, params: bytes = b"{}", namespace: str = "guest", program: str = "", **cells: bytes
    ) -> Evaluated:
        heard: asyncio.Future[Evaluated] = asyncio.get_running_loop().create_future()
        pairs = [(one, f"[{at}]") for at, one in enumerate(more, 1)]
        call = Call(namespace=namespace, program=program, code=code, params=(params,), cells=cells, more=pairs)
        self.functions.evaluate(call, heard.set_result)
        return await asyncio.wait_for(heard, 20)


@pytest.fixture
async def evaluate(no_leaks) -> AsyncIterator[Client]:
    functions = Functions(asyncio.get_running_loop(), Bounds(time_s=0.3, memory_mb=32), workers=2)
    yield Client(functions)
    await functions.close()


async def test_functions_are_evaluated(evaluate):
    answers = await asyncio.gather(*(evaluate(f"p => p.a + {n}", params=b'{"a": 1}') for n in range(20)))
    assert [answer.result for answer in answers] == [str(n + 1).encode() for n in range(20)]


async def test_variables_and_large_values_come_back(evaluate):
    large = b'"' + b"x" * 3_000_000 + b'"'
    answer = await evaluate("p => { x = p.length; return p }", params=large, x=b"0")
    assert (answer.result, dict(answer.cells)) == (large, {"x": b"3000000"})


async def test_functions_that_follow_each_other_are_one_call(evaluate):
    answer = await evaluate("p => ({n: x})", "p => { x = 2; p.n++ }", "p => p.n + x", x=b"1")
    assert answer == Evaluated(result=b"4", cells={"x": b"2"}, done=3)


async def test_where_the_process_dies_amid_several_they_are_evaluated_one_by_one(evaluate):
    await evaluate("() => 1")
    dying = asyncio.create_task(evaluate("() => { x = 2 }", "() => { for (;;); }", x=b"1"))
    await asyncio.sleep(0)
    for pid in evaluate.functions.processes:
        os.kill(pid, signal.SIGKILL)
    assert await dying == Evaluated(cells={"x": b"2"}), "the first one alone; who asked goes on with the other"


async def test_a_worker_has_nothing_of_the_invoker(evaluate):
    await evaluate("() => 1")
    (pid,) = evaluate.functions.processes
    proc = Path(f"/proc/{pid}")
    assert b"PATH" not in proc.joinpath("environ").read_bytes()
    opened = {one.name: one.readlink() for one in proc.joinpath("fd").iterdir()}
    assert str(opened.pop("0")).startswith("socket:")
    own = (proc / "status", proc / "statm")
    assert sorted(opened.values()) == sorted((Path("/dev/null"), Path("/dev/null"), *own))


def confinement(pid: int) -> set[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line for line in lines if line.startswith(("NoNewPrivs:", "Seccomp:"))}


async def test_a_worker_is_confined_by_the_kernel(evaluate):
    await evaluate("() => 1")
    (pid,) = evaluate.functions.processes
    assert confinement(pid) == {"NoNewPrivs:\t1", "Seccomp:\t2"}


@pytest.mark.parametrize("nonsense", [*pack([]), *pack([b"{}"]), *pack([b"[]", b""]), bytes(4), b"\xff" * 4])
async def test_a_worker_that_answers_nonsense_is_ended_and_its_function_fails(evaluate, monkeypatch, nonsense):
    ready, hear = f"import socket; s = socket.socket(fileno=0); s.sendall({pack([])[0]!r})", "s.recv(9999)"
    program = f"{ready}; {hear}; s.sendall({nonsense!r}); {hear}"
    monkeypatch.setattr(process, "_PROGRAM", program)
    assert (await evaluate("() => 1")).fault is Fault.CRASHED
    monkeypatch.undo()
    assert (await evaluate("() => 2")).result == b"2"


async def test_a_function_that_takes_all_memory_is_stopped_and_the_next_is_served(evaluate):
    answer = await evaluate("() => { const a = []; for (;;) a.push('x'.repeat(1000) + a.length) }")
    assert answer.error == "Function combinator at AST node root needed more than 32 MB of memory"
    assert (await evaluate("() => 1")).result == b"1"


async def test_what_functions_leave_behind_is_bounded_for_all_programs_together(no_leaks):
    functions = Functions(asyncio.get_running_loop(), Bounds(memory_mb=32), workers=1)
    client = Client(functions)
    for program in ("first", "second", "third"):
        await client("() => { Array.prototype.held = new Uint8Array(10e6) }", program=program)
    look = "() => [].held?.length ?? 0"
    assert [(await client(look, program=one)).result for one in ("first", "second")] == [b"0", b"0"]
    await functions.close()


async def test_a_function_that_never_ends_is_stopped_while_others_are_served(evaluate):
    loop = asyncio.create_task(evaluate("() => { for (;;); }"))
    assert (await evaluate("() => 1", namespace="other")).result == b"1"
    assert (await loop).error == (
        "Function combinator at AST node root was stopped after 0.3 s; make it do less at once"
    )


async def test_endless_functions_of_one_namespace_hold_up_no_other(no_leaks):
    functions = Functions(asyncio.get_running_loop(), Bounds(time_s=60.0))
    evaluate = Client(functions)
    busy = [asyncio.create_task(evaluate("() => { for (;;); }", namespace="busy")) for _ in range(6)]
    await asyncio.sleep(0)
    for namespace in ("other", "third"):
        assert (await evaluate("() => 1", namespace=namespace)).result == b"1"
    assert not any(one.done() for one in busy)
    for one in busy:
        one.cancel()
    await functions.close()


async def test_a_function_whose_process_dies_fails_and_the_next_is_served(evaluate):
    await evaluate("() => 1")
    dying = asyncio.create_task(evaluate("() => { for (;;); }"))
    await asyncio.sleep(0)
    for pid in evaluate.functions.processes:
        os.kill(pid, signal.SIGKILL)
    answer = await dying
    assert (answer.fault, answer.error) == (
        Fault.CRASHED,
        "Function combinator at AST node root ended the JavaScript engine",
    )
    assert (await evaluate("() => 2")).result == b"2"


async def test_a_process_that_hangs_is_killed_and_the_next_call_is_served(evaluate, monkeypatch):
    await evaluate("() => 1")
    monkeypatch.setattr(Bounds, "patience_s", 0.2)
    (pid,) = evaluate.functions.processes
    os.kill(pid, signal.SIGSTOP)
    assert (await evaluate("() => 1")).fault is Fault.TIME
    assert (await evaluate("() => 2")).result == b"2"


async def test_where_no_process_comes_up_the_caller_is_told(evaluate, monkeypatch):
    monkeypatch.setattr(process, "_PROGRAM", "raise SystemExit(1)")
    assert (await evaluate("() => 1")).fault is Fault.ABSENT
    monkeypatch.undo()
    assert (await evaluate("() => 1")).result == b"1"


async def test_where_a_process_hangs_before_it_is_ready_the_caller_is_told(evaluate, monkeypatch):
    monkeypatch.setattr(process, "_PROGRAM", "import sys; sys.stdin.read()")
    monkeypatch.setattr(functions, "START_S", 0.2)
    assert (await evaluate("() => 1")).fault is Fault.ABSENT
    monkeypatch.undo()
    assert (await evaluate("() => 1")).result == b"1"


async def test_a_call_that_gets_too_much_says_so(evaluate):
    answer = await evaluate("() => 1", params=b'"' + bytes(64 * 1024 * 1024) + b'"')
    assert answer.error.endswith("was not started: with its variables it would get more than 64 MB; give it less")


async def test_a_cancelled_call_is_not_answered(evaluate):
    heard: list[Evaluated] = []
    call = Call(namespace="guest", code="() => 1", params=(b"{}",))
    evaluate.functions.cancel(evaluate.functions.evaluate(call, heard.append))
    await evaluate("() => 2")
    assert heard == []


async def test_idle_processes_are_ended(no_leaks):
    functions = Functions(asyncio.get_running_loop(), workers=1, idle_s=0.05)
    await Client(functions)("() => 1")
    await until(lambda: not functions.processes, message="the worker is ended")
    assert (await Client(functions)("() => 2")).result == b"2"
    await functions.close()


async def test_closing_ends_what_is_under_way(no_leaks):
    functions = Functions(asyncio.get_running_loop())
    heard: list[Evaluated] = []
    for code in ("() => { for (;;); }", "() => 1", "() => 2"):
        functions.evaluate(Call(namespace="guest", code=code, params=(b"{}",)), heard.append)
    await functions.close()
    assert (heard, functions.processes) == ([], [])
