import pytest

from invoker_ext.containers.pressure import blended, pressure_s, reuse_delay_s


def test_pressure_is_the_time_to_drain_less_the_time_of_the_function():
    assert pressure_s(100, 50.0, 0.5) == pytest.approx(1.5)
    assert pressure_s(100, 1000.0, 0.5) < 0


@pytest.mark.parametrize("args", [(-1, 1.0, 0.0), (1, 0.0, 0.0), (1, 1.0, -1.0)])
def test_values_that_cannot_be_are_refused(args):
    with pytest.raises(ValueError, match="negative"):
        pressure_s(*args)


def test_nothing_is_delayed_where_nothing_is_known_or_waits():
    assert reuse_delay_s(0, 10.0, 0.0) == 0.0
    assert reuse_delay_s(10, None, 0.0) == 0.0
    assert reuse_delay_s(10, 0.0, 0.0) == 0.0


def test_only_positive_pressure_delays():
    assert reuse_delay_s(10, 10.0, 5.0) == 0.0
    assert reuse_delay_s(100, 10.0, 5.0) == pytest.approx(5.0)


def test_a_mean_begins_with_its_first_sample_and_follows_the_next():
    assert blended(None, 2.0) == 2.0
    assert blended(2.0, 4.0) == pytest.approx(2.4)
