"""The balancer over real sockets, with an invoker that has no containers."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller_ext.balancer.app import BalancerApp
from controller_ext.balancer.client import BalancerClient, DefaultLimits, Results
from controller_ext.runs.ports import (
    Accepted,
    BalancerUnavailable,
    Ended,
    MessageTooLarge,
    Needs,
    NoInvoker,
    Throttled,
)
from controller_ext.runs.spool import Spooler
from controller_ext.settings import Settings
from invoker_ext.contract.records import Activation
from invoker_ext.door.async_client import AsyncDoorClient
from invoker_ext.door.errors import CallFailed
from invoker_ext.door.hello import Role
from invoker_ext.store import StoreUnavailable
from tests.support.fake_invoker import FakeInvoker, a_record
from tests.support.messages import a_message, a_user
from tests.support.waiting import until

TOKEN = "the-token"


class Installation:
    """A balancer, one worker's client and one invoker, on one loop but for the client's calls."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(data_dir=folder, accept_wait_s=0.3)
        self.settings.run_dir.mkdir()
        self.settings.spool_dir.mkdir()
        self.stored: dict[str, Activation] = {}
        self.places: dict[str, bytes] = {}
        self.app = BalancerApp(self.settings, TOKEN)
        self.invoker = FakeInvoker(self.settings.bus_socket, TOKEN)
        self.client = BalancerClient(
            self.settings.balancer_socket,
            token=TOKEN,
            defaults=DefaultLimits(1000, 100, 1000),
            lookup=lambda namespace, activation_id: self.stored.get(activation_id),
            results=Results(self.fetch),
        )

    async def start(self) -> None:
        await self.app.start()
        await self.invoker.start()
        await until(lambda: self.app._dispatcher.fleet.usable())

    def fetch(self, place: str) -> bytes:
        if place not in self.places:
            raise StoreUnavailable("the disk is gone")
        return self.places[place]

    async def restart_balancer(self) -> None:
        await self.app.close()
        self.app = BalancerApp(self.settings, TOKEN)
        await self.app.start()
        self.invoker.ping()

    async def aclose(self) -> None:
        self.client.close()
        await self.invoker.close()
        await self.app.close()

    async def invoke(self, message, wait_s: float | None = 5.0, memory_mb: int = 256) -> Accepted | Ended:
        return await asyncio.to_thread(self.client.invoke, message, Needs(memory_mb=memory_mb), wait_s=wait_s)


@pytest.fixture
async def site() -> AsyncIterator[Installation]:
    with tempfile.TemporaryDirectory(prefix="df-bal-") as folder:
        site = Installation(Path(folder))
        await site.start()
        yield site
        await site.aclose()


async def test_a_blocking_invocation_returns_the_record_with_its_result_unparsed(site: Installation):
    message = a_message(content=b'{"n":  1}')
    ended = await site.invoke(message)
    assert isinstance(ended, Ended)
    assert ended.activation == a_record(message)
    assert ended.activation.result == b'{"n":  1}'


async def test_a_non_blocking_invocation_returns_once_it_is_kept(site: Installation):
    site.invoker.answering = False
    message = a_message()
    assert await site.invoke(message, wait_s=None) == Accepted(message.activation_id)
    assert await asyncio.to_thread(site.client.in_flight) == 1
    site.invoker.answer_all()
    await until(lambda: site.app._dispatcher.in_flight() == 0)


async def test_a_wait_that_is_over_ends_with_the_run_accepted(site: Installation):
    site.invoker.answering = False
    message = a_message()
    assert await site.invoke(message, wait_s=0.05) == Accepted(message.activation_id)


async def test_many_invocations_at_a_time_each_get_their_own_end(site: Installation):
    messages = [a_message(content=b'{"n":%d}' % number) for number in range(50)]
    ended = await asyncio.gather(*(site.invoke(message) for message in messages))
    assert [one.activation.result for one in ended if isinstance(one, Ended)] == [one.content for one in messages]


