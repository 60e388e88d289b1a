"""Messages captured from a real deployment are read and written equal; acknowledgements are stock's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from invoker_ext.contract.acks import Ack, acknowledgements, healthy, is_health_test
from invoker_ext.contract.messages import ActivationMessage, Completion
from invoker_ext.contract.records import Activation
from invoker_ext.contract.stock import CacheInvalidation, Event, InvokerId, PingMessage, size_bytes

CODECS: dict[str, Any] = {
    "invoker0": ActivationMessage,
    "completed0": Ack,
    "health": PingMessage,
    "cacheInvalidation": CacheInvalidation,
    "events": Event,
}
ROOM = 1_054_644


def captured(shared_dir: Path, topic: str) -> list[dict[str, Any]]:
    lines = (shared_dir / "recordings" / "kafka" / f"{topic}.jsonl").read_text().splitlines()
    return [json.loads(line)["value"] for line in lines]


@pytest.mark.parametrize("topic", CODECS)
def test_captured_messages_are_read_and_written_equal(shared_dir: Path, topic: str):
    messages = captured(shared_dir, topic)
    assert messages
    for message in messages:
        assert json.loads(CODECS[topic].decode(json.dumps(message).encode()).encode()) == message


@pytest.mark.parametrize("topic", CODECS)
@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"null", b"{}", b'"x"', b'{"name": 3, "response": 3, "key": 3}'])
def test_what_is_no_message_is_refused(topic: str, payload: bytes):
    with pytest.raises(ValueError, match=r".*"):
        CODECS[topic].decode(payload)


def test_what_stock_does_not_know_is_dropped():
    known = {"key": {"mainId": "guest/kh"}, "instanceId": "controller0"}
    assert json.loads(CacheInvalidation.decode(json.dumps({**known, "more": 1}).encode()).encode()) == known


def ended_by(shared_dir: Path, transaction: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a captured request to an invoker and what the invoker said of it."""
    [asked] = [one for one in captured(shared_dir, "invoker0") if one["transid"][0] == transaction]
    said = [one for one in captured(shared_dir, "completed0") if one["transid"] == asked["transid"]]
    return asked, said


def completion_of(shared_dir: Path, message: dict[str, Any]) -> Completion:
    """Return the end of a captured activation as an owner has it; of one nobody waited for, from its twin's record."""
    acks = [Ack.decode(json.dumps(one).encode()) for one in captured(shared_dir, "completed0")]
    [record] = [one.completion() for one in acks if one.response and one.activation_id == message["activationId"]] or [
        one.completion() for one in acks if one.response and one.response["name"] == message["action"]["name"]
    ][-1:]
    assert record is not None
    activation = replace(record.activation, activation_id=message["activationId"], logs=("a line",), place=None)
    return Completion(message["transid"], activation)


@pytest.mark.parametrize(
    "transaction",
    ["tidBlocking", "tidBlockingWarm", "tidNonblocking", "tidNoBody", "tidAppError", "tidExit", "tidNologBlocking",
     "tidNologNonblocking", "tidFire", "tidWeb", "tidInitParam"],
)  # fmt: skip
def test_an_end_is_acknowledged_as_stock_does(shared_dir: Path, transaction: str):
    asked, said = ended_by(shared_dir, transaction)
    message = ActivationMessage.decode(json.dumps(asked).encode())
    told = acknowledgements(
        completion_of(shared_dir, asked),
        blocking=message.blocking,
        instance=captured(shared_dir, "health")[0]["name"],
        bound=ROOM,
    )
    assert [json.loads(payload) for _, payload in told] == said


def test_a_health_test_is_answered_as_stock_does(shared_dir: Path):
    asked = captured(shared_dir, "invoker0")[0]
    message = ActivationMessage.decode(json.dumps(asked).encode())
    assert is_health_test(message)
    _, payload = healthy(message, captured(shared_dir, "health")[0]["name"], system_error=False)
    assert json.loads(payload) == captured(shared_dir, "completed0")[0]


def a_record(*, status: int = 0, logs_mb: int | None = 10, result: bytes | None = b'{"a":1}') -> Activation:
    notes = [{"key": "path", "value": "guest/a"}]
    if logs_mb is not None:
        notes.append({"key": "limits", "value": {"logs": logs_mb}})  # type: ignore[dict-item]
    return Activation(
        activation_id="a" * 32, namespace="guest", name="a", subject="guest", version="0.0.1", start_ms=1, end_ms=2,
        duration_ms=1, status=status, result=result, annotations=tuple(notes), logs=("line",), dataflow={"x": 1},
    )  # fmt: skip


CASES = {
    # case: (status, log limit, blocking) → forms
    "ran, logs, blocking": (0, 10, True, ["result whole", "over"]),
    "ran, logs": (0, 10, False, ["over"]),
    "ran, no logs, blocking": (0, 0, True, ["both whole"]),
    "ran, no logs": (0, 0, False, ["over"]),
    "never ran, blocking": (3, 10, True, ["both whole"]),
    "never ran": (3, 10, False, ["both id"]),
    "never fetched, blocking": (1, None, True, ["both whole"]),
    "never fetched": (1, None, False, ["both id"]),
}


def forms(record: Activation, *, blocking: bool, bound: int = ROOM) -> list[str]:
    told = acknowledgements(Completion(["t", 1], record), blocking=blocking, instance={"instance": 0}, bound=bound)
    found = []
    for _, payload in told:
        ack = Ack.decode(payload)
        what = "both" if ack.has_response and ack.instance else "result" if ack.has_response else "over"
        found.append(what + (" whole" if ack.response else " id" if ack.has_response else ""))
        assert ack.system_error == (record.status == 3 if ack.instance else None)
        assert not ack.response or (ack.response["logs"] == [] and "dataflow" not in ack.response)
    return found


@pytest.mark.parametrize("case", CASES)
def test_which_acknowledgements_are_sent_when(case: str):
    status, logs_mb, blocking, wanted = CASES[case]
    assert forms(a_record(status=status, logs_mb=logs_mb), blocking=blocking) == wanted


@pytest.mark.parametrize(("logs_mb", "wanted"), [(10, ["result id", "over"]), (0, ["both id"])])
def test_a_result_that_no_message_takes_is_left_to_the_store(logs_mb: int, wanted: list[str]):
    assert forms(a_record(logs_mb=logs_mb, result=b'"' + b"x" * 1000 + b'"'), blocking=True, bound=500) == wanted


@pytest.mark.parametrize(
    ("text", "size"), [("1024 MB", 1 << 30), ("1073741824 B", 1 << 30), ("2g", 2 << 30), ("3 kb", 3072)]
)
def test_sizes_are_read_in_all_units(text: str, size: int):
    assert size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "x", "1", "1 TB", "-1 B", "1.5 GB"])
def test_what_is_no_size_is_refused(text: str):
    with pytest.raises(ValueError, match="no size"):
        size_bytes(text)


def test_the_first_versions_of_stock_say_less_of_an_invoker():
    found = InvokerId.from_json({"instance": 3, "instanceType": "invoker", "userMemory": "1 GB"})
    assert found == InvokerId(instance=3, memory_bytes=1 << 30)
    assert not found.takes_runs
    assert InvokerId.from_json({**found.to_json(), "tags": ["dataflow"]}).takes_runs
