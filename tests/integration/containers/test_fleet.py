"""A fleet over real processes: whatever user code does, the job ends as stated and nothing is left."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from action_runtime.wire.errors import DataflowError
from action_runtime.wire.values import Head, Media
from invoker_ext.containers.job import Failure, Warmth
from invoker_ext.containers.limits import PoolLimits, StemCell
from invoker_ext.dataflow.commands import Bound, Streamed
from tests.conftest import ROOT
from tests.support.containers import LIMITS, Recorder, a_call, a_fleet, a_job
from tests.support.waiting import until

MIB = 1024 * 1024
PID = "import os\ndef main(args):\n    return {'pid': os.getpid()}\n"


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state[state.rindex(")") + 2] not in "ZX"


async def run(fleet, *args, **kwargs):
    job, heard = a_job(*args, **kwargs)
    fleet.submit(job)
    return await heard.end()


async def test_the_second_job_of_an_action_finds_its_container_warm(tmp_path, no_leaks):
    async with a_fleet(tmp_path) as (fleet, _):
        first = await run(fleet, arguments='{"a": 1}')
        second = await run(fleet)
    assert first.heard == ["began", "returned", "logs", "drained"]
    assert (first.warmth, second.warmth) == (Warmth.COLD, Warmth.WARM)
    assert (first.report.status, first.report.body) == ("ok", b'{"a": 1}')
    assert first.timing.init_s > 0
    assert second.timing.init_s is None
    assert first.container == second.container
    assert list(tmp_path.iterdir()) == []


class MustNotBegin(DataflowError):
    code = "must-not-begin"


class Forbidding(Recorder):
    """A listener whose function must not begin."""

    def began(self, timing, warmth, container):
        raise MustNotBegin("the disk is full")


async def test_a_function_does_not_begin_against_its_listeners_word_and_the_container_goes_on(tmp_path):
    async with a_fleet(tmp_path) as (fleet, sink):
        await run(fleet, PID)
        job, _ = a_job(PID)
        job.listener = heard = Forbidding()
        fleet.submit(job)
        await heard.end()
        after = await run(fleet, PID)
    assert (heard.failure, heard.detail, heard.began_before) == (Failure.NOT_STARTED, "the disk is full", False)
    assert after.warmth is Warmth.WARM
    assert sink.usage.by_owner == {}


async def test_each_firing_has_the_lines_that_it_printed(tmp_path):
    code = (
        "import sys\nprint('loading')\ndef main(args):\n    print(args['n'], end='')\n    print('¿', file=sys.stderr)\n"
    )
    async with a_fleet(tmp_path) as (fleet, _):
        first = await run(fleet, code + "    return {}\n", '{"n": 1}')
        second = await run(fleet, code + "    return {}\n", '{"n": 2}')
    assert sorted(first.text) == ["stderr: ¿", "stdout: 1", "stdout: loading"]
    assert sorted(second.text) == ["stderr: ¿", "stdout: 2"]


async def test_a_hundred_megabytes_of_prints_are_truncated_at_the_limit(tmp_path):
    code = "def main(args):\n    for _ in range(100):\n        print('x' * 1048575)\n    return {'done': True}\n"
    async with a_fleet(tmp_path) as (fleet, _):
        heard = await run(fleet, code, call=a_call(logs_mb=1))
    assert heard.report.body == b'{"done": true}'
    assert heard.truncated
    assert heard.text[-1] == (
        "stderr: Logs were truncated because the total bytes size exceeds the limit of 1048576 bytes."
    )
    assert sum(map(len, heard.lines)) < 2 * MIB


async def test_a_log_limit_of_nothing_keeps_nothing(tmp_path):
    async with a_fleet(tmp_path) as (fleet, _):
        heard = await run(fleet, "def main(args):\n    print('x')\n    return {}\n", call=a_call(logs_mb=0))
    assert heard.heard[-1] == "drained"
    assert (heard.lines, heard.truncated) == ([], False)


async def test_a_function_that_hangs_is_ended_with_everything_it_started(tmp_path):
    code = """
