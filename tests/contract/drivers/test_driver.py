"""A driver by itself: what a container is given, and what is left when it ends."""

import asyncio
import os

import pytest

from action_runtime.wire.codec import Decoder
from action_runtime.wire.frames import FrameKind
from invoker_ext.containers.driver import ContainerSpec, UnknownKind

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def driver(world):
    driver = world.driver()
    await driver.open()
    yield driver
    await driver.close()
    assert world.left() == []


def start(driver, number=1):
    """Start a container; return its handle and what becomes of it."""
    loop = asyncio.get_running_loop()
    gone, reached = loop.create_future(), loop.create_future()
    spec = ContainerSpec(
        name=f"wsk0_{number}_test", runtime=driver.runtime_of("python:3"), memory_mb=256, environment={}
    )
    handle = driver.start(spec, gone.set_result)
    handle.when_reachable(lambda: reached.set_result(None))
    return handle, reached, gone


async def hello(handle, reached):
    """Return the first frame that the container sends."""
    await asyncio.wait_for(reached, 30)
    handle.session.setblocking(False)
    decoder = Decoder()
    async with asyncio.timeout(30):
        while True:
            frames = decoder.feed(await asyncio.get_running_loop().sock_recv(handle.session, 4096))
            if frames:
                return frames[0]


def let_go(handle):
    if handle.session is not None:
        handle.session.close()
    for one in handle.outputs:
        os.close(one)


async def test_a_container_says_hello_and_ends_without_a_trace(driver, world):
    handle, reached, gone = start(driver)
    assert handle.relayed
    assert (await hello(handle, reached)).kind is FrameKind.HELLO
    assert len(world.running()) == 1
    handle.kill()
    assert (await asyncio.wait_for(gone, 20)).error is None
    assert world.running() == []
    let_go(handle)


async def test_a_container_ends_when_its_session_is_closed(driver, world):
    handle, reached, gone = start(driver)
    await hello(handle, reached)
    let_go(handle)
    await asyncio.wait_for(gone, 20)
    assert world.running() == []


async def test_a_container_that_is_killed_before_it_is_up_never_comes_up(driver, world):
    handle, reached, gone = start(driver)
    handle.kill()
    handle.kill()
    await asyncio.wait_for(gone, 20)
    assert world.running() == []
    if not reached.done():
        assert handle.session is None
    let_go(handle)


async def test_many_orders_at_once_are_all_carried_out(driver, world):
    started = [start(driver, number) for number in range(12)]
    for handle, *_ in started:
        handle.kill()
    await asyncio.wait_for(asyncio.gather(*(gone for *_, gone in started)), 60)
    assert world.running() == []
    for handle, *_ in started:
        let_go(handle)


async def test_closing_ends_all_containers_and_then_none_is_started(world):
    driver = world.driver()
    await driver.open()
    handle, reached, gone = start(driver)
    await hello(handle, reached)
    await driver.close()
    await driver.close()
    assert gone.done()
    assert world.left() == []
    with pytest.raises(OSError, match="not open"):
        start(driver)
    let_go(handle)


async def test_a_kind_that_nothing_runs_is_unknown(driver):
    assert "python:3" in driver.kinds
    with pytest.raises(UnknownKind, match=r"No runtime on this host runs actions of kind 'cobol:85'"):
        driver.runtime_of("cobol:85")
