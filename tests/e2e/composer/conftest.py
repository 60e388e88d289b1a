"""Composer's commands and a server whose node has what conductors require."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import needs
from tests.support import npm_clients
from tests.support.composer.deploying import Composer, node_prefix, path_with
from tests.support.deploying import Deployer
from tests.support.server import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    """A server for all tests of a module; at the end it must stop as it should."""
    needs("Composer from npm", npm_clients.installed(npm_clients.COMPOSER), npm_clients.HOW)
    folder = node_prefix(tmp_path_factory.mktemp("node"))
    with serving(environ={"PATH": path_with(folder), "DATAFLOWER_INVOKER_INLINE_TIME_S": "0.5"}) as one:
        yield one


@pytest.fixture(scope="module")
def live(server) -> Iterator[Deployer]:
    """A client of the server."""
    client = server.client()
    yield client
    client.close()


@pytest.fixture(scope="module")
def composer(server, tmp_path_factory) -> Composer:
    """Composer's commands, at this server."""
    return Composer(tmp_path_factory.mktemp("composer"), server.url)
