"""A fleet over any driver: whatever user code does, the job ends as stated and nothing is left."""

import json

import pytest

from action_runtime.wire.values import Head, Media
from invoker_ext.containers.job import Failure, Warmth
from invoker_ext.containers.limits import PoolLimits, StemCell
from invoker_ext.dataflow.commands import Bound, Streamed
from tests.support.containers import LIMITS, a_call, a_fleet, a_job
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(120)
MIB = 1024 * 1024
ECHO = "def main(args):\n    return args\n"
SLEEP = "import time\ndef main(args):\n    print('asleep')\n    time.sleep(60)\n"


@pytest.fixture
async def fleet(world):
    async with a_fleet(world.home, driver=world.driver()) as (fleet, _):
        yield fleet
    assert world.left() == []


async def run(fleet, *args, **kwargs):
    job, heard = a_job(*args, **kwargs)
    fleet.submit(job)
    return await heard.end(60)


async def test_the_second_job_of_an_action_finds_its_container_warm(fleet):
    first = await run(fleet, arguments='{"a": 1}')
    second = await run(fleet)
    assert first.heard == ["began", "returned", "logs", "drained"]
    assert (first.warmth, second.warmth) == (Warmth.COLD, Warmth.WARM)
    assert (first.report.status, first.report.body) == ("ok", b'{"a": 1}')
    assert first.container == second.container


async def test_stem_cells_are_there_before_anybody_asks(world):
    limits = PoolLimits(memory_mb=1024, cores=2, stem_cells=(StemCell(kind="python:3", memory_mb=256, count=1),))
    async with a_fleet(world.home, limits, driver=world.driver()) as (fleet, _):
        await until(lambda: fleet.snapshot()["spare"] == 1, within_s=30)
        assert (await run(fleet)).warmth is Warmth.PREWARM


async def test_each_firing_has_the_lines_that_it_printed(fleet):
    code = (
        "import os, sys\nprint('loading')\n"
        "def main(args):\n"
        "    print('n%d' % args['n'], end='')\n    print('¿', file=sys.stderr)\n"
        "    os.system('echo child')\n    return {}\n"
    )
    first = await run(fleet, code, '{"n": 1}')
    second = await run(fleet, code, '{"n": 2}')
    # What a child prints overtakes the line that its parent has not ended.
    assert sorted(first.text) == ["stderr: ¿", "stdout: child", "stdout: loading", "stdout: n1"]
    assert sorted(second.text) == ["stderr: ¿", "stdout: child", "stdout: n2"]


async def test_what_a_function_prints_beyond_its_limit_is_truncated(fleet):
    code = "def main(args):\n    for _ in range(20):\n        print('x' * 1048575)\n    return {'done': True}\n"
    heard = await run(fleet, code, call=a_call(logs_mb=1))
    assert heard.report.body == b'{"done": true}'
    assert heard.truncated
    assert heard.text[-1] == (
        "stderr: Logs were truncated because the total bytes size exceeds the limit of 1048576 bytes."
    )


async def test_the_result_is_told_before_a_long_log_is_put_together(fleet):
    code = "def main(args):\n    for n in range(args['lines']):\n        print(n)\n    return {'done': True}\n"
    heard = await run(fleet, code, '{"lines": 20000}')
    assert heard.answer is not None
    assert heard.answer.body == b'{"done": true}'
    assert heard.times["answered"] < heard.times["returned"]
    assert len(heard.lines) == 20_000
    assert (await run(fleet, code, '{"lines": 2}')).answer is None


async def test_a_function_that_hangs_is_ended(fleet, world):
    heard = await run(fleet, SLEEP, timeout_s=1)
    assert (heard.failure, heard.began_before) == (Failure.RUN_TIMED_OUT, True)
    assert heard.text == ["stdout: asleep"]
    assert world.running() == []
    assert (await run(fleet, call=a_call("guest/other"))).report.status == "ok"


async def test_code_that_never_finishes_loading_times_out(fleet):
    heard = await run(fleet, "import time\ntime.sleep(60)\n", call=a_call(timeout_ms=500))
    assert (heard.failure, heard.began_before) == (Failure.INIT_TIMED_OUT, False)


async def test_code_that_cannot_be_loaded_fails_with_the_error_of_the_runtime(fleet):
    heard = await run(fleet, "def main(:\n")
    assert heard.failure is Failure.INIT_FAILED
    assert "failed to generate" in heard.detail
    assert any("invalid syntax" in line for line in heard.lines)


async def test_a_function_that_exits_costs_its_container(fleet):
    heard = await run(fleet, "import sys\ndef main(args):\n    print('bye')\n    sys.exit(1)\n")
    again = await run(fleet)
    assert (heard.report.status, heard.text) == ("exited", ["stdout: bye"])
    assert again.container != heard.container


