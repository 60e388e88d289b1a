"""What invokers know of each other."""

from __future__ import annotations

import pytest

from invoker_ext.contract.told import TAG, Told
from invoker_ext.lending.hosts import SILENT_S, Hosts

TOLD = Told("10.0.0.1:7000", 5, 768)


def test_what_an_invoker_tells_passes_through_the_tags_of_its_ping():
    assert Told.of(("dataflow", TOLD.tag(), "gpu")) == TOLD


def test_an_address_of_ipv6_passes_too():
    told = Told("[::1]:7000", 1, -256)

    assert Told.of((told.tag(),)) == told


@pytest.mark.parametrize(
    "tags", [(), ("dataflow",), (TAG,), (TAG + "2;1;1;a:1",), (TAG + "1;x;1;a:1",), (TAG + "1;1",)]
)
def test_other_tags_tell_nothing(tags):
    assert Told.of(tags) is None


def test_an_invoker_has_the_room_that_it_told_less_what_was_lent_since():
    hosts = Hosts(0, 1)
    hosts.pinged(1, TOLD, 10.0)

    hosts.took(1, 256)

    assert hosts.room_mb(11.0) == {1: 512}
    hosts.pinged(1, TOLD, 12.0)
    assert hosts.room_mb(12.0) == {1: 768}


def test_an_invoker_that_is_silent_or_away_gets_nothing_until_its_next_ping():
    hosts = Hosts(0, 1)
    hosts.pinged(1, TOLD, 10.0)
    assert hosts.room_mb(10.0 + SILENT_S + 0.1) == {}

    hosts.pinged(1, TOLD, 30.0)
    hosts.left(1)
    assert hosts.room_mb(30.0) == {}
    hosts.pinged(1, TOLD, 31.0)
    assert hosts.room_mb(31.0) == {1: 768}


def test_another_life_of_an_invoker_is_noticed_once():
    hosts = Hosts(0, 1)

    assert not hosts.pinged(1, TOLD, 1.0)
    assert not hosts.pinged(1, TOLD, 2.0)
    assert hosts.pinged(1, Told("10.0.0.1:7000", 6, 768), 3.0)
    assert not hosts.pinged(1, Told("10.0.0.1:7000", 6, 768), 4.0)


def test_what_an_earlier_life_of_an_invoker_says_holds_no_more():
    hosts = Hosts(0, 1)
    hosts.pinged(1, TOLD, 1.0)

    assert hosts.outlived(1, Told("10.0.0.1:7000", 4, 768))
    assert not hosts.outlived(1, TOLD)
    assert not hosts.outlived(1, Told("10.0.0.1:7000", 6, 768))
    assert not hosts.outlived(2, Told("10.0.0.2:7000", 1, 768))


def test_an_invoker_does_not_lend_from_itself():
    hosts = Hosts(1, 1)

    hosts.pinged(1, TOLD, 1.0)

    assert hosts.room_mb(1.0) == {}
