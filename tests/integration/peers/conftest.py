"""Hosts on the running loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.support.peering import Host


@pytest.fixture
async def hosts(no_leaks, tmp_path) -> AsyncIterator[Callable[..., Awaitable[Host]]]:
    """A factory of started hosts: number, and what else differs. Closed, and checked for leaks, at the end."""
    made: list[Host] = []

    async def make(number, **options) -> Host:
        made.append(Host(number, tmp_path, **options))
        return await made[-1].start()

    yield make
    for host in made:
        await host.close()


@pytest.fixture
async def pair(hosts) -> tuple[Host, Host]:
    """Two hosts that know each other."""
    one, two = await hosts(0), await hosts(1)
    return one.knows(two), two.knows(one)