import os, subprocess, sys, time
HIDE = '''
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(%r, "a").write(str(os.getpid()) + " ")
        time.sleep(60)
    os._exit(0)
'''
def main(args):
    where = args["where"]
    child = subprocess.Popen(["sleep", "60"])
    open(where, "a").write(f"{os.getpid()} {child.pid} ")
    subprocess.run([sys.executable, "-c", HIDE % where], env={})
    print("waiting")
    time.sleep(60)
"""
    where = tmp_path / "pids"
    async with a_fleet(tmp_path / "home") as (fleet, _):
        heard = await run(fleet, code, json.dumps({"where": str(where)}), timeout_s=2)
        pids = where.read_text().split()
        assert len(pids) == 3
        assert [pid for pid in pids if alive(pid)] == []
        assert heard.failure is Failure.RUN_TIMED_OUT
        assert heard.began_before
        assert heard.text == ["stdout: waiting"]
        again = await run(fleet, call=a_call("guest/other"))
        assert again.report.status == "ok"


async def test_code_that_never_finishes_loading_times_out(tmp_path):
    async with a_fleet(tmp_path) as (fleet, _):
        heard = await run(fleet, "import time\ntime.sleep(60)\n", call=a_call(timeout_ms=500))
    assert (heard.failure, heard.began_before) == (Failure.INIT_TIMED_OUT, False)


async def test_code_that_cannot_be_loaded_fails_with_the_error_of_the_runtime(tmp_path):
    async with a_fleet(tmp_path) as (fleet, _):
        heard = await run(fleet, "def main(:\n")
        again = await run(fleet, "def main(:\n")
    assert heard.failure is again.failure is Failure.INIT_FAILED
    assert "failed to generate" in heard.detail
    assert any("SyntaxError" in line or "invalid syntax" in line for line in heard.lines)


async def test_a_function_that_exits_costs_its_container(tmp_path):
    async with a_fleet(tmp_path) as (fleet, _):
        heard = await run(fleet, "import sys\ndef main(args):\n    print('bye')\n    sys.exit(1)\n")
        again = await run(fleet, PID)
    assert heard.report.status == "exited"
    assert heard.text == ["stdout: bye"]
    assert again.report.status == "ok"
    assert again.container != heard.container


async def test_a_container_that_is_killed_fails_its_job_and_no_other(tmp_path):
    async with a_fleet(tmp_path) as (fleet, _):
        bystander, beside = a_job(
            "import time\ndef main(args):\n    time.sleep(1)\n    return {}\n", call=a_call("guest/b")
        )
        fleet.submit(bystander)
        heard = await run(fleet, "import os, signal\ndef main(args):\n    os.kill(os.getpid(), signal.SIGKILL)\n")
        assert (heard.failure, heard.began_before) == (Failure.RUN_DIED, True)
        assert (await beside.end()).failure is None
        assert (await run(fleet, PID)).report.status == "ok"


async def test_a_killed_idle_container_costs_no_job(tmp_path):
    async with a_fleet(tmp_path) as (fleet, _):
        pid = int((await run(fleet, PID)).report.body.split()[1].rstrip(b"}"))
        os.kill(pid, signal.SIGKILL)
        await until(lambda: fleet.snapshot()["idle"] == 0)
        heard = await run(fleet, PID)
    assert heard.report.status == "ok"


async def test_a_job_can_be_killed_while_it_runs_and_while_it_waits(tmp_path):
    limits = PoolLimits(memory_mb=256, cores=2, extra_memory_mb=0)
    async with a_fleet(tmp_path, limits) as (fleet, _):
        running, first = a_job("import time\ndef main(args):\n    time.sleep(60)\n")
        waiting, second = a_job(call=a_call("guest/other"))
        fleet.submit(running)
        fleet.submit(waiting)
        await until(lambda: first.heard == ["began"])
        fleet.kill(waiting)
        fleet.kill(running)
        await first.end()
        await second.end()
        assert (first.failure, first.began_before) == (Failure.RUN_DIED, True)
        assert (second.failure, second.began_before) == (Failure.RUN_DIED, False)
        assert (await run(fleet)).report.status == "ok"


async def test_a_container_runs_its_next_firing_while_outputs_of_the_last_one_leave(tmp_path):
    code = "def main(args):\n    return {'data': 'x' * args['n']}\n"
    limits = PoolLimits(memory_mb=512, cores=2)
    async with a_fleet(tmp_path, limits) as (fleet, _):
        call = a_call(memory_mb=512)
        pairs = [a_job(code, '{"n": 30000000}', wants={"data": "value"}, call=call) for _ in range(3)]
        for job, _ in pairs:
            fleet.submit(job)
        heard = [await one.end() for _, one in pairs]
    assert all(one.failure is None for one in heard)
    assert {len(one.outputs[0][3]) for one in heard} == {30_000_002}
    assert any(heard[n + 1].times["began"] < heard[n].times["drained"] for n in range(2))


async def test_memory_beyond_the_limit_fails_the_function_and_nothing_else(tmp_path):
    code = "def main(args):\n    return {'n': len(bytearray(512 * 1024 * 1024))}\n"
    async with a_fleet(tmp_path) as (fleet, _):
        heard = await run(fleet, code, call=a_call(memory_mb=128))
    assert heard.report.status == "error"
    assert any("MemoryError" in line for line in heard.lines)


async def test_user_code_sees_nothing_of_the_invoker(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    code = """
import os
def main(args):
    return {"env": sorted(os.environ), "fds": sorted(os.listdir("/proc/self/fd")), "home": os.environ["HOME"]}
