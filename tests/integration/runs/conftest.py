"""One server a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.deploying import Deployer
from tests.support.server import Server


@pytest.fixture(scope="module")
def live() -> Iterator[Deployer]:
    """A client of a server of the module's own."""
    server = Server()
    try:
        server.start()
        client = server.client()
        yield client
        client.close()
        server.stop()
    finally:
        server.remove()
