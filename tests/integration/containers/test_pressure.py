"""Pressure on real containers: outputs that leave slowly delay the reuse of their container."""

import json
from dataclasses import replace

import pytest

from invoker_ext.app import _pool_limits
from invoker_ext.settings import Settings
from tests.support.containers import Recorder, a_call, a_fleet, a_job

MIB = 1 << 20
WRITE_S = 1.0
SLOW = f"""
import os
import time
from action_runtime import emit

write = os.pwrite

def slow(descriptor, data, at):
    time.sleep({WRITE_S})
    return write(descriptor, data, at)

os.pwrite = slow  # the data unit's: it stands for a host whose memory is slow

def main(args):
    emit("data", bytes(args["n"]))
    return {{}}
"""
ARGUMENTS = json.dumps({"n": 4 * MIB})
CALL = a_call(memory_mb=512)


def limits(tmp_path, pressure: str, containers: int):
    """Return what the invoker makes of its environment, with memory for so many containers."""
    folder = tmp_path / "data"
    folder.mkdir()
    environ = {"DATAFLOWER_INVOKER_DATA_DIR": str(folder), "DATAFLOWER_INVOKER_PRESSURE": pressure}
    return replace(_pool_limits(Settings.from_env(environ), 512 * containers), stem_cells=(), cores=2)


async def in_a_row(fleet, jobs: int) -> list[Recorder]:
    """Measure how slowly outputs leave, then submit jobs at once: those of the first are still leaving then."""
    job, measured = a_job(SLOW, ARGUMENTS, call=CALL, wants={"data": "value"})
    fleet.submit(job)
    await measured.end()
    pairs = [a_job(SLOW, ARGUMENTS, call=CALL, wants={"data": "value"}) for _ in range(jobs)]
    for job, _ in pairs:
        fleet.submit(job)
    heard = [await one.end() for _, one in pairs]
    assert [one.failure for one in heard] == [None] * jobs
    first = heard[0]
    assert first.container == measured.container
    assert first.times["drained"] - first.times["returned"] > WRITE_S / 2
    return heard


@pytest.mark.timeout(60)
async def test_positive_pressure_asks_for_another_container(tmp_path):
    async with a_fleet(tmp_path / "home", limits(tmp_path, "on", 2)) as (fleet, _):
        first, second = await in_a_row(fleet, 2)

    assert second.container != first.container
    assert second.times["began"] < first.times["drained"]


@pytest.mark.timeout(60)
async def test_a_container_that_has_measured_nothing_is_taken_to_be_as_slow_as_others_of_its_action(tmp_path):
    async with a_fleet(tmp_path / "home", limits(tmp_path, "on", 3)) as (fleet, _):
        heard = await in_a_row(fleet, 3)

    assert len({one.container for one in heard}) == 3


@pytest.mark.timeout(60)
async def test_positive_pressure_delays_the_reuse_of_the_container_if_there_is_no_other(tmp_path):
    async with a_fleet(tmp_path / "home", limits(tmp_path, "on", 1)) as (fleet, _):
        first, second = await in_a_row(fleet, 2)

    assert second.container == first.container
    assert second.times["began"] - first.times["returned"] > WRITE_S / 2


@pytest.mark.timeout(60)
async def test_with_pressure_off_a_container_is_reused_at_once(tmp_path):
    async with a_fleet(tmp_path / "home", limits(tmp_path, "off", 2)) as (fleet, _):
        first, second = await in_a_row(fleet, 2)

    assert second.container == first.container
    assert second.times["began"] - first.times["returned"] < WRITE_S / 2
    assert second.times["began"] < first.times["drained"]