async def test_a_result_that_the_store_has_kept_is_read_there(site: Installation):
    site.invoker.respond = lambda message: replace(a_record(message, b'{"n":1}'), place="pack:0:7")
    site.places["pack:0:7"] = b'{"n":1}'
    message = a_message()
    assert await site.invoke(message) == Ended(a_record(message, b'{"n":1}'))
    site.places.clear()
    with pytest.raises(BalancerUnavailable, match="its result cannot be read: the disk is gone"):
        await site.invoke(a_message())


async def test_a_large_result_is_named_not_carried(site: Installation):
    large = ("/door", "name", 5_000_000)

    def respond(message):
        return replace(a_record(message), result=None)

    site.invoker.respond = respond
    original = site.invoker._answer

    def answer(message):
        from invoker_ext.bus import Message
        from invoker_ext.contract.messages import Completion
        from tests.support.fake_invoker import INSTANCE

        headers, payload = Completion(message.transid, respond(message), large).encode(INSTANCE)
        site.invoker.bus.publish("completed0", Message(payload, headers))

    site.invoker._answer = answer  # type: ignore[method-assign]
    ended = await site.invoke(a_message())
    site.invoker._answer = original  # type: ignore[method-assign]
    assert isinstance(ended, Ended)
    assert ended.large == large


async def test_a_namespace_above_its_limit_is_throttled_with_stocks_text(site: Installation):
    message = a_message(user=a_user(invocationsPerMinute=0))
    with pytest.raises(Throttled, match=r"^Too many requests in the last minute \(count: 1, allowed: 0\)\.$"):
        await site.invoke(message)


async def test_a_component_is_not_throttled_but_counts_as_in_flight(site: Installation):
    site.invoker.answering = False
    user = a_user(invocationsPerMinute=0, concurrentInvocations=1)
    component = a_message(user=user, cause="0" * 32)
    assert isinstance(await site.invoke(component, wait_s=None), Accepted)
    other = a_message(user=a_user(concurrentInvocations=1))
    with pytest.raises(Throttled, match=r"Too many concurrent requests in flight \(count: 1, allowed: 1\)\."):
        await site.invoke(other)


async def test_fires_are_throttled_by_a_limit_of_their_own(site: Installation):
    user = a_user(firesPerMinute=0, invocationsPerMinute=1000)
    with pytest.raises(Throttled, match=r"^Too many requests in the last minute \(count: 1, allowed: 0\)\.$"):
        await asyncio.to_thread(site.client.charge_fire, user)
    await asyncio.to_thread(site.client.charge, user)
    await asyncio.to_thread(site.client.charge_fire, a_user())


async def test_a_refused_request_is_charged_too(site: Installation):
    with pytest.raises(Throttled):
        await asyncio.to_thread(site.client.charge, a_user(invocationsPerMinute=0))


async def test_invokers_are_listed_with_their_health(site: Installation):
    assert await asyncio.to_thread(site.client.invokers) == {"invoker0/fake": "up"}


async def test_without_an_invoker_a_run_is_refused_after_a_bounded_wait(site: Installation):
    site.invoker.ping(enabled=False)
    await until(lambda: not site.app._dispatcher.fleet.usable())
    with pytest.raises(NoInvoker):
        await site.invoke(a_message())
    assert site.invoker.messages == []


async def test_a_run_waits_for_an_invoker_that_comes_back(site: Installation):
    site.invoker.ping(enabled=False)
    await until(lambda: not site.app._dispatcher.fleet.usable())
    running = asyncio.create_task(site.invoke(a_message()))
    await until(lambda: site.app._dispatcher._held)
    site.invoker.ping()
    assert isinstance(await running, Ended)


async def test_a_message_that_no_invoker_took_is_taken_back(site: Installation):
    await site.invoker.close()
    with pytest.raises(NoInvoker):
        await site.invoke(a_message())
    late = FakeInvoker(site.settings.bus_socket, TOKEN)
    await late.start()
    await site.invoke(a_message("guest/other"), wait_s=5.0)
    assert [one.action for one in late.messages] == ["guest/other"]
    await late.close()


