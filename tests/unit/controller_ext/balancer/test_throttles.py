from __future__ import annotations

import pytest

from controller_ext.balancer.throttles import Throttles, share

MINUTE_MS = 60_000


def test_the_limit_itself_is_allowed_and_one_more_is_not():
    throttles = Throttles()
    assert [throttles.check("ns", 2, 10, 0) for _ in range(2)] == [None, None]
    assert throttles.check("ns", 2, 10, 0) == "Too many requests in the last minute (count: 3, allowed: 2)."


def test_refused_requests_count_too():
    throttles = Throttles()
    for _ in range(3):
        throttles.check("ns", 0, 10, 0)
    assert throttles.check("ns", 0, 10, 0) == "Too many requests in the last minute (count: 4, allowed: 0)."


def test_a_new_clock_minute_starts_from_nothing():
    throttles = Throttles()
    throttles.check("ns", 1, 10, MINUTE_MS - 1)
    assert throttles.check("ns", 1, 10, MINUTE_MS) is None


def test_namespaces_do_not_share_their_counts():
    throttles = Throttles()
    throttles.check("a", 1, 10, 0)
    assert throttles.check("b", 1, 10, 0) is None


def test_fires_and_invocations_do_not_share_their_counts():
    throttles = Throttles()
    assert throttles.check("ns", 1, 10, 0) is None
    assert throttles.check_fire("ns", 1, 0) is None
    assert throttles.check_fire("ns", 1, 0) == "Too many requests in the last minute (count: 2, allowed: 1)."
    assert throttles.check_fire("other", 1, 0) is None
    assert throttles.check_fire("ns", 1, MINUTE_MS) is None


def test_what_is_in_flight_bounds_what_may_begin():
    throttles = Throttles()
    throttles.began("ns")
    refusal = throttles.check("ns", 10, 1, 0)
    assert refusal == "Too many concurrent requests in flight (count: 1, allowed: 1)."
    throttles.ended("ns")
    assert throttles.check("ns", 10, 1, 0) is None


def test_the_minute_is_looked_at_first():
    throttles = Throttles()
    throttles.began("ns")
    assert "last minute" in str(throttles.check("ns", 0, 0, 0))


def test_a_namespace_without_anything_in_flight_is_forgotten():
    throttles = Throttles()
    throttles.began("ns")
    throttles.ended("ns")
    assert throttles.in_flight() == 0
    assert not throttles._in_flight


@pytest.mark.parametrize(
    ("limit", "controllers", "allowed"),
    [(60, 1, 60), (60, 2, 36), (60, 3, 24), (1, 2, 1), (1, 5, 1), (0, 2, 0), (7, 2, 4), (100, 7, 17)],
)
def test_controllers_share_a_limit_as_by_stock(limit: int, controllers: int, allowed: int):
    assert share(limit, controllers) == allowed


def test_a_controller_that_comes_or_goes_changes_what_is_allowed():
    throttles = Throttles()
    throttles.divide(2)
    assert throttles.check("ns", 3, 3, 0) is None
    assert throttles.check("ns", 3, 3, 0) is None
    assert throttles.check("ns", 3, 3, 0) == "Too many requests in the last minute (count: 3, allowed: 2)."
    assert [throttles.check_fire("ns", 1, 0), bool(throttles.check_fire("ns", 1, 0))] == [None, True]
    throttles.divide(1)
    assert throttles.check("ns", 4, 3, 0) is None
    for _ in range(2):
        throttles.began("ns")
    throttles.divide(2)
    assert str(throttles.check("ns", 100, 3, 0)).endswith("in flight (count: 2, allowed: 2).")


def test_what_stocks_events_tell_of_a_decision_is_noted():
    throttles = Throttles()
    throttles.check("ns", 3, 2, 0)
    assert throttles.metric == ("ConcurrentInvocations", 1)
    throttles.began("ns")
    throttles.check("ns", 3, 2, 0)
    assert throttles.metric == ("ConcurrentInvocations", 2)
    throttles.began("ns")
    throttles.check("ns", 3, 2, 0)
    assert throttles.metric == ("ConcurrentRateLimit", 1)
    throttles.check("ns", 3, 2, 0)
    assert throttles.metric == ("TimedRateLimit", 1)
    fires = []
    for _ in range(2):
        throttles.check_fire("ns", 1, 0)
        fires.append(throttles.metric)
    assert fires == [None, ("TimedRateLimit", 1)]
