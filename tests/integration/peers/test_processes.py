"""Hosts in processes of their own: killed, started again, and what their memory does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import pytest

from tests.support.peer_process import PeerProcess
from tests.support.peering import MIB, QUICK
from tests.support.waiting import wait_until

SLOW = dataclasses.replace(QUICK, credit_bytes=64 * 1024)
"""So little may be under way that a transfer takes long enough to be met in its middle."""


@pytest.fixture
def processes() -> Iterator[Callable[..., PeerProcess]]:
    """A factory of hosts in processes; ended at the end."""
    made: list[PeerProcess] = []

    def make(number: int, *arguments, **options) -> PeerProcess:
        made.append(PeerProcess(number, *arguments, **options))
        return made[-1]

    yield make
    for process in made:
        process.close()


def test_a_quarter_of_a_gigabyte_passes_and_neither_side_grows(processes):
    one, two = processes(0), processes(1)
    two.ask("know", number=0, address=one.address)
    small, large = one.ask("offer", size_bytes=MIB), one.ask("offer", size_bytes=256 * MIB)
    two.ask("pull", ref=small["ref"])
    before = [process.ask("figures")["rss_kib"] for process in (one, two)]

    got = two.ask("pull", ref=large["ref"], check=False)

    after = [one.ask("figures")["rss_kib"], got["rss_kib"]]
    assert "error" not in got
    # A buffer of 1 MiB a connection, and what Python keeps around.
    assert [grown for grown in (now - then for now, then in zip(after, before, strict=True)) if grown > 8 * 1024] == []


def test_a_peer_that_is_killed_in_the_middle_and_started_again_fails_the_transfer_and_serves_the_next(
    processes, free_port
):
    where = f"127.0.0.1:{free_port}"
    one, two = processes(0, where, bounds=SLOW), processes(1, bounds=SLOW)
    two.ask("know", number=0, address=where)
    large = one.ask("offer", size_bytes=64 * MIB)
    two.begin("pull", ref=large["ref"], check=False)
    wait_until(lambda: one.ask("figures")["lent_bytes"], message="a transfer")

    one.kill()
    again = processes(0, where, bounds=SLOW)

    assert "PeerGone" in two.answer()["error"]
    assert two.ask("figures")["lost"] == [0]
    offered = again.ask("offer", size_bytes=MIB)
    assert two.ask("pull", ref=offered["ref"])["digest"] == offered["digest"]


def test_one_who_pulls_and_is_killed_leaves_nothing_behind_at_the_other(processes):
    one, two = processes(0, bounds=SLOW), processes(1, bounds=SLOW)
    two.ask("know", number=0, address=one.address)
    large = one.ask("offer", size_bytes=64 * MIB)
    two.begin("pull", ref=large["ref"], check=False)
    wait_until(lambda: one.ask("figures")["lent_bytes"], message="a transfer")

    two.kill()

    wait_until(lambda: one.ask("figures")["lost"] == [1], message="a loss")
    assert one.ask("figures")["pinned_bytes"] == 0
