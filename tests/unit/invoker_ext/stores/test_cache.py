"""What a store keeps in memory, and what of it outlives an outage."""

import pytest

from invoker_ext.store import StoreUnavailable
from invoker_ext.stores.cache import Cache, Known

KEY = ("entity", "guest/a")


def away():
    raise StoreUnavailable("away")


@pytest.mark.parametrize("lasting", [True, False])
def test_what_was_dropped_last_stays_in_use_during_an_outage_where_that_is_wanted(lasting):
    versions = [1]
    cache = Cache(lambda: versions[-1], lasting=lasting)
    assert cache.get(KEY, lambda: "old") == "old"
    versions.append(2)

    if lasting:
        assert cache.get(KEY, away) == "old"
        versions.append(3)
        assert cache.get(KEY, away) == "old"
    else:
        with pytest.raises(StoreUnavailable):
            cache.get(KEY, away)
    assert cache.get(KEY, lambda: "new") == "new"


def test_all_that_was_read_outlives_changes_of_which_only_a_part_was_read_again():
    versions = [1]
    cache = Cache(lambda: versions[-1], lasting=True)
    other = ("subject", "guest")
    assert cache.get(KEY, lambda: "action") == "action"
    assert cache.get(other, lambda: "subject") == "subject"
    versions.append(2)
    assert cache.get(KEY, lambda: "newer") == "newer"
    versions.append(3)

    assert [cache.get(KEY, away), cache.get(other, away)] == ["newer", "subject"]


def test_what_changes_while_it_is_read_is_returned_and_read_again_but_there_in_an_outage():
    versions = [1]
    cache = Cache(lambda: versions[-1], lasting=True)

    def changing():
        versions.append(2)
        return "between"

    assert cache.get(KEY, changing) == "between"
    assert cache.get(KEY, away) == "between"
    assert cache.get(KEY, lambda: "new") == "new"


def test_what_was_read_late_does_not_take_the_place_of_what_is_newer():
    versions = [1]
    cache = Cache(lambda: versions[-1], lasting=True)

    def late():
        versions.append(2)
        assert cache.get(KEY, lambda: "new") == "new"
        return "old"

    assert cache.get(KEY, late) == "old"
    assert cache.get(KEY, away) == "new"


def test_what_is_known_to_be_gone_does_not_come_back_in_an_outage():
    versions = [1]
    cache = Cache(lambda: versions[-1], lasting=True)
    assert cache.get(KEY, lambda: "old") == "old"
    versions.append(2)
    assert cache.get(KEY, lambda: None) is None

    with pytest.raises(StoreUnavailable):
        cache.get(KEY, away)


def test_what_is_known_to_be_gone_is_not_brought_back_by_a_read_that_began_before():
    versions = [1]
    cache = Cache(lambda: versions[-1], lasting=True)

    def late():
        versions.append(2)
        assert cache.get(KEY, lambda: None) is None
        return "revoked"

    assert cache.get(KEY, late) == "revoked"
    with pytest.raises(StoreUnavailable):
        cache.get(KEY, away)


def test_a_read_that_fails_gives_what_another_one_has_found_meanwhile():
    versions = [1]
    cache = Cache(lambda: versions[-1], lasting=True)
    assert cache.get(KEY, lambda: "old") == "old"
    versions.append(2)

    def fails():
        assert cache.get(KEY, lambda: "new") == "new"
        raise StoreUnavailable("away")

    assert cache.get(KEY, fails) == "new"


def test_what_was_read_late_does_not_take_the_place_of_what_is_newer_though_that_is_out_of_date_by_then():
    versions = [1]
    cache = Cache(lambda: versions[-1], lasting=True)

    def late():
        versions.append(2)
        assert cache.get(KEY, lambda: "new") == "new"
        versions.append(3)
        return "old"

    assert cache.get(KEY, late) == "old"
    assert cache.get(KEY, away) == "new"


def test_where_versions_are_never_equal_nothing_is_kept():
    cache = Cache(object)
    assert [cache.get(KEY, lambda: "one"), cache.get(KEY, lambda: "two")] == ["one", "two"]
    assert len(cache._values) == 0


def test_of_what_is_known_only_the_latest_is_kept():
    known = Known(most=2)
    for text in ("a", "b", "a", "c"):
        known.add(text)

    assert [text in known for text in ("a", "b", "c")] == [False, True, True]
