"""The server's processes with Kafka as their bus."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from tests.support.deploying import Deployer
from tests.support.kafka import Kafka
from tests.support.server import Server
from tests.support.waiting import wait_until

RUNS = 50
BACK_S = 60.0


@pytest.fixture
def serving() -> Iterator[Callable[[Kafka], Server]]:
    servers: list[Server] = []

    def start(broker: Kafka) -> Server:
        servers.append(Server("--bus", f"{broker.url}?prefix={uuid.uuid4().hex}-&events=on"))
        return servers[-1].start()

    yield start
    for server in servers:
        server.remove()


ADD = """
def main(args):
    print("adding")
    return {"n": args["n"] + 1}
"""
SLOW = """
import time
def main(args):
    time.sleep(0.2)
    return {"n": args["n"]}
"""
WORDCOUNT = """
dataflow: 1
steps:
  start: {action: start, inputs: {texts: $run.texts}}
  count: {action: count, inputs: {text: {each: start.texts}}}
  merge: {action: merge, inputs: {counts: {gather: count.words}}}
result: merge
"""
STEPS = {
    "start": "def main(args):\n    return {'texts': args['texts']}\n",
    "count": "def main(args):\n    return {'words': len(args['text'].split())}\n",
    "merge": "def main(args):\n    return {'words': sum(args['counts'])}\n",
}


def events(broker: Kafka) -> list[dict[str, Any]]:
    """Return all user events of this Kafka: their topic is everybody's."""
    consumer = KafkaConsumer(bootstrap_servers=[broker.server], enable_auto_commit=False)
    partition = TopicPartition("events", 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    end = consumer.end_offsets([partition])[partition]
    said: list[dict[str, Any]] = []
    while consumer.position(partition) < end:
        said += [json.loads(one.value) for records in consumer.poll(1000).values() for one in records]
    consumer.close()
    return said


def a_chain(api: Deployer) -> None:
    """Deploy `add`, a sequence of it, and a workflow."""
    api.action("add", ADD)
    body = {"exec": {"kind": "sequence", "components": ["/_/add", "/_/add", "/_/add"]}}
    api.call("PUT", "actions/chain?overwrite=true", json=body).raise_for_status()
    api.workflow(WORDCOUNT, "words", **STEPS)


def test_actions_sequences_and_workflows_run_over_kafka(kafka_broker: Kafka, serving: Callable[[Kafka], Server]):
    server = serving(kafka_broker)
    api = server.client()
    a_chain(api)
    assert api.run("add", n=1) == {"n": 2}
    assert api.run("chain", n=1) == {"n": 4}
    assert api.run("words", texts=["a b", "c", "d e f"]) == {"words": 6}

    answer = api.call("POST", "actions/add?blocking=true", json={"n": 1}).json()
    assert (answer["response"]["result"], answer["logs"]) == ({"n": 2}, [])
    record = api.finished(answer["activationId"])
    assert record["logs"][0].endswith("stdout: adding")
    accepted = api.call("POST", "actions/add", json={"n": 5})
    assert accepted.status_code == 202
    assert api.finished(accepted.json()["activationId"])["response"]["result"] == {"n": 6}

    large = {"texts": ["word " * 200_000] * 3}
    assert api.run("words", **large) == {"words": 600_000}
    assert api.fail("add", n="x")
    told = {one["body"].get("activationId"): one["body"] for one in events(kafka_broker)}
    assert told[answer["activationId"]].items() >= {"name": "guest/add", "statusCode": 0, "memory": 256}.items()
    assert {"guest/chain", "guest/words", "guest/count"} <= {one.get("name") for one in told.values()}
    metrics = [one["body"] for one in events(kafka_broker) if one["eventType"] == "Metric"]
    assert {"metricName": "ConcurrentInvocations", "metricValue": 1} in metrics
    api.close()
    server.stop()
    assert server.left_over() == []


def test_a_result_that_no_message_of_kafka_takes_is_answered_from_the_store(
    kafka_broker: Kafka, serving: Callable[[Kafka], Server]
):
    server = serving(kafka_broker)
    api = server.client()
    size = 1024 * 1024 - 40
    api.action("large", f"def main(args):\n    return {{'x': 'y' * {size}, **args}}\n")
    api.action("quiet", f"def main(args):\n    return {{'x': 'y' * {size}, **args}}\n", limits={"logs": 0})
    for name in ("large", "quiet"):
        assert len(api.run(name)["x"]) == size
    api.close()
    server.stop()


def test_every_accepted_run_ends_through_the_death_of_kafka(mortal_kafka: Kafka, serving: Callable[[Kafka], Server]):
    server = serving(mortal_kafka)
    api = server.client()
    a_chain(api)
    api.action("slow", SLOW)
    names = ("add", "chain", "words", "slow", "slow")

    def invoke(number: int) -> tuple[int, str | None, Any]:
        name = names[number % len(names)]
        client = server.client()
        arguments: dict[str, Any] = {"texts": ["a b"] * number} if name == "words" else {"n": number}
        try:
            answer = client.call("POST", f"actions/{name}?blocking={'true' if number % 2 else 'false'}", json=arguments)
        finally:
            client.close()
        return number, answer.headers.get("X-Openwhisk-Activation-Id"), answer

    wanted: dict[str, Callable[[int], Any]] = {
        "add": lambda n: {"n": n + 1},
        "chain": lambda n: {"n": n + 3},
        "words": lambda n: {"words": 2 * n},
        "slow": lambda n: {"n": n},
    }
    with ThreadPoolExecutor(RUNS) as pool:
        calls = [pool.submit(invoke, number) for number in range(RUNS)]
        wait_until(lambda: any(call.done() for call in calls), BACK_S)
        mortal_kafka.kill()
        mortal_kafka.start()
        ended = [call.result(timeout=BACK_S) for call in calls]
    accepted = [(number, run) for number, run, answer in ended if answer.status_code in (200, 202)]
    assert len(accepted) == RUNS, [answer.text for _, _, answer in ended if answer.status_code not in (200, 202)]
    for number, run in accepted:
        assert run is not None
        record = api.finished(run, BACK_S)
        assert record["response"]["result"] == wanted[names[number % len(names)]](number), record
    wait_until(lambda: server.usage()["runs"] == 0, BACK_S)
    api.close()
    server.stop()