async def test_a_message_above_the_bound_is_refused(site: Installation):
    with pytest.raises(MessageTooLarge):
        await site.invoke(a_message(content=b'{"x":"' + b"x" * 2_000_000 + b'"}'))
    with pytest.raises(MessageTooLarge):
        await site.invoke(a_message(content=b'{"x":"' + b"x" * 5_000_000 + b'"}'))


async def test_an_invocation_under_way_survives_the_restart_of_the_balancer(site: Installation):
    site.invoker.answering = False
    message = a_message(content=b'{"n":7}')
    running = asyncio.create_task(site.invoke(message, wait_s=20.0))
    await until(lambda: site.invoker.messages)
    await site.restart_balancer()
    await until(lambda: len(site.invoker.messages) >= 2, message="the message comes again")
    site.invoker.answer_all()
    ended = await running
    assert isinstance(ended, Ended)
    assert ended.activation.result == b'{"n":7}'


async def test_a_completion_that_comes_before_its_worker_is_back_waits_for_it(site: Installation):
    site.invoker.answering = False
    message = a_message()
    assert isinstance(await site.invoke(message, wait_s=None), Accepted)
    await site.app.close()
    site.app = BalancerApp(site.settings, TOKEN)
    await site.app.start()
    site.invoker.answer_all()
    await until(lambda: site.app._dispatcher._unclaimed._messages)
    assert isinstance(await site.invoke(message), Ended)


async def test_an_end_that_was_lost_with_the_balancer_is_found_in_the_store(site: Installation):
    site.invoker.answering = False
    message = a_message()
    running = asyncio.create_task(site.invoke(message, wait_s=20.0))
    await until(lambda: site.invoker.messages)
    await site.restart_balancer()
    site.stored[message.activation_id] = replace(a_record(message), logs=("line",))
    ended = await running
    assert isinstance(ended, Ended)
    assert ended.activation == a_record(message)


async def test_a_wrong_token_makes_the_balancer_unavailable(site: Installation):
    stranger = BalancerClient(
        site.settings.balancer_socket, token="wrong", defaults=DefaultLimits(1, 1, 1), lookup=lambda *_: None
    )
    with pytest.raises(BalancerUnavailable, match="token"):
        await asyncio.to_thread(stranger.invoke, a_message(), Needs(memory_mb=1), wait_s=1.0)


async def test_spooled_parameters_are_pulled_at_the_door_and_go_with_the_run(site: Installation):
    site.invoker.answering = False
    value = b'"' + secrets.token_hex(2_000_000).encode() + b'"'
    spool = Spooler(site.settings.spool_dir, str(site.settings.door_socket)).put({"big": value, "n": b"1"})
    message = a_message(content=None, graph="0" * 64, spool=spool)
    await site.invoke(message, wait_s=None)
    door = AsyncDoorClient(Path(spool.door), role=Role.INVOKER, token=TOKEN)
    got = bytearray()
    await door.pull(spool.name, spool.size_bytes, got.extend, 5.0)
    assert spool.members is not None
    at, length = spool.members["big"]
    assert bytes(got[at : at + length]) == value
    site.invoker.answer_all()
    await until(lambda: not list(site.settings.spool_dir.iterdir()))
    with pytest.raises(CallFailed, match="not held"):
        await door.pull(spool.name, spool.size_bytes, got.extend, 5.0)
    door.close()


async def test_a_caller_of_the_door_waits_for_a_usable_invoker(site: Installation):
    door = AsyncDoorClient(site.settings.door_socket, role=Role.TOOL, token=TOKEN)
    site.invoker.ping(enabled=False)
    await until(lambda: not site.app._dispatcher.fleet.usable())
    waiting = asyncio.create_task(door.call("invokers", 5.0, usable=1, wait_s=5.0))
    await asyncio.sleep(0)
    site.invoker.ping()
    assert (await waiting)["usable"] == 1
    door.close()
