"""Containers of node kinds, started by the process driver."""

import hashlib
import json
import os
from contextlib import asynccontextmanager

import pytest

from invoker_ext.containers.drivers.nameless import NamelessSocket
from invoker_ext.containers.drivers.process import ProcessDriver
from invoker_ext.containers.job import Failure, Warmth
from invoker_ext.contract.kinds import OWN
from tests.conftest import needs
from tests.support.containers import GUEST, a_call, a_fleet, a_job
from tests.support.dialects import NODE
from tests.support.processes import command, descendants
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def _node():
    needs("node", NODE is not None, "install nodejs 18 or newer")


@asynccontextmanager
async def node_fleet(tmp_path):
    async with a_fleet(tmp_path) as (fleet, _):
        yield fleet


def node_job(fleet, code, *, memory_mb=256, concurrency=1, **kwargs):
    kind = next(one for one in fleet.kinds if one.startswith("nodejs"))
    name = f"guest/{hashlib.sha256(code.encode()).hexdigest()}"
    return a_job(code, call=a_call(name, kind=kind, memory_mb=memory_mb, concurrency=concurrency), **kwargs)


async def run(fleet, code, **kwargs):
    job, heard = node_job(fleet, code, **kwargs)
    fleet.submit(job)
    return await heard.end()


async def test_an_action_runs_again_in_the_container_that_loaded_it(tmp_path, no_leaks):
    code = "let n = 0; function main({x}) { console.log('x', x); console.error('e'); return {x, n: ++n}; }"
    async with node_fleet(tmp_path) as fleet:
        first = await run(fleet, code, arguments='{"x": "❄"}')
        second = await run(fleet, code, arguments='{"x": [1]}')
    assert [json.loads(one.report.body) for one in (first, second)] == [{"x": "❄", "n": 1}, {"x": [1], "n": 2}]
    assert (first.warmth, second.warmth) == (Warmth.COLD, Warmth.WARM)
    assert first.container == second.container
    assert sorted(first.text) == ["stderr: e", "stdout: x ❄"]


async def test_a_warm_call_opens_no_connection(tmp_path):
    code = (
        "let opened = 0;\n"
        "const server = process._getActiveHandles().find((one) => one.constructor.name === 'Server');\n"
        "server.on('connection', () => { opened += 1; });\n"
        "function main() { return {opened, patience: server.keepAliveTimeout}; }"
    )
    async with node_fleet(tmp_path) as fleet:
        replies = [await run(fleet, code) for _ in range(3)]
    assert {one.report.body for one in replies} == {b'{"opened":0,"patience":0}'}


async def test_a_runtime_that_is_removed_while_its_action_runs_fails_the_next_container_as_a_missing_kind(tmp_path):
    node = tmp_path / "node"
    node.symlink_to(NODE)
    driver = ProcessDriver(tmp_path / "containers", {"python:3": OWN, "nodejs:20": str(node)})
    async with a_fleet(tmp_path, driver=driver) as (fleet, _):
        slow, slow_heard = node_job(fleet, LATE, arguments='{"n": 2}')
        fleet.submit(slow)
        await until(lambda: "began" in slow_heard.heard, within_s=10)
        node.unlink()
        driver.end(slow_heard.container)
        waits = await run(fleet, LATE)
        await slow_heard.end()
    assert slow_heard.failure is Failure.RUN_DIED
    assert waits.failure is Failure.KIND_MISSING
    assert waits.detail == "No runtime on this host runs actions of kind 'nodejs:20'; there are: python:3."


async def test_a_container_has_the_environment_of_its_action_and_nothing_of_ours(tmp_path):
    code = "function main() { return {env: process.env, cwd: process.cwd(), argv: process.execArgv}; }"
    async with node_fleet(tmp_path) as fleet:
        heard = await run(fleet, code)
    seen = json.loads(heard.report.body)
    assert {name for name in seen["env"] if not name.startswith("__OW_")} == {
        "HOME", "LANG", "NODE_PATH", "PATH", "TMPDIR",
    }  # fmt: skip
    assert seen["env"]["__OW_NAMESPACE"] == "guest"
    assert seen["env"]["HOME"] == seen["cwd"]
    assert "__OW_DATAFLOW_FD" not in seen["env"]


