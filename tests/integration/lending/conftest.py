"""Two or three hosts that lend each other containers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.support.lending import LendingHost
from tests.support.peers import Network


@dataclass
class Cluster:
    """An owner, which has no room, and two others."""

    network: Network
    owner: LendingHost
    one: LendingHost
    two: LendingHost


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """Hosts 0, which has no room, 1 and 2, which has less than 1."""
    network = Network()
    hosts = [LendingHost(network, number) for number in range(3)]
    hosts[0].pool.room, hosts[2].pool.room = 0, 512
    hosts[0].knows(*hosts[1:])
    yield Cluster(network, *hosts)
    for host in hosts:
        await host.close()
