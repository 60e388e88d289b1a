"""A fresh server, and clients that see nothing of the machine but their own folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.conftest import needs
from tests.support import npm_clients
from tests.support.commands import Command, alone
from tests.support.deploying import KEY
from tests.support.server import Server, serving

AUTH: Final = ":".join(KEY)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server for all tests of a module; at the end it must stop as it should."""
    with serving() as one:
        yield one


@pytest.fixture(scope="session")
def npm_modules():
    """The folder of the clients from npm."""
    needs("the clients from npm", npm_clients.installed(), npm_clients.HOW)
    return npm_clients.modules()


@pytest.fixture
def aio(server, npm_modules, tmp_path):
    """The `aio` command, at its group `runtime`, with the settings of `wsk` in its home."""
    (tmp_path / ".wskprops").write_text(f"APIHOST={server.url}\nAUTH={AUTH}\nNAMESPACE=guest\n")
    # What changes entities goes through a service of Adobe's unless it is told to use the key of the runtime.
    quiet = {"AIO_TELEMETRY_DISABLED": "true", "AIO_SKIP_NEW_VERSION_CHECK": "true"}
    environ = {**alone(tmp_path), **quiet, "USE_RUNTIME_AUTH": "true"}
    return Command(["node", npm_modules / "@adobe" / "aio-cli" / "bin" / "run", "runtime"], environ, tmp_path)