@pytest.mark.parametrize(
    "code",
    [
        "function main() { const kept = []; for (;;) kept.push(Buffer.alloc(4 << 20, 1)); }",
        "async function main() { const kept = []; for (;;) kept.push(Buffer.alloc(4 << 20, 1)); }",
        "function main() { const kept = []; for (;;) kept.push(new Array(1 << 20).fill(1.5)); }",
    ],
    ids=["buffers", "buffers-in-a-promise", "objects"],
)
async def test_more_memory_than_the_limit_ends_the_container_as_in_stock(tmp_path, code):
    async with node_fleet(tmp_path) as fleet:
        heard = await run(fleet, code, memory_mb=128)
        after = await run(fleet, "function main() { return {ok: true}; }", memory_mb=256)
    assert heard.failure is Failure.OUT_OF_MEMORY
    assert after.report.status == "ok"


async def test_the_smallest_container_has_most_of_its_memory_for_its_action(tmp_path):
    code = "function main() { return {n: Buffer.alloc(40 << 20, 1).length, m: new Array(5 << 20).fill(1.5).length}; }"
    async with node_fleet(tmp_path) as fleet:
        heard = await run(fleet, code, memory_mb=128)
    assert heard.report is not None, heard.text


async def test_a_function_that_hangs_is_ended_with_everything_it_started(tmp_path, no_leaks):
    code = (
        "const {spawn} = require('child_process');\n"
        "function main() { spawn('sleep', ['60'], {detached: true, stdio: 'ignore'}).unref();"
        " console.log('started'); for (;;); }"
    )
    async with node_fleet(tmp_path) as fleet:
        heard = await run(fleet, code, timeout_s=1.0)
        left = [pid for pid in descendants(os.getpid()) if "sleep" in command(pid)]
    assert heard.failure is Failure.RUN_TIMED_OUT
    assert heard.text == ["stdout: started"]
    assert left == []


async def test_a_process_that_exits_or_dies_fails_its_run(tmp_path):
    async with node_fleet(tmp_path) as fleet:
        exited = await run(fleet, "function main() { process.exit(3); }")
        late = "setTimeout(() => { throw new Error('late'); }); return new Promise(() => {});"
        thrown = await run(fleet, f"function main() {{ {late} }}")
        at_load = await run(fleet, "process.exit(1);")
    assert [one.failure for one in (exited, thrown, at_load)] == [Failure.RUN_DIED, Failure.RUN_DIED, Failure.INIT_DIED]
    assert any("late" in line for line in thrown.text)


async def test_code_is_loaded_ahead_for_a_step_that_will_come(tmp_path):
    code = "function main() { return {ok: true}; }"
    async with node_fleet(tmp_path) as fleet:
        job, heard = node_job(fleet, code)
        fleet.prewarm([(job.call, job.code, GUEST)])
        await until(lambda: fleet.snapshot()["idle"] == 1, within_s=20, message=lambda: str(fleet.snapshot()))
        fleet.submit(job)
        await heard.end()
    assert heard.warmth is not Warmth.COLD
    assert heard.report.status == "ok"


MEETING = """
const waiting = [];
function main({n, go}) {
  console.log('here', n);
  return new Promise((done) => {
    waiting.push(() => done({n, met: waiting.length}));
    if (go) waiting.forEach((one) => one());
  });
}
"""


async def together(fleet, code, arguments, **kwargs):
    """Run jobs at the same time in one container that is warm."""
    await run(fleet, code, arguments='{"go": true}', concurrency=len(arguments), **kwargs)
    jobs = [node_job(fleet, code, arguments=one, concurrency=len(arguments), **kwargs) for one in arguments]
    for job, _ in jobs:
        fleet.submit(job)
    await until(lambda: all("began" in heard.heard for _, heard in jobs), within_s=10)
    return jobs


