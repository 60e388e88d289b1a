from invoker_ext.sink.orphans import Orphan, Orphans

TTL_S = 10.0


def none_live(run: str) -> bool:
    return False


def test_data_without_a_run_are_overdue_once_their_time_is_over():
    orphans = Orphans(TTL_S)

    assert orphans.overdue({"a/1": 5}, none_live, 100.0) == []
    assert orphans.overdue({"a/1": 5}, none_live, 109.9) == []
    assert orphans.overdue({"a/1": 7}, none_live, 110.0) == [Orphan("a/1", 7)]


def test_data_of_a_live_run_are_never_overdue():
    orphans = Orphans(TTL_S)

    for at in range(100):
        assert orphans.overdue({"a/1": 5}, {"1"}.__contains__, float(at)) == []


def test_the_time_counts_from_the_end_of_the_run():
    orphans = Orphans(TTL_S)
    orphans.overdue({"a/1": 5}, {"1"}.__contains__, 0.0)

    assert orphans.overdue({"a/1": 5}, none_live, 20.0) == []
    assert orphans.overdue({"a/1": 5}, none_live, 30.0) == [Orphan("a/1", 5)]


def test_a_run_that_is_live_again_starts_its_time_anew():
    orphans = Orphans(TTL_S)
    orphans.overdue({"a/1": 5}, none_live, 0.0)
    orphans.overdue({"a/1": 5}, {"1"}.__contains__, 5.0)

    assert orphans.overdue({"a/1": 5}, none_live, 12.0) == []


def test_what_is_gone_in_between_is_forgotten():
    orphans = Orphans(TTL_S)
    orphans.overdue({"a/1": 5}, none_live, 0.0)
    orphans.overdue({}, none_live, 5.0)

    assert orphans.overdue({"a/1": 5}, none_live, 10.0) == []


def test_data_that_belong_to_no_run_at_all_are_the_invokers_own():
    orphans = Orphans(TTL_S)
    held = {"": 1, "guest": 2, "guest/": 3}

    assert orphans.overdue(held, none_live, 0.0) == orphans.overdue(held, none_live, 99.0) == []


def test_several_are_told_in_order():
    orphans = Orphans(TTL_S)
    held = {"b/1": 1, "a/2": 2}
    orphans.overdue(held, none_live, 0.0)

    assert orphans.overdue(held, none_live, 10.0) == [Orphan("a/2", 2), Orphan("b/1", 1)]
