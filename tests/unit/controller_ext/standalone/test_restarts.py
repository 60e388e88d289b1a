from __future__ import annotations

from controller_ext.standalone.restarts import MAX_DEATHS, WINDOW_S, RestartPolicy


def test_a_first_death_is_followed_by_a_start_at_once():
    assert RestartPolicy().died(0.0) == 0.0


def test_further_deaths_are_followed_by_growing_waits():
    policy = RestartPolicy()
    delays = [policy.died(float(at)) or 0.0 for at in range(MAX_DEATHS - 1)]
    assert delays == sorted(delays)
    assert len(set(delays)) == len(delays)


def test_many_deaths_in_a_short_time_are_a_crash_loop():
    policy = RestartPolicy()
    assert [policy.died(0.0) is None for _ in range(MAX_DEATHS)] == [False] * (MAX_DEATHS - 1) + [True]


def test_deaths_far_apart_are_not():
    policy = RestartPolicy()
    assert [policy.died(at * (WINDOW_S + 1)) for at in range(20)] == [0.0] * 20
