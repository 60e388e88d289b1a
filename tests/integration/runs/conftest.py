"""One server a module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.deploying import Deployer
from tests.support.server import serving


@pytest.fixture(scope="module")
def live() -> Iterator[Deployer]:
    """A client of a server of the module's own."""
    with serving() as server, closing(server.client()) as client:
        yield client
