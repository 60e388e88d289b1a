"""What the balancer makes of a message on its topic; against a peer: tests/integration/balancer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller_ext.balancer.told import told
from invoker_ext.bus import Message
from invoker_ext.contract.acks import KEPT, OVER, RESULT, acknowledgements
from invoker_ext.contract.messages import Completion
from tests.support.fake_invoker import a_record
from tests.support.messages import a_message

MESSAGE = a_message()
INSTANCE = {"instance": 3, "instanceType": "invoker", "userMemory": "1 B"}


def said(*, blocking: bool = True, headed: bool = True, status: int = 0) -> list[Message]:
    """Return what an invoker says of an activation, ours (with headers) or stock's."""
    completion = Completion(["t", 1], a_record(MESSAGE, b'{"a": 1}', status))
    sent = acknowledgements(completion, blocking=blocking, instance=INSTANCE, bound=10_000)
    return [Message(payload, headers if headed else {}, 7) for headers, payload in sent]


def result_of(message: Message) -> Any:
    at, length = message.headers["at"], message.headers["n"]
    return json.loads(bytes(message.payload)[at : at + length])


@pytest.mark.parametrize("headed", [True, False])
def test_a_result_and_an_end_are_told_apart(headed: bool):
    first, second = map(told, said(headed=headed))
    assert (first.over, first.whole, second.over, second.whole) == (False, True, True, False)
    assert (first.message.headers["ack"], second.message.headers["ack"]) == (RESULT, OVER)
    assert first.run == second.run == MESSAGE.activation_id
    assert result_of(first.message) == {"a": 1}


@pytest.mark.parametrize("headed", [True, False])
def test_a_combined_message_is_both(headed: bool):
    [both] = map(told, said(headed=headed, status=3))
    assert (both.over, both.whole, both.system_error) == (True, True, True)
    assert "ack" not in both.message.headers
    assert result_of(both.message) == {"a": 1}


def test_of_stock_it_is_known_who_says_so_and_in_which_transaction():
    [over] = map(told, said(blocking=False, headed=False))
    assert (over.instance, over.transid) == (3, ["t", 1])


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'{"transid": [], "response": {"activationId": "a"}}'])
def test_anything_else_is_refused(payload: bytes):
    with pytest.raises(ValueError, match=r".*"):
        told(Message(payload))


def test_an_owner_that_has_a_run_says_no_more():
    known = told(Message(b"{}", {"id": "a", "ack": KEPT}))
    assert (known.run, known.kept, known.over, known.whole) == ("a", True, False, False)
