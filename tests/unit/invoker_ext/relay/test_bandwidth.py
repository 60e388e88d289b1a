from __future__ import annotations

from invoker_ext.relay.bandwidth import Bandwidth


def test_nothing_is_known_before_anything_moved():
    assert Bandwidth().bytes_per_s(5.0) is None


def test_only_the_time_in_which_something_was_to_be_moved_counts():
    bandwidth = Bandwidth()
    bandwidth.began(0.0)
    bandwidth.moved(1.0, 100, more=False)
    bandwidth.began(5.0)
    bandwidth.moved(6.0, 300, more=False)

    assert bandwidth.bytes_per_s(6.0) == 200.0


def test_overlapping_moves_share_the_time():
    bandwidth = Bandwidth()
    bandwidth.began(0.0)
    bandwidth.began(0.5)
    bandwidth.moved(1.0, 100, more=True)
    bandwidth.moved(2.0, 100, more=False)

    assert bandwidth.bytes_per_s(2.0) == 100.0


def test_a_move_that_does_not_arrive_lowers_it():
    bandwidth = Bandwidth()
    bandwidth.began(0.0)
    bandwidth.moved(1.0, 100, more=True)

    assert bandwidth.bytes_per_s(2.0) == 50.0


def test_what_is_older_than_the_window_is_forgotten():
    bandwidth = Bandwidth(window_s=10.0)
    bandwidth.began(0.0)
    bandwidth.moved(1.0, 1_000_000, more=False)
    bandwidth.began(20.0)
    bandwidth.moved(21.0, 10, more=False)

    assert bandwidth.bytes_per_s(21.0) == 10.0


def test_an_idle_container_keeps_its_last_known_bandwidth():
    bandwidth = Bandwidth(window_s=10.0)
    bandwidth.began(0.0)
    bandwidth.moved(1.0, 100, more=False)

    assert bandwidth.bytes_per_s(100.0) == 100.0


def test_a_move_that_was_given_up_does_not_count():
    bandwidth = Bandwidth()
    bandwidth.began(0.0)
    bandwidth.moved(1.0, 100, more=True)
    bandwidth.stopped()

    assert bandwidth.bytes_per_s(9.0) == 100.0
