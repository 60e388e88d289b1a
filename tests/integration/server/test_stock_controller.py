"""A stock controller on the other end of Kafka: its captured messages run here, and it is told what stock tells it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from invoker_ext.buses.address import KafkaAddress
from invoker_ext.buses.kafka.making import TopicMaker
from invoker_ext.buses.kafka.topics import topic
from tests.support.kafka import Kafka
from tests.support.server import Server
from tests.support.waiting import wait_until

STOCK: Final = "stock"
"""Name of the controller; ours is `0`."""
SAID_S: Final = 30.0


class StockController:
    """Writes messages as captured, and reads what invokers say."""

    def __init__(self, broker: Kafka, prefix: str) -> None:
        servers = [broker.server]
        self._invoker = f"{prefix}invoker0"
        self._partition = TopicPartition(f"{prefix}completed{STOCK}", 0)
        self._producer = KafkaProducer(bootstrap_servers=servers)
        self._consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
        self._consumer.assign([self._partition])
        self._consumer.seek_to_beginning(self._partition)

    def ask(self, message: dict[str, Any]) -> None:
        document = {**message, "rootControllerIndex": {"asString": STOCK, "instanceType": "controller"}}
        self._producer.send(self._invoker, json.dumps(document).encode()).get(SAID_S)

    def hear(self, count: int) -> list[dict[str, Any]]:
        said: list[dict[str, Any]] = []

        def heard() -> bool:
            for records in self._consumer.poll(timeout_ms=100).values():
                for record in records:
                    assert record.key is None
                    said.append(json.loads(record.value))
            return len(said) >= count

        wait_until(heard, SAID_S, lambda: f"{len(said)} of {count} came: {said}")
        return said

    def close(self) -> None:
        self._producer.close()
        self._consumer.close()


def captured(shared_dir: Path, name: str) -> list[dict[str, Any]]:
    lines = (shared_dir / "recordings" / "kafka" / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def values(shared_dir: Path, name: str) -> list[dict[str, Any]]:
    return [line["value"] for line in captured(shared_dir, name)]


@pytest.fixture
def site(kafka_broker: Kafka, shared_dir: Path) -> Iterator[tuple[Server, StockController]]:
    """A server with the actions of the recording, and a stock controller beside its own."""
    prefix = f"{uuid.uuid4().hex}-"
    TopicMaker(KafkaAddress(servers=(kafka_broker.server,))).ensure([topic(f"completed{STOCK}", prefix)])
    server = Server("--bus", f"{kafka_broker.url}?prefix={prefix}")
    controller = StockController(kafka_broker, prefix)
    try:
        server.start()
        api = server.client()
        for step in captured(shared_dir, "requests"):
            request = step["request"]
            if request["method"] == "PUT" and "/actions/" in request["path"]:
                path = request["path"].partition("/_/")[2]
                api.call("PUT", path, json=request["body"]).raise_for_status()
        api.close()
        yield server, controller
        server.stop()
    finally:
        controller.close()
        server.remove()


def normal(said: dict[str, Any]) -> dict[str, Any]:
    """Return an acknowledgement without what differs from run to run: times, sizes of waits, who says it."""
    known = json.loads(json.dumps(said))
    if "instance" in known:
        assert set(known["instance"]) >= {"instance", "instanceType", "userMemory", "tags", "dedicatedNamespaces"}
        known["instance"] = known["instance"]["instance"]
    record = known.get("response")
    if isinstance(record, dict):
        assert record["end"] - record["start"] == record.pop("duration")
        del record["start"], record["end"]
        # Cold or warm is not the other's business.
        record["annotations"] = [
            {**one, "value": type(one["value"]).__name__} if one["key"] == "waitTime" else one
            for one in record["annotations"]
            if one["key"] != "initTime"
        ]
    return known  # type: ignore[no-any-return]


def test_captured_messages_are_acknowledged_as_captured(site: tuple[Server, StockController], shared_dir: Path):
    _, controller = site
    said = values(shared_dir, "completed0")
    for message in values(shared_dir, "invoker0"):
        wanted = [one for one in said if one["transid"] == message["transid"]]
        if message["transid"][0] == "sid_invokerHealth":
            wanted = [one for one in wanted if one["activationId"] == message["activationId"]]
        controller.ask(message)
        assert [normal(one) for one in controller.hear(len(wanted))] == [normal(one) for one in wanted], message


def test_a_message_that_comes_again_is_answered_again_and_runs_once(
    site: tuple[Server, StockController], shared_dir: Path
):
    server, controller = site
    [message] = [one for one in values(shared_dir, "invoker0") if one["transid"][0] == "tidBlocking"]
    controller.ask(message)
    first = controller.hear(2)
    controller.ask(message)
    assert controller.hear(2) == first
    api = server.client()
    assert api.finished(message["activationId"])["logs"][0].endswith("stdout: hi")
    assert api.call("GET", "activations?name=kh&count=true").json()["activations"] == 1
    api.close()


def test_what_is_no_message_stops_nothing(site: tuple[Server, StockController], shared_dir: Path):
    _, controller = site
    [message] = [one for one in values(shared_dir, "invoker0") if one["transid"][0] == "tidNonblocking"]
    controller.ask({"transid": 3})
    controller.ask({**message, "initArgs": 7})
    controller.ask({**message, "user": {**message["user"], "namespace": {"name": 3, "uuid": 4}}})
    controller.ask({**message, "activationId": "a" * 32, "transid": []})
    controller.ask(message)
    over = controller.hear(2)  # of two activations, which may end in any order
    assert {one["activationId"]: one["transid"] for one in over} == {
        "a" * 32: ["sid_unknown"],
        message["activationId"]: message["transid"],
    }


def test_an_action_that_is_gone_is_told_as_by_stock(site: tuple[Server, StockController], shared_dir: Path):
    _, controller = site
    [message] = [one for one in values(shared_dir, "invoker0") if one["transid"][0] == "tidBlocking"]
    gone = {**message, "action": {**message["action"], "name": "nowhere"}, "activationId": "f" * 32}
    controller.ask(gone)
    [both] = controller.hear(1)
    assert both["response"]["response"]["result"] == {"error": "Action could not be found or may have been deleted."}
    assert (both["response"]["response"]["statusCode"], both["isSystemError"]) == (1, False)
    controller.ask({**gone, "activationId": "e" * 32, "blocking": False})
    [shrunk] = controller.hear(1)
    assert (shrunk["response"], shrunk["isSystemError"]) == ("e" * 32, False)
