"""A stock invoker on the other end of Kafka: the balancer reads its captured pings and answers, and gives it work."""

from __future__ import annotations

import asyncio
import json
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller_ext.balancer.app import BalancerApp
from controller_ext.balancer.client import BalancerClient, DefaultLimits
from controller_ext.runs.ports import Accepted, Ended, Needs, NoInvoker
from controller_ext.settings import Settings
from invoker_ext.bus import Message
from invoker_ext.buses.address import KafkaAddress
from invoker_ext.buses.kafka.bus import KafkaBus
from invoker_ext.contract.messages import ActivationMessage
from invoker_ext.contract.records import Activation
from tests.support.fake_invoker import a_record
from tests.support.kafka import Kafka
from tests.support.messages import a_message
from tests.support.waiting import until

TOKEN = "the-token"
HEARD_S = 15.0


class StockInvoker:
    """Says what a captured invoker said; without headers, as stock."""

    def __init__(self, address: KafkaAddress, captured: dict[str, list[dict[str, Any]]]) -> None:
        self._captured = captured
        self._bus = KafkaBus(address, topics=["invoker0"])
        self.asked: list[dict[str, Any]] = []

    async def start(self) -> None:
        await self._bus.start()
        self._bus.subscribe("invoker0", lambda message: self.asked.append(json.loads(bytes(message.payload))))

    def ping(self) -> None:
        self._bus.publish("health", Message(json.dumps(self._captured["health"][0]).encode()))

    def say(self, asked: dict[str, Any], **what: Any) -> None:
        said = {"transid": asked["transid"], **what}
        self._bus.publish("completed0", Message(json.dumps(said).encode()))

    def over(self, asked: dict[str, Any], **what: Any) -> None:
        instance = self._captured["health"][0]["name"]
        self.say(asked, instance=instance, isSystemError=False, **(what or {"activationId": asked["activationId"]}))

    def record(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return a captured record under the name of what was asked."""
        found = next(one["response"] for one in self._captured["completed0"] if "response" in one)
        return {**found, "activationId": asked["activationId"]}

    async def next(self) -> dict[str, Any]:
        """Wait for a request."""
        await until(lambda: self.asked, HEARD_S)
        return self.asked.pop(0)

    async def close(self) -> None:
        await self._bus.close()


class Site:
    """A balancer, a worker's client and a stock invoker that has proved itself."""

    def __init__(self, folder: Path, address: KafkaAddress, captured: dict[str, list[dict[str, Any]]]) -> None:
        bus = f"kafka://{address.servers[0]}?prefix={address.prefix}"
        settings = Settings(data_dir=folder, bus=bus, accept_wait_s=0.5)
        settings.run_dir.mkdir()
        settings.spool_dir.mkdir()
        self.captured = captured
        self.stored: dict[str, Activation] = {}
        self.app = BalancerApp(settings, TOKEN)
        self.invoker = StockInvoker(address, captured)
        self.client = BalancerClient(
            settings.balancer_socket,
            token=TOKEN,
            defaults=DefaultLimits(1000, 100, 1000),
            lookup=lambda namespace, activation_id: self.stored.get(activation_id),
        )

    @property
    def states(self) -> list[str]:
        return list(self.app._dispatcher.fleet.states().values())

    async def start(self) -> None:
        await self.app.start()
        await self.invoker.start()

        def seen() -> bool:
            self.invoker.ping()
            return bool(self.states)

        await until(seen, HEARD_S)

    async def prove(self) -> dict[str, Any]:
        """Answer the health test; return it."""
        test = await self.invoker.next()
        self.invoker.over(test)
        await until(lambda: self.states == ["up"], HEARD_S)
        return test

    def invoke(self, message: ActivationMessage, wait_s: float | None = 10.0) -> asyncio.Future[Accepted | Ended]:
        return asyncio.ensure_future(
            asyncio.to_thread(self.client.invoke, message, Needs(memory_mb=256), wait_s=wait_s)
        )

    async def aclose(self) -> None:
        self.client.close()
        await asyncio.gather(self.invoker.close(), self.app.close())


@pytest.fixture
async def site(kafka_broker: Kafka, shared_dir: Path) -> AsyncIterator[Site]:
    recorded = shared_dir / "recordings" / "kafka"
    captured = {
        name: [json.loads(line)["value"] for line in (recorded / f"{name}.jsonl").read_text().splitlines()]
        for name in ("health", "completed0", "invoker0")
    }
    address = KafkaAddress(servers=(kafka_broker.server,), prefix=f"{uuid.uuid4().hex}-")
    with tempfile.TemporaryDirectory(prefix="df-bal-") as folder:
        site = Site(Path(folder), address, captured)
        await site.start()
        yield site
        await site.aclose()


def shape(value: Any) -> Any:
    """Return names and types."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return [shape(one) for one in value] if isinstance(value, list) else type(value).__name__


async def test_an_invoker_of_stock_is_up_once_it_has_answered_a_test_like_stocks(site: Site):
    assert site.states == ["unhealthy"]
    test = await site.prove()
    known = site.captured["invoker0"][0]
    assert shape(test) == shape(known)
    same = ("action", "blocking", "revision", "rootControllerIndex")
    assert {name: test[name] for name in same} == {name: known[name] for name in same}
    assert test["transid"][0] == known["transid"][0]


async def test_a_result_answers_and_its_end_frees_the_slot(site: Site):
    await site.prove()
    known = site.captured["invoker0"][2]
    waiting = site.invoke(ActivationMessage.decode(json.dumps(known).encode()))
    asked = await site.invoker.next()
    assert asked == known
    site.invoker.say(asked, response=site.invoker.record(asked))
    ended = await waiting
    assert isinstance(ended, Ended)
    assert json.loads(ended.activation.result or b"") == {"greeting": "hello bob"}
    assert site.app._dispatcher.in_flight() == 1
    site.invoker.over(asked)
    await until(lambda: site.app._dispatcher.in_flight() == 0)


async def test_a_combined_message_does_both(site: Site):
    await site.prove()
    waiting = site.invoke(a_message())
    asked = await site.invoker.next()
    site.invoker.over(asked, response=site.invoker.record(asked))
    ended = await waiting
    assert isinstance(ended, Ended)
    assert ended.activation.annotation("path") == "guest/kh"
    assert site.app._dispatcher.in_flight() == 0


async def test_an_end_without_a_record_sends_who_waits_to_the_store(site: Site):
    await site.prove()
    message = a_message()
    waiting = site.invoke(message)
    asked = await site.invoker.next()
    site.invoker.over(asked, response=asked["activationId"])
    await until(lambda: site.app._dispatcher.in_flight() == 0)
    site.stored[message.activation_id] = a_record(message, b'{"from": "store"}')
    ended = await waiting
    assert isinstance(ended, Ended)
    assert ended.activation.result == b'{"from": "store"}'


async def test_who_does_not_wait_is_answered_when_kafka_has_the_message(site: Site):
    await site.prove()
    message = a_message()
    assert await site.invoke(message, wait_s=None) == Accepted(message.activation_id)
    site.invoker.over(await site.invoker.next())
    await until(lambda: site.app._dispatcher.in_flight() == 0)


async def test_an_invoker_of_stock_gets_no_graph(site: Site):
    await site.prove()
    with pytest.raises(NoInvoker):
        await site.invoke(a_message(graph="0" * 64))
    assert site.invoker.asked == []


async def test_answers_that_nobody_can_read_are_dropped(site: Site):
    await site.prove()
    waiting = site.invoke(a_message())
    asked = await site.invoker.next()
    for response in (None, 3, {"activationId": asked["activationId"]}):
        site.invoker.say(asked, response=response)
    site.invoker.over(asked, response=site.invoker.record(asked))
    assert isinstance(await waiting, Ended)
