"""The process driver by itself: what a container is given, and what is left when it ends."""

import asyncio
import os
import sys

import pytest

from action_runtime.wire.codec import Decoder
from action_runtime.wire.frames import FrameKind
from invoker_ext.containers.driver import ContainerSpec, UnknownKind
from invoker_ext.containers.drivers.process import ProcessDriver
from invoker_ext.contract.kinds import OWN


@pytest.fixture
async def driver(tmp_path):
    driver = ProcessDriver(tmp_path)
    await driver.open()
    yield driver
    await driver.close()


def spec(name="wsk0_1_test", runtime=OWN, memory_mb=256):
    return ContainerSpec(name=name, runtime=runtime, memory_mb=memory_mb, environment={})


async def hello(handle):
    """Return the first frame that the container sends."""
    handle.session.setblocking(False)
    decoder = Decoder()
    async with asyncio.timeout(20):
        while True:
            frames = decoder.feed(await asyncio.get_running_loop().sock_recv(handle.session, 4096))
            if frames:
                return frames[0]


def let_go(handle):
    handle.session.close()
    for one in handle.outputs:
        os.close(one)


@pytest.mark.parametrize("runtime", [OWN, sys.executable], ids=["forked", "executed"])
async def test_a_container_says_hello_and_ends_with_its_folder(driver, tmp_path, runtime, no_leaks):
    gone = asyncio.get_running_loop().create_future()
    handle = driver.start(spec(runtime=runtime), gone.set_result)
    frame = await hello(handle)
    assert frame.kind is FrameKind.HELLO
    assert len(list(tmp_path.glob("keeper-*/wsk0_1_test"))) == 1
    handle.kill()
    assert (await asyncio.wait_for(gone, 10)).error is None
    assert list(tmp_path.glob("keeper-*/wsk0_1_test")) == []
    let_go(handle)


async def test_a_container_ends_when_its_session_is_closed(driver):
    gone = asyncio.get_running_loop().create_future()
    handle = driver.start(spec(), gone.set_result)
    await hello(handle)
    let_go(handle)
    await asyncio.wait_for(gone, 10)


async def test_an_interpreter_that_does_not_exist_starts_nothing(driver, no_leaks):
    with pytest.raises(FileNotFoundError, match=r"python3\.99 is not there any more"):
        driver.start(spec(runtime="/nowhere/python3.99"), print)


async def test_an_interpreter_that_cannot_be_executed_ends_the_container_with_its_words(driver, tmp_path):
    broken = tmp_path / "python3.99"
    broken.write_bytes(b"\x7fELF, but no more")
    broken.chmod(0o755)
    gone = asyncio.get_running_loop().create_future()
    handle = driver.start(spec(runtime=str(broken)), gone.set_result)
    await asyncio.wait_for(gone, 10)
    assert b"python3.99" in os.read(handle.outputs[1], 65536)
    let_go(handle)


async def test_a_hundred_orders_at_once_are_all_carried_out(driver):
    gone = [asyncio.get_running_loop().create_future() for _ in range(50)]
    handles = [driver.start(spec(f"wsk0_{n}_test"), future.set_result) for n, future in enumerate(gone)]
    for handle in handles:
        handle.kill()
    await asyncio.wait_for(asyncio.gather(*gone), 25)
    for handle in handles:
        let_go(handle)


async def test_a_kind_that_no_interpreter_runs_is_unknown(driver):
    assert "python:3" in driver.kinds
    with pytest.raises(UnknownKind, match=r"No runtime on this host runs actions of kind 'cobol:85'"):
        driver.runtime_of("cobol:85")


async def test_a_kind_whose_interpreter_was_removed_is_unknown_from_then_on(tmp_path):
    node = tmp_path / "node"
    node.symlink_to(sys.executable)
    driver = ProcessDriver(tmp_path, {"python:3": OWN, "nodejs:20": str(node)})
    assert driver.runtime_of("nodejs:20") == str(node)
    node.unlink()
    with pytest.raises(UnknownKind, match=r"of kind 'nodejs:20'; there are: python:3\.$"):
        driver.runtime_of("nodejs:20")
