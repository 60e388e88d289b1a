"""Fixtures that any test may use."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.support import kafka
from tests.support.leaks import Holdings
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.couchdb import CouchServer

ROOT = Path(__file__).resolve().parent.parent

REST = "tests/contract/rest/"

# How long one example takes says something about the machine's load, not about the code.
# In CI the examples are the same in each run.
settings.register_profile("dataflower", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("dataflower")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Have a process run whole files when tests run side by side, and one of them all of the REST contract.

    A test of that folder looks back on what the others did.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            return REST if nodeid.startswith(REST) else nodeid.partition("::")[0]

    return ByFile(config, log)


def needs(service: str, present: bool, how: str) -> None:
    """Skip the running test where a service is missing; under CI=true fail it.

    Args:
        service: What the test needs.
        present: Whether it is there.
        how: What to do to have it.
    """
    if present:
        return
    reason = f"needs {service}: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture
def shared_dir() -> Path:
    """The folder with test data and recordings that are not part of the repository."""
    folder = Path(os.environ.get("DATAFLOWER_SHARED", ROOT.parent / "shared"))
    needs(
        "the shared test data",
        (folder / "recordings").is_dir(),
        "put it beside the checkout as `shared`, or name its folder in DATAFLOWER_SHARED",
    )
    return folder


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[kafka.Kafka]:
    """One Kafka for all tests that need one; each takes a prefix of its own for its topics."""
    needs("Kafka", kafka.available(), kafka.HOW)
    broker = kafka.Kafka()
    try:
        yield broker.start()
    finally:
        broker.remove()


@pytest.fixture
def mortal_kafka() -> Iterator[kafka.Kafka]:
    """A Kafka that the test may kill and start again."""
    needs("Kafka", kafka.available(), kafka.HOW)
    broker = kafka.Kafka()
    try:
        yield broker.start()
    finally:
        broker.remove()


@pytest.fixture(scope="session")
def couch_server() -> Iterator[CouchServer]:
    """A CouchDB server for all tests; each has databases of its own in it."""
    from tests.support import couchdb, npm_clients

    needs("a CouchDB server for tests", couchdb.installed(), npm_clients.HOW)
    yield from couchdb.running()


@pytest.fixture
def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fail the test if it leaves a descriptor, a thread or a child process behind."""
    gc.collect()
    before = Holdings.now()
    yield
    gc.collect()
    wait_until(
        lambda: not Holdings.now().since(before),
        within_s=5.0,
        message=lambda: f"the test left behind: {Holdings.now().since(before)}",
    )
