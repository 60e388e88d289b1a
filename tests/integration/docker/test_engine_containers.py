"""What only containers of an engine have: images, flags, pauses, networks, orphans."""

import gc
import json
import warnings
from pathlib import Path

import pytest

from action_runtime.wire.values import Head, Media
from invoker_ext.containers.driver import DriverUnavailable
from invoker_ext.containers.drivers.docker.flags import LABEL
from invoker_ext.containers.job import Failure, Warmth
from invoker_ext.containers.limits import PoolLimits
from invoker_ext.dataflow.commands import Bound, Constant
from tests.support import engine
from tests.support.containers import LIMITS, a_call, a_fleet, a_job
from tests.support.drivers import Docker
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(180)
SLEEP = "import time\ndef main(args):\n    print('asleep')\n    time.sleep(60)\n"
NODE = "let n = 0; function main(a) { console.log('x', a.x); console.error('e'); return {...a, n: ++n}; }"


async def run(fleet, *args, **kwargs):
    job, heard = a_job(*args, **kwargs)
    fleet.submit(job)
    return await heard.end(60)


def inspected(container):
    return json.loads(engine.docker("inspect", container))[0]


async def test_our_containers_have_less_than_stocks(world):
    code = (
        "import os\n"
        "def main(args):\n"
        "    status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "    try:\n"
        "        open('/left-behind', 'w')\n"
        "    except OSError as error:\n"
        "        root = str(error)\n"
        "    return {'uid': os.getuid(), 'caps': status['CapBnd'].strip(), 'root': root,\n"
        "            'shared': sorted(os.listdir('/run/dataflower'))}\n"
    )
    async with a_fleet(world.home, driver=world.driver()) as (fleet, _):
        seen = json.loads((await run(fleet, code)).report.body)
        (container,) = world.running()
        found = inspected(container)
    assert seen == {
        "uid": 1000,
        "caps": "0000000000000000",
        "root": "[Errno 30] Read-only file system: '/left-behind'",
        "shared": ["relay.sock", "stderr", "stdout"],
    }
    host = found["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (256 << 20, 256 << 20, 1024)
    assert (host["CpuShares"], host["NetworkMode"]) == (128, "bridge")
    assert host["Ulimits"] == [{"Name": "nofile", "Hard": 1024, "Soft": 1024}]
    assert host["LogConfig"]["Type"] == "json-file"
    assert found["Name"].startswith(f"/wsk{world.instance[:8]}_0_1_guest")
    assert found["Config"]["Labels"][LABEL] == world.instance


async def test_a_container_without_work_is_paused_and_wakes_for_the_next_job(world):
    async with a_fleet(world.home, driver=world.driver(pause_grace_s=0.3)) as (fleet, _):
        first = await run(fleet)
        (container,) = world.running()
        await until(lambda: inspected(container)["State"]["Status"] == "paused", within_s=20)
        again = await run(fleet, arguments='{"a": 1}')
        assert (again.warmth, again.container) == (Warmth.WARM, first.container)
        assert again.report.body == b'{"a": 1}'
        await until(lambda: inspected(container)["State"]["Status"] == "paused", within_s=20)
    assert world.left() == []


async def test_a_paused_container_that_was_killed_costs_no_job(world):
    async with a_fleet(world.home, driver=world.driver(pause_grace_s=0.3)) as (fleet, _):
        await run(fleet)
        (container,) = world.running()
        await until(lambda: inspected(container)["State"]["Status"] == "paused", within_s=20)
        engine.docker("rm", "-f", container)
        await until(lambda: fleet.snapshot()["idle"] == 0, within_s=20)
        assert (await run(fleet)).report.status == "ok"


async def test_a_stock_runtime_runs_with_its_logs_between_pauses(world):
    call = a_call("guest/js", kind="nodejs:20")
    async with a_fleet(world.home, driver=world.driver(pause_grace_s=0.3)) as (fleet, _):
        first = await run(fleet, NODE, '{"x": "❄"}', call=call)
        second = await run(fleet, NODE, '{"x": 1}', call=call)
        (container,) = world.running()
        host = inspected(container)["HostConfig"]
        await until(lambda: inspected(container)["State"]["Status"] == "paused", within_s=20)
        third = await run(fleet, NODE, '{"x": 2}', call=call)
    assert [json.loads(one.report.body) for one in (first, second, third)] == [
        {"x": "❄", "n": 1}, {"x": 1, "n": 2}, {"x": 2, "n": 3},
    ]  # fmt: skip
    assert [sorted(one.text) for one in (first, second, third)] == [
        ["stderr: e", f"stdout: x {x}"] for x in ("❄", 1, 2)
    ]
    assert sorted(host["CapDrop"]) == ["NET_ADMIN", "NET_RAW"]
    assert host["ReadonlyRootfs"] is False
    assert world.left() == []


async def test_a_stock_runtime_is_a_step_whose_result_becomes_outputs(world):
    call = a_call("guest/js", kind="nodejs:20")
    code = "function main({words}) { return {words: words.map(w => w.toUpperCase()), n: words.length}; }"
    inputs = [Bound("words", Constant('["a", "b"]'))]
    async with a_fleet(world.home, driver=world.driver()) as (fleet, _):
        heard = await run(fleet, code, inputs=inputs, wants={"words": "items", "n": "value"}, call=call)
    assert heard.outputs == [("words", 0, "spread", b'"A"'), ("words", 1, "spread", b'"B"'), ("n", 0, "field", b"2")]


async def test_a_stock_runtime_that_hangs_starves_or_dies_fails_its_job(world):
    async with a_fleet(world.home, driver=world.driver()) as (fleet, _):
        hung = await run(fleet, "function main() { for (;;); }", call=a_call("guest/h", kind="nodejs:20"), timeout_s=1)
        greedy = "function main() { const kept = []; for (;;) kept.push(Buffer.alloc(4 << 20, 1)); }"
        starved = await run(fleet, greedy, call=a_call("guest/g", kind="nodejs:20", memory_mb=128))
        died = await run(fleet, "function main() { process.exit(3); }", call=a_call("guest/d", kind="nodejs:20"))
    assert [one.failure for one in (hung, starved, died)] == [
        Failure.RUN_TIMED_OUT, Failure.OUT_OF_MEMORY, Failure.RUN_DIED,
    ]  # fmt: skip
    assert world.left() == []


async def test_what_a_stock_runtime_prints_beyond_its_limit_is_truncated(world):
    code = "function main() { for (let i = 0; i < 20; i++) console.log('x'.repeat(1 << 20)); return {done: true}; }"
    async with a_fleet(world.home, driver=world.driver()) as (fleet, _):
        heard = await run(fleet, code, call=a_call("guest/js", kind="nodejs:20", logs_mb=1))
        after = await run(fleet, code, call=a_call("guest/js", kind="nodejs:20", logs_mb=1))
    assert (heard.truncated, after.truncated) == (True, True)
    assert heard.text[-1].startswith("stderr: Logs were truncated because the total bytes size exceeds the limit")


def blackbox(image, name="guest/box", code=None):
    job, heard = a_job(call=a_call(name, kind="blackbox"))
    job.code = {"kind": "blackbox", "image": image, **({} if code is None else {"code": code})}
    return job, heard


async def test_an_image_that_cannot_be_pulled_fails_every_job_that_names_it(world):
    async with a_fleet(world.home, driver=world.driver()) as (fleet, _):
        pairs = [blackbox("nowhere.invalid/no/image:1", f"guest/{n}") for n in range(3)]
        latest, last = blackbox(engine.nowhere(engine.image("python"), "latest"))
        for job, _ in [*pairs, (latest, last)]:
            fleet.submit(job)
        heard = [await one.end(60) for _, one in pairs]
        await last.end(60)
    assert [(one.failure, one.detail) for one in heard] == [
        (Failure.IMAGE_NOT_PULLED, "nowhere.invalid/no/image:1")
    ] * 3
    assert last.failure is Failure.IMAGE_NOT_PULLED


async def test_an_image_with_a_version_that_is_here_runs_though_it_cannot_be_pulled(world):
    async with a_fleet(world.home, driver=world.driver()) as (fleet, _):
        code = "def main(args):\n    print('in the box')\n    return args\n"
        job, heard = blackbox(engine.nowhere(engine.image("python"), "1"), code=code)
        fleet.submit(job)
        await heard.end(60)
    assert heard.report is not None, heard.lines
    assert (heard.report.status, heard.text) == ("ok", ["stdout: in the box"])


async def test_an_image_in_which_nothing_serves_fails_its_job(world):
    async with a_fleet(world.home, driver=world.driver()) as (fleet, _):
        engine.base()
        job, heard = blackbox(engine.nowhere(engine.BASE, "base"))
        fleet.submit(job)
        await heard.end(60)
    assert (heard.failure, heard.detail) == (
        Failure.NOT_STARTED,
        "Failed to provision resources to run the action.",
    )
    assert world.left() == []


async def test_orphans_of_this_invoker_are_removed_at_its_start_and_no_others(world, tmp_path):
    other = Docker(tmp_path / "other")
    async with a_fleet(other.home, driver=other.driver()) as (neighbours, _):
        await run(neighbours)
        async with a_fleet(world.home, driver=world.driver()):
            pass
        left = engine.docker("run", "-d", "--label", f"{LABEL}={world.instance}", engine.image("nodejs"))
        stranger = engine.docker("run", "-d", engine.image("nodejs"))
        try:
            async with a_fleet(world.home, driver=world.driver()):
                assert left not in world.running()
                assert inspected(stranger)["State"]["Running"]
                assert len(other.running()) == 1
        finally:
            engine.docker("rm", "-f", stranger)
        assert (await run(neighbours)).warmth is Warmth.WARM


async def test_a_network_of_their_own_can_be_named(world):
    name = f"dataflower-test-{world.home.parent.name[:20]}"
    engine.docker("network", "create", name)
    try:
        async with a_fleet(world.home, driver=world.driver(network=name)) as (fleet, _):
            heard = await run(fleet, NODE, '{"x": 1}', call=a_call("guest/js", kind="nodejs:20"))
            assert json.loads(heard.report.body) == {"x": 1, "n": 1}
            (container,) = world.running()
            assert list(inspected(container)["NetworkSettings"]["Networks"]) == [name]
    finally:
        engine.docker("network", "rm", name)


async def test_a_function_hands_outputs_over_at_an_address_of_this_host_in_its_network(world):
    code = """
    async function main() {
      const headers = {'Content-Type': 'application/octet-stream'};
      const reply = await fetch(`${process.env.__OW_DATAFLOW_URL}/outputs/o`, {method: 'POST', headers, body: 'abc'});
      return {status: reply.status};
    }"""
    async with a_fleet(world.home, driver=world.driver()) as (fleet, _):
        heard = await run(fleet, code, call=a_call("guest/js", kind="nodejs:20"), wants={"o": "value"})
    assert json.loads(heard.report.body) == {"status": 204}
    assert heard.outputs == [("o", 0, "emit", b"abc")]


async def test_a_driver_without_its_network_or_images_or_engine_says_so(world, monkeypatch):
    async with a_fleet(world.home, driver=world.driver(network="no-such-network")) as (fleet, _):
        heard = await run(fleet)
        assert (heard.failure, heard.detail) == (
            Failure.NOT_STARTED,
            "Failed to provision resources to run the action.",
        )
    driver = world.driver(images={"python:3": "no/such-image:1"})
    with pytest.raises(DriverUnavailable, match="pull or build no/such-image:1"):
        await driver.open()
    await driver.close()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{world.home}/none.sock")
    driver = world.driver()
    with pytest.raises(DriverUnavailable, match="Start the engine, or name another in DOCKER_HOST"):
        await driver.open()
    await driver.close()
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()  # the SDK leaves the socket open with which it failed


def available_mb():
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable"))


async def test_an_array_four_times_the_limit_of_memory_is_mapped_not_copied(world):
    size_mb, limit_mb = (1024, 256) if available_mb() > 4096 else (512, 128)
    count = size_mb << 17
    code = (
        "import numpy\n"
        "def main(args):\n"
        "    matrix = args['matrix']\n"
        "    assert isinstance(matrix, numpy.ndarray) and not matrix.flags.owndata\n"
        "    return {'shape': matrix.shape, 'sum': float(matrix[::512].sum())}\n"
    )
    async with a_fleet(world.home, LIMITS, driver=world.driver(), sink_mb=size_mb * 2) as (fleet, sink):
        head = Head(Media.ARRAY, count * 8, shape=(count,), dtype="<f8")
        value = sink.put_bytes(head, bytes(count * 8))
        call = a_call("guest/sums", memory_mb=limit_mb)
        heard = await run(fleet, code, inputs=[Bound("matrix", value)], call=call, timeout_s=60)
        value.release()
    assert heard.report is not None, (heard.failure, heard.lines)
    assert json.loads(heard.report.body) == {"shape": [count], "sum": 0.0}


async def test_more_jobs_than_memory_wait_for_their_turn(world):
    limits = PoolLimits(memory_mb=512, cores=2, extra_memory_mb=0)
    async with a_fleet(world.home, limits, driver=world.driver()) as (fleet, _):
        pairs = [a_job(call=a_call(f"guest/a{n}")) for n in range(6)]
        for job, _ in pairs:
            fleet.submit(job)
        heard = [await one.end(90) for _, one in pairs]
        assert len(world.running()) <= 2
    assert {one.failure for one in heard} == {None}