async def test_functions_of_an_action_that_allows_it_run_side_by_side_in_one_container(tmp_path, no_leaks):
    async with node_fleet(tmp_path) as fleet:
        jobs = await together(fleet, MEETING, ['{"n": 1}', '{"n": 2}', '{"n": 3, "go": true}'])
        ends = [await heard.end() for _, heard in jobs]
        assert fleet.snapshot()["memory_mb"] == 256
    assert [json.loads(one.report.body) for one in ends] == [{"n": n, "met": 4} for n in (1, 2, 3)]
    assert len({one.container for one in ends}) == 1
    # As in stock, what was printed until a function ended is its log, whoever printed it.
    assert sorted(line for one in ends for line in one.text) == [f"stdout: here {n}" for n in (1, 2, 3)]


async def test_one_at_a_time_stays_so(tmp_path):
    async with node_fleet(tmp_path) as fleet:
        code = "let n = 0; async function main() { n += 1; const seen = n; await null; n -= 1; return {seen}; }"
        jobs = [node_job(fleet, code) for _ in range(5)]
        for job, _ in jobs:
            fleet.submit(job)
        ends = [await heard.end() for _, heard in jobs]
    assert {one.report.body for one in ends} == {b'{"seen":1}'}


LATE = """
function main({n, go}) {
  return new Promise((done) => { if (n !== 1) setTimeout(() => done({n}), go ? 0 : 1500); });
}
"""


async def test_a_function_that_exceeds_its_time_fails_alone_and_its_container_goes_after_the_others(tmp_path, no_leaks):
    async with node_fleet(tmp_path) as fleet:
        await run(fleet, LATE, arguments='{"go": true}', concurrency=2)
        late, late_heard = node_job(fleet, LATE, arguments='{"n": 1}', concurrency=2, timeout_s=0.3)
        good, good_heard = node_job(fleet, LATE, arguments='{"n": 2}', concurrency=2)
        fleet.submit(late)
        fleet.submit(good)
        await late_heard.end()
        assert "returned" not in good_heard.heard
        await good_heard.end()
        after = await run(fleet, LATE, arguments='{"go": true}', concurrency=2)
    assert late_heard.failure is Failure.RUN_TIMED_OUT
    assert good_heard.report.body == b'{"n":2}'
    assert good_heard.container != after.container


async def test_a_container_that_dies_takes_all_its_functions_along(tmp_path, no_leaks):
    code = "function main({go, die}) { if (die) process.exit(1); return new Promise((d) => { if (go) d({}); }); }"
    async with node_fleet(tmp_path) as fleet:
        jobs = await together(fleet, code, ["{}", "{}", '{"die": true}'])
        ends = [await heard.end() for _, heard in jobs]
    assert [one.failure for one in ends] == [Failure.RUN_DIED] * 3


async def test_a_job_that_is_killed_leaves_those_beside_it_alone(tmp_path, no_leaks):
    code = "function main({n, go}) { return new Promise((d) => setTimeout(() => d({n}), go ? 0 : 500)); }"
    async with node_fleet(tmp_path) as fleet:
        jobs = await together(fleet, code, ['{"n": 1}', '{"n": 2}'])
        fleet.kill(jobs[0][0])
        ends = [await heard.end() for _, heard in jobs]
    assert ends[0].failure is Failure.RUN_DIED
    assert ends[1].report.body == b'{"n":2}'


def test_a_socket_without_a_name_leaves_nothing_in_its_folder(tmp_path, no_leaks):
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    server = NamelessSocket(folder)
    assert list(folder.iterdir()) == []
    os.close(server.detach())
    server.close()
    server.close()


def test_a_folder_that_is_no_more_is_an_error_that_leaves_nothing(tmp_path, no_leaks):
    with pytest.raises(OSError, match="No such file"):
        NamelessSocket(tmp_path / "none")
