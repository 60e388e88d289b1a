from __future__ import annotations

import json

import pytest

from controller_ext.balancer.cluster import MISSED, SETTLED, Cluster, MalformedPresence, Presence

OWN = Presence("1", "own")
FIRST = Presence("0", "other")
LAST = Presence("2", "other")


def a_cluster(*others: Presence, own_heard: int = SETTLED) -> Cluster:
    cluster = Cluster(OWN)
    for other in others:
        cluster.heard(other)
    for _ in range(own_heard):
        cluster.heard(OWN)
    return cluster


def test_a_controller_alone_is_one():
    assert a_cluster().size == 1


def test_a_controller_that_is_heard_counts_once():
    cluster = a_cluster()
    assert [cluster.heard(FIRST), cluster.heard(FIRST), cluster.heard(LAST)] == [True, False, True]
    assert cluster.size == 3


def test_a_controller_that_leaves_says_so():
    cluster = a_cluster(FIRST)
    assert cluster.heard(Presence("0", "other", leaves=True))
    assert cluster.size == 1
    assert not cluster.heard(Presence("0", "other", leaves=True))


def test_a_controller_that_is_silent_while_we_hear_ourselves_is_gone():
    cluster = a_cluster(FIRST, own_heard=0)
    assert not any(cluster.heard(OWN) for _ in range(MISSED))
    assert cluster.heard(OWN)
    assert cluster.size == 1


def test_whoever_is_heard_is_not_missed():
    cluster = a_cluster(FIRST, own_heard=0)
    for _ in range(3):
        assert not any(cluster.heard(OWN) for _ in range(MISSED))
        cluster.heard(FIRST)
    assert cluster.size == 2


def test_one_that_was_started_again_is_the_same_one():
    cluster = a_cluster(FIRST)
    assert not cluster.heard(Presence("0", "started again"))
    assert cluster.size == 2


@pytest.mark.parametrize(("others", "leads"), [((), True), ((LAST,), True), ((FIRST,), False), ((FIRST, LAST), False)])
def test_the_first_of_all_leads(others: tuple[Presence, ...], leads: bool):
    assert a_cluster(*others).leads is leads


def test_nobody_leads_before_it_knows_of_the_others():
    assert not a_cluster(own_heard=SETTLED - 1).leads


def test_another_process_of_the_same_name_is_told_apart_and_does_not_count():
    cluster = a_cluster()
    double = Presence("1", "stranger")
    assert (cluster.doubles(double), cluster.doubles(OWN), cluster.doubles(FIRST)) == (True, False, False)
    assert not cluster.heard(double)


@pytest.mark.parametrize(("life", "settled", "stays"), [("z", True, False), ("a", False, False), ("z", False, True)])
def test_of_two_of_one_name_the_later_one_gives_way(life: str, settled: bool, stays: bool):
    cluster, double = Cluster(OWN), Presence("1", life, settled=settled)
    assert not cluster.gives_way(double)  # it may have been the last word of one that was killed
    cluster.heard(OWN)
    assert cluster.gives_way(double) is not stays


def test_who_is_there_gives_way_to_nobody():
    cluster = a_cluster()
    assert not any(cluster.gives_way(Presence("1", "a")) for _ in range(5))


def test_others_and_ourselves_displace_nobody():
    cluster = Cluster(OWN)
    leaving = Presence("1", "a", leaves=True)
    assert not any(cluster.gives_way(said) for said in (OWN, FIRST, leaving) for _ in range(5))


def test_a_controller_that_does_not_say_whether_it_is_settled_is():
    said = json.dumps({"controller": "1", "life": "a", "leaves": False}).encode()
    assert Presence.decode(said) == Presence("1", "a", settled=True)


def test_what_is_said_is_read():
    assert Presence.decode(LAST.encode()) == LAST


@pytest.mark.parametrize("document", [3, [], {}, {"controller": 1, "life": "a", "leaves": False}, {"controller": "1"}])
def test_anything_else_is_malformed(document: object):
    with pytest.raises(MalformedPresence):
        Presence.decode(json.dumps(document).encode())
