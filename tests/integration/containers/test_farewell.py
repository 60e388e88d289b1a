"""A killed function does not take along what others still send."""

from invoker_ext.containers.job import Failure
from invoker_ext.containers.limits import PoolLimits
from tests.support.containers import a_call, a_fleet, a_job
from tests.support.waiting import until


async def test_outputs_of_earlier_functions_leave_before_a_killed_one_takes_its_container_along(tmp_path):
    code = (
        "import time\nfrom action_runtime import emit\n"
        "def main(args):\n"
        "    if args.get('hang'): time.sleep(60)\n"
        "    emit('data', b'x' * 30_000_000)\n"
        "    emit('data', b'x' * 30_000_000)\n"
    )
    async with a_fleet(tmp_path, PoolLimits(memory_mb=512, cores=2)) as (fleet, _):
        call = a_call(memory_mb=512)
        emits, first = a_job(code, wants={"data": "value"}, call=call)
        hangs, second = a_job(code, '{"hang": true}', call=call)
        fleet.submit(emits)
        fleet.submit(hangs)
        await until(lambda: "began" in second.heard)
        fleet.kill(hangs)
        await first.end()
        await second.end()
    assert (first.failure, len(first.outputs)) == (None, 2)
    assert (second.failure, second.container) == (Failure.RUN_DIED, first.container)
    assert second.times["began"] < first.times["drained"]