"""
    async with a_fleet(tmp_path) as (fleet, _):
        body = (await run(fleet, code)).report.body.decode()
    assert "SECRET" not in body
    assert "__OW_API_HOST" in body
    assert '"fds": ["0", "1", "2", "3"' in body
    assert str(tmp_path) in body


async def test_a_hint_has_the_code_loaded_before_the_job_comes(tmp_path):
    async with a_fleet(tmp_path) as (fleet, _):
        job, heard = a_job(PID)
        fleet.prewarm([(job.call, job.code, job.user)])
        await until(lambda: fleet.snapshot()["idle"] == 1)
        fleet.submit(job)
        assert (await heard.end()).warmth is Warmth.WARM


async def test_no_code_is_loaded_ahead_that_may_read_init_parameters(tmp_path):
    async with a_fleet(tmp_path) as (fleet, _):
        job, heard = a_job(PID, call=a_call(init_names=("flavour",)))
        fleet.prewarm([(job.call, job.code, job.user)])
        assert not any(fleet.snapshot().values())
        fleet.submit(job)
        assert (await heard.end()).warmth is Warmth.COLD


async def test_a_stem_cell_is_taken_and_replaced(tmp_path):
    limits = PoolLimits(memory_mb=1024, cores=2, stem_cells=(StemCell(kind="python:3", memory_mb=256, count=1),))
    async with a_fleet(tmp_path, limits) as (fleet, _):
        await until(lambda: fleet.snapshot()["spare"] == 1)
        assert (await run(fleet)).warmth is Warmth.PREWARM
        await until(lambda: fleet.snapshot()["spare"] == 1)


async def test_jobs_beyond_the_memory_wait_for_their_turn(tmp_path):
    limits = PoolLimits(memory_mb=512, cores=2, extra_memory_mb=0, pass_s=0.1)
    async with a_fleet(tmp_path, limits) as (fleet, _):
        pairs = [a_job(call=a_call(f"guest/a{n}")) for n in range(6)]
        for job, _ in pairs:
            fleet.submit(job)
        heard = [await one.end() for _, one in pairs]
        assert fleet.snapshot()["memory_mb"] <= 512
    assert [one.failure for one in heard] == [None] * 6


async def test_an_unknown_kind_and_too_much_memory_are_clear_errors(tmp_path):
    async with a_fleet(tmp_path) as (fleet, _):
        kind = await run(fleet, call=a_call("guest/k", kind="cobol:85"))
        size = await run(fleet, call=a_call("guest/m", memory_mb=9999))
    assert (kind.failure, size.failure) == (Failure.KIND_MISSING, Failure.NOT_STARTED)
    assert "cobol:85" in kind.detail
    assert "9999 MB" in size.detail


async def test_an_image_fails_as_in_stock_and_its_log_says_what_to_do(tmp_path):
    async with a_fleet(tmp_path) as (fleet, _):
        job, heard = a_job(call=a_call(kind="blackbox"))
        job.code = {"kind": "blackbox", "image": "me/img:1"}
        fleet.submit(job)
        await heard.end()
    assert (heard.failure, heard.detail) == (Failure.IMAGE_NOT_PULLED, "me/img:1")
    (line,) = heard.text
    assert line.startswith("stderr: This server starts actions as processes and runs no images.")
    assert "python:3" in line


async def test_large_code_travels_as_a_segment(tmp_path):
    code = "DATA = '" + "x" * 1_200_000 + "'\ndef main(args):\n    return {'n': len(DATA)}\n"
    async with a_fleet(tmp_path) as (fleet, _):
        assert (await run(fleet, code)).report.body == b'{"n": 1200000}'


async def test_parts_that_nobody_takes_are_let_go_with_the_job(tmp_path):
    async with a_fleet(tmp_path) as (fleet, sink):
        job, heard = a_job("def main(args):\n    return {}\n", inputs=[Bound("part", Streamed())])
        fleet.submit(job)
        for _ in range(40):
            part = sink.put_bytes(Head(Media.BYTES, 100_000), bytes(100_000))
            fleet.feed(job, "part", part)
            part.release()
        await heard.end()
        assert sink.usage.segment_bytes == 0


async def test_drain_lets_running_jobs_end_and_takes_no_more(tmp_path):
    async with a_fleet(tmp_path) as (fleet, _):
        job, heard = a_job("import time\ndef main(args):\n    time.sleep(0.3)\n    return {}\n")
        fleet.submit(job)
        await asyncio.wait_for(fleet.drain(), 10)
        assert heard.heard[-1] == "drained"
        late = await run(fleet)
    assert late.failure is Failure.NOT_STARTED


async def test_two_hundred_jobs_of_ten_actions_leave_nothing(tmp_path, no_leaks):
    async with a_fleet(tmp_path, LIMITS) as (fleet, _):
        pairs = [a_job(call=a_call(f"guest/a{n % 10}")) for n in range(200)]
        for job, _ in pairs:
            fleet.submit(job)
        heard = [await one.end() for _, one in pairs]
    assert {one.failure for one in heard} == {None}
    assert list(tmp_path.iterdir()) == []


INVOKER = """
import asyncio, sys
from pathlib import Path
from tests.support.containers import a_fleet, a_job
CODE = '''
import os, subprocess, time
def main(args):
    child = subprocess.Popen(["setsid", "sleep", "60"])
    open(args["where"], "w").write(f"{os.getpid()} {child.pid}")
    time.sleep(60)
'''
async def main():
    async with a_fleet(Path(sys.argv[1])) as (fleet, _):
        fleet.submit(a_job(CODE, '{"where": "%s"}' % sys.argv[2])[0])
        await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.timeout(60)