async def test_a_container_that_is_killed_fails_its_job_and_no_other(fleet, world):
    job, heard = a_job(SLEEP)
    fleet.submit(job)
    await until(lambda: heard.heard == ["began"], within_s=30)
    (victim,) = world.running()
    beside, bystander = a_job(
        "import time\ndef main(args):\n    time.sleep(2)\n    return {}\n", call=a_call("guest/b")
    )
    fleet.submit(beside)
    await until(lambda: bystander.heard == ["began"], within_s=30)
    world.kill(victim)
    await heard.end()
    assert (heard.failure, heard.began_before) == (Failure.RUN_DIED, True)
    assert (await bystander.end()).failure is None
    assert (await run(fleet)).report.status == "ok"


async def test_a_killed_idle_container_costs_no_job(fleet, world):
    await run(fleet)
    (victim,) = world.running()
    world.kill(victim)
    await until(lambda: fleet.snapshot()["idle"] == 0, within_s=10)
    assert (await run(fleet)).report.status == "ok"


async def test_memory_beyond_the_limit_fails_the_function_and_nothing_else(fleet):
    code = "def main(args):\n    return {'n': len(bytearray(512 * 1024 * 1024))}\n"
    heard = await run(fleet, code, call=a_call(memory_mb=128))
    if heard.failure is None:  # the interpreter heard of it first
        assert heard.report.status == "error"
    else:
        assert heard.failure is Failure.OUT_OF_MEMORY
    assert (await run(fleet, call=a_call("guest/other"))).report.status == "ok"


async def test_user_code_sees_nothing_of_the_invoker(fleet, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    code = "import os\ndef main(args):\n    return dict(os.environ)\n"
    seen = json.loads((await run(fleet, code)).report.body)
    assert seen["__OW_API_HOST"] == "http://127.0.0.1:3233"
    assert [name for name in seen if "SECRET" in name or "DATAFLOW" in name] == []


async def test_a_function_may_write_files_and_run_what_it_wrote(fleet):
    code = (
        "import os, subprocess, tempfile\n"
        "def main(args):\n"
        "    path = os.path.join(tempfile.mkdtemp(), 'tool')\n"
        "    open(path, 'w').write('#!/bin/sh\\necho ran\\n')\n"
        "    os.chmod(path, 0o755)\n"
        "    return {'said': subprocess.run([path], capture_output=True, text=True).stdout}\n"
    )
    assert (await run(fleet, code)).report.body == b'{"said": "ran\\n"}'


async def test_values_beyond_the_limit_of_memory_are_emitted_and_received(world):
    emits = (
        "from action_runtime import emit\n"
        "def main(args):\n"
        "    part = bytes(32 << 20)\n"
        "    for _ in range(6):\n"
        "        emit('data', part)\n"
        "    return {}\n"
    )
    takes = "def main(args):\n    return {'n': len(args['data']), 'sum': sum(args['data'][::4096])}\n"
    async with a_fleet(world.home, driver=world.driver()) as (fleet, sink):
        heard = await run(fleet, emits, wants={"data": "items"}, call=a_call(memory_mb=128))
        assert heard.failure is None, heard.lines
        assert [len(data) for *_, data in heard.outputs] == [32 * MIB] * 6
        value = sink.put_bytes(Head(Media.BYTES, 192 * MIB), bytes(192 * MIB))
        inputs = [Bound("data", value)]
        taken = await run(fleet, takes, inputs=inputs, call=a_call("guest/takes", memory_mb=128))
        value.release()
        assert taken.report is not None, taken.lines
        assert json.loads(taken.report.body) == {"n": 192 * MIB, "sum": 0}
    assert sink.usage.by_owner == {}


async def test_parts_of_a_stream_are_handed_over_as_the_container_takes_them(world):
    code = (
        "from action_runtime import open_input\n"
        "def main(args):\n"
        "    with open_input('part') as parts:\n"
        "        return {'text': b''.join(parts).decode()}\n"
    )
    async with a_fleet(world.home, driver=world.driver()) as (fleet, sink):
        job, heard = a_job(code, inputs=[Bound("part", Streamed())])
        fleet.submit(job)
        for n in range(40):
            part = sink.put_bytes(Head(Media.BYTES, 3), b"%02d " % n)
            fleet.feed(job, "part", part)
            part.release()
        fleet.feed_end(job, "part", None)
        await heard.end()
    assert heard.report is not None, heard.lines
    assert json.loads(heard.report.body or b"") == {"text": "".join(f"{n:02} " for n in range(40))}
    assert "taken" in heard.heard


async def test_forty_jobs_of_four_actions_leave_nothing(world, no_leaks):
    async with a_fleet(world.home, LIMITS, driver=world.driver()) as (fleet, _):
        pairs = [a_job(call=a_call(f"guest/a{n % 4}")) for n in range(40)]
        for job, _ in pairs:
            fleet.submit(job)
        heard = [await one.end(60) for _, one in pairs]
    assert {one.failure for one in heard} == {None}
    assert world.left() == []
