"""Events as a stock invoker and a stock controller wrote them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from invoker_ext.contract.acks import Ack
from invoker_ext.contract.events import CONCURRENT_INVOCATIONS, activation_event, metric_event
from invoker_ext.contract.records import Activation
from tests.support.fake_invoker import a_record
from tests.support.messages import a_message, a_user

PATH = ({"key": "path", "value": "guest/a"}, {"key": "kind", "value": "python:3"})


def values(shared_dir: Path, name: str) -> list[dict[str, Any]]:
    lines = (shared_dir / "recordings" / "kafka" / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line)["value"] for line in lines]


def test_captured_activations_are_told_of_as_captured(shared_dir: Path):
    told = {
        one["body"]["activationId"]: one for one in values(shared_dir, "events") if one["eventType"] == "Activation"
    }
    compared = 0
    for payload in values(shared_dir, "completed0"):
        completion = Ack.decode(json.dumps(payload).encode()).completion()
        if completion is None:
            continue
        record = completion.activation
        wanted = told[record.activation_id]
        event = activation_event(record, a_user(), "invoker0", wanted["timestamp"])
        assert event is not None
        assert json.loads(event.encode()) == wanted
        compared += 1
    assert compared >= 5


def test_a_captured_metric_is_told_of_as_captured(shared_dir: Path):
    wanted = next(one for one in values(shared_dir, "events") if one["eventType"] == "Metric")
    who = (wanted["subject"], wanted["namespace"], wanted["userId"])
    event = metric_event(CONCURRENT_INVOCATIONS, 1, who, "controller0", wanted["timestamp"])
    assert json.loads(event.encode()) == wanted


def an_activation(result: object = None, *annotations: dict[str, Any]) -> Activation:
    record = a_record(a_message(), json.dumps(result).encode())
    return replace(record, annotations=(*PATH, *annotations))


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ({"statusCode": 201}, 201),
        ({"error": {"statusCode": 404}, "statusCode": 201}, 404),
        ({"error": "gone", "statusCode": 410}, 410),
        ({"statusCode": "fine"}, 400),
        ({"deep": {"statusCode": 3}}, None),
        ([{"statusCode": 3}], None),
        ({}, None),
    ],
)
def test_the_status_that_an_action_chose_is_told(result: object, status: int | None):
    event = activation_event(an_activation(result), a_user(), "invoker0", 1)
    assert event is not None
    assert event.body.get("userDefinedStatusCode") == status


def test_nothing_is_told_of_what_has_no_path():
    assert activation_event(replace(an_activation(), annotations=()), a_user(), "invoker0", 1) is None
