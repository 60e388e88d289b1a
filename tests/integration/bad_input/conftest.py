"""One server a module, and a look after each test whether it goes on serving."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Final

import pytest

from tests.support.deploying import Deployer
from tests.support.processes import child_running, children, command
from tests.support.server import ROLES, Server, serving
from tests.support.waiting import wait_until

HELLO: Final = "def main(args):\n    return {'hello': args.get('name', 'world')}\n"


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A running server; a module says by `ENVIRON` what it sets. At the end it must stop and leave nothing."""
    with serving(environ=getattr(request.module, "ENVIRON", None)) as one:
        with closing(one.client()) as client:
            client.action("hello", HELLO)
        yield one


@pytest.fixture
def live(server: Server) -> Iterator[Deployer]:
    """A client of its own for each test."""
    client = server.client()
    yield client
    client.close()


def held(server: Server) -> str:
    """Return what the server still holds for what is over; nothing is right."""
    usage = server.usage()
    sink = {name: value for name, value in usage["sink"].items() if value}
    below = [command(pid) for pid in server.containers() if children(pid)]
    return "; ".join(filter(None, [f"{usage['runs']} runs" if usage["runs"] else "", str(sink or ""), *below]))


@pytest.fixture(autouse=True)
def goes_on(server: Server, live: Deployer) -> Iterator[None]:
    """Whatever the test did, the server serves on: the same processes, and none that a function left."""
    before = {role: server.process(role) for role in ROLES}
    yield
    assert live.run("hello", name="after") == {"hello": "after"}
    assert {role: child_running(server.pid, module) for role, module in ROLES.items()} == before
    wait_until(lambda: not held(server), 5.0, lambda: f"left behind: {held(server)}")
