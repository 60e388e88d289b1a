"""How a worker sends again when connections to the balancer break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from action_runtime.wire.errors import PeerLost
from action_runtime.wire.frames import Frame, FrameKind
from controller_ext.balancer.client import BalancerClient, DefaultLimits, Results
from controller_ext.runs.ports import Accepted, BalancerUnavailable, Ended, Needs
from invoker_ext.contract.messages import ActivationMessage, Completion
from invoker_ext.contract.records import Activation
from tests.support.fake_invoker import a_record
from tests.support.messages import a_message


class BreakingPool:
    """A pool and its only connection, which breaks when something is received, so many times; then runs are accepted.

    Attributes:
        sent: How often something was.
    """

    def __init__(self, message: ActivationMessage, breaks: int) -> None:
        self.connection = self
        self.sent = 0
        self._message = message
        self._breaks = breaks

    def borrow(self, deadline: float) -> BreakingPool:
        return self

    def __enter__(self) -> BreakingPool:
        return self

    def __exit__(self, *_: object) -> None:
        """Give nothing back."""

    def keep(self) -> None:
        """Keep nothing."""

    def drop_idle(self) -> None:
        """Drop nothing."""

    def close(self) -> None:
        """Close nothing."""

    def send(self, content: bytes, deadline: float) -> None:
        self.sent += 1

    def receive(self, deadline: float) -> Frame:
        if self.sent <= self._breaks:
            raise PeerLost("gone")
        return Frame(FrameKind.ACCEPTED, {"i": self._message.activation_id})


class Pauses:
    """Stands for the event that ends pauses; notes their lengths in seconds."""

    def __init__(self) -> None:
        self.lengths: list[float] = []
        self.closing_at = 1 << 30

    def wait(self, timeout_s: float) -> bool:
        self.lengths.append(timeout_s)
        return len(self.lengths) >= self.closing_at

    def set(self) -> None:
        """End nothing."""


Look = Callable[[str, str], Activation | None]


def a_client(pool: BreakingPool, lookup: Look = lambda *_: None) -> tuple[BalancerClient, Pauses]:
    client: Any = BalancerClient(Path("/nowhere"), token="t", defaults=DefaultLimits(1, 1, 1), lookup=lookup)
    client._pool, client._closing = pool, Pauses()
    return client, client._closing


def test_a_run_that_ended_is_found_before_it_is_sent_again():
    message = a_message()
    pool = BreakingPool(message, breaks=1)
    client, _ = a_client(pool, lambda namespace, activation_id: a_record(message))
    ended = client.invoke(message, Needs(memory_mb=256), wait_s=1.0)
    assert isinstance(ended, Ended)
    assert ended.activation == a_record(message)
    assert pool.sent == 1


class NamingPool(BreakingPool):
    """Answers with a completion that names the door at which its result is pulled."""

    def receive(self, deadline: float) -> Frame:
        record = replace(a_record(self._message), result=None)
        headers, payload = Completion(["#t", 0], record, ("tcp://h:1", "guest/run", 70_000)).encode({})
        return Frame(FrameKind.ENDED, {"i": headers["id"], **headers}, payload)


def test_a_result_that_an_invoker_holds_is_put_in_for_whoever_waits():
    message = a_message()
    client, _ = a_client(NamingPool(message, breaks=0))
    pulled = []

    def pull(*what: object) -> list[bytes]:
        pulled.append(what)
        return [b'{"n":', b"1}"]

    client._results = Results(pull=pull)
    ended = client.invoke(message, Needs(memory_mb=256), wait_s=1.0)

    assert ended == Ended(replace(a_record(message), result=b'{"n":1}'))
    assert pulled == [("tcp://h:1", "guest/run", 70_000)]


def test_a_result_whose_invoker_is_out_of_reach_is_awaited_from_the_store():
    message = a_message()
    found = [None, a_record(message)]
    client, pauses = a_client(NamingPool(message, breaks=0), lambda *_: found.pop(0))

    ended = client.invoke(message, Needs(memory_mb=256), wait_s=1.0)

    assert ended == Ended(a_record(message))
    assert len(pauses.lengths) == 1


def test_the_store_is_not_asked_while_nothing_breaks():
    message = a_message()
    pool = BreakingPool(message, breaks=0)

    def ask(namespace: str, activation_id: str) -> Activation | None:
        raise AssertionError(activation_id)

    client, pauses = a_client(pool, ask)
    assert client.invoke(message, Needs(memory_mb=256), wait_s=None) == Accepted(message.activation_id)
    assert pauses.lengths == []


def test_pauses_between_sendings_grow_from_the_second_break_on_and_are_bounded():
    message = a_message()
    pool = BreakingPool(message, breaks=9)
    client, pauses = a_client(pool)
    assert client.invoke(message, Needs(memory_mb=256), wait_s=None) == Accepted(message.activation_id)
    assert pauses.lengths == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_who_waits_to_send_again_gives_up_when_the_client_is_closed():
    message = a_message()
    pool = BreakingPool(message, breaks=9)
    client, pauses = a_client(pool)
    pauses.closing_at = 2
    with pytest.raises(BalancerUnavailable, match="stopping"):
        client.invoke(message, Needs(memory_mb=256), wait_s=None)
    assert pool.sent == 3
