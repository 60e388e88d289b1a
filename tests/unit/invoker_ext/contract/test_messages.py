import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from invoker_ext.contract.messages import ActivationMessage, Completion, Identity, Spool
from invoker_ext.contract.records import Activation

USER = Identity(
    subject="guest-user", namespace="guest", uuid="0-uuid", api_key="0-uuid:key", limits={"concurrentInvocations": 7}
)
INSTANCE = {"instance": 0, "instanceType": "invoker", "uniqueName": "invoker0"}


def a_message(**members):
    fields: dict[str, Any] = {
        "transid": ["tid", 1700000000000],
        "action": "guest/pkg/hello",
        "version": "0.0.3",
        "revision": "3-abc",
        "user": USER,
        "activation_id": "a" * 32,
        "controller": "0",
        "blocking": True,
        "locked_args": {},
    }
    return ActivationMessage(**(fields | members))


def a_record(**members):
    fields: dict[str, Any] = {
        "activation_id": "a" * 32, "namespace": "guest", "name": "hello", "subject": "guest-user", "version": "0.0.3",
        "start_ms": 1, "end_ms": 2, "duration_ms": 1, "status": 0, "result": b'{"a":1}', "annotations": (),
    }  # fmt: skip
    return Activation(**(fields | members))


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"content": b"[1,2]", "blocking": False, "cause": "b" * 32, "binding": "guest/bound"},
        {"init_args": ("A",), "locked_args": {"p": "aes-256"}, "revision": None},
        {"graph": "d" * 64, "epoch": 3},
        {"refusal": "requirement failed", "content": b"{}"},
        {"graph": "d" * 64, "spool": Spool("door", "name", 9, "e" * 64, {"a": (0, 4), "b": (4, 5)})},
    ],
)
def test_a_message_survives_the_bus(members):
    message = a_message(**members)
    assert ActivationMessage.decode(message.encode(), message.headers()["c"]) == message
    assert ActivationMessage.decode(message.encode()) == message


@settings(max_examples=60, deadline=None)
@given(
    content=st.dictionaries(
        st.text(st.characters(codec="utf-8")), st.integers() | st.text(st.characters(codec="utf-8"))
    )
)
def test_content_is_spliced_in_and_taken_over_unparsed(content):
    raw = json.dumps(content).encode()  # with blanks, which a parser would drop
    message = a_message(content=raw)
    payload = message.encode()
    assert json.loads(payload)["content"] == content
    assert ActivationMessage.decode(payload, message.headers()["c"]).content == raw


def test_a_stock_message_has_no_member_of_ours():
    assert "run" not in json.loads(a_message().encode())


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"action": 3}', b"\xff"])
def test_what_is_no_message_is_refused(payload):
    with pytest.raises(ValueError, match=r"."):
        ActivationMessage.decode(payload)


def test_a_completion_tells_routers_where_the_result_stands():
    headers, payload = Completion(["tid", 1], a_record()).encode(INSTANCE)
    assert payload[headers["at"] : headers["at"] + headers["n"]] == b'{"a":1}'
    document = json.loads(payload)
    assert (document["transid"], document["isSystemError"], document["instance"]) == (["tid", 1], False, INSTANCE)
    assert headers["id"] == "a" * 32
    assert "large" not in headers


def test_a_result_that_has_a_place_in_the_store_is_left_out_of_the_completion():
    record = a_record(place="pack:0:7")
    headers, payload = Completion(["tid", 1], record).encode(INSTANCE)
    assert headers["n"] == 0
    response = json.loads(payload)["response"]
    assert Activation.from_fields(response, None) == replace(record, result=None)


def test_a_completion_without_result_has_none_to_point_at():
    headers, payload = Completion(["tid", 1], a_record(result=None, status=3), ("door", "r", 9)).encode(INSTANCE)
    assert (headers["at"], headers["n"], headers["status"], headers["large"]) == (0, 0, 3, ["door", "r", 9])
    assert json.loads(payload)["isSystemError"] is True


def recorded(shared_dir, topic):
    text = (shared_dir / "recordings" / "kafka" / f"{topic}.jsonl").read_text()
    return [json.loads(line)["value"] for line in text.splitlines()]


def test_messages_of_a_real_controller_are_read_and_written_alike(shared_dir):
    values = recorded(shared_dir, "invoker0")
    assert values
    for value in values:
        assert json.loads(ActivationMessage.decode(json.dumps(value).encode()).encode()) == value


def test_a_completion_has_the_members_of_a_real_combined_one(shared_dir):
    combined = [value for value in recorded(shared_dir, "completed0") if {"response", "instance"} <= value.keys()]
    assert combined
    for value in combined:
        record = Activation.from_document(json.dumps(value["response"]).encode())
        _, payload = Completion(value["transid"], record).encode(value["instance"])
        assert json.loads(payload) == value
