from __future__ import annotations

from controller_ext.balancer.unclaimed import KEEP_S, MAX_BYTES, Unclaimed
from invoker_ext.bus import Message


def test_a_completion_is_handed_out_once():
    unclaimed = Unclaimed()
    unclaimed.keep("a", Message(b"x"), 0.0)
    assert unclaimed.claim("a") == Message(b"x")
    assert unclaimed.claim("a") is None


def test_the_first_completion_of_an_activation_wins():
    unclaimed = Unclaimed()
    unclaimed.keep("a", Message(b"first"), 0.0)
    unclaimed.keep("a", Message(b"second"), 0.0)
    assert unclaimed.claim("a") == Message(b"first")


def test_what_nobody_asks_for_in_time_is_forgotten():
    unclaimed = Unclaimed()
    unclaimed.keep("a", Message(b"x"), 0.0)
    unclaimed.expire(KEEP_S)
    unclaimed.keep("b", Message(b"x"), KEEP_S)
    unclaimed.expire(KEEP_S + 1)
    assert unclaimed.claim("a") is None
    assert unclaimed.claim("b") is not None


def test_the_oldest_make_room():
    unclaimed = Unclaimed()
    half = Message(bytes(MAX_BYTES // 2))
    for name in "abc":
        unclaimed.keep(name, half, 0.0)
    assert unclaimed.claim("a") is None
    assert unclaimed.claim("c") is not None


def test_a_completion_above_the_bound_is_not_kept():
    unclaimed = Unclaimed()
    unclaimed.keep("a", Message(bytes(MAX_BYTES + 1)), 0.0)
    assert unclaimed.claim("a") is None