async def test_a_killed_invoker_leaves_no_process_and_no_file(tmp_path):
    where, home = tmp_path / "pids", tmp_path / "home"
    invoker = subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [sys.executable, "-c", INVOKER, str(home), str(where)], cwd=ROOT
    )
    try:
        await until(lambda: where.exists() and len(where.read_text().split()) == 2, within_s=20)
        pids = where.read_text().split()
        assert all(map(alive, pids))
    finally:
        invoker.kill()
        invoker.wait()
    await until(lambda: not any(map(alive, pids)), within_s=10)
    await until(lambda: list(home.iterdir()) == [], within_s=10)


async def test_folders_of_a_killed_keeper_are_removed_at_the_next_start(tmp_path):
    left = tmp_path / "keeper-1"
    (left / "wsk0_1_guest").mkdir(parents=True)
    async with a_fleet(tmp_path):
        assert not left.exists()


async def test_after_the_keeper_was_killed_the_next_job_has_a_new_one(tmp_path):
    async with a_fleet(tmp_path) as (fleet, _):
        job, heard = a_job("import time\ndef main(args):\n    time.sleep(60)\n")
        fleet.submit(job)
        await until(lambda: heard.heard == ["began"])
        (keeper,) = [int(folder.name.removeprefix("keeper-")) for folder in tmp_path.glob("keeper-*")]
        os.kill(keeper, signal.SIGKILL)
        began = time.monotonic()
        await heard.end()
        assert heard.failure is Failure.RUN_DIED
        assert time.monotonic() - began < 5
        assert (await run(fleet, call=a_call("guest/other"))).report.status == "ok"
