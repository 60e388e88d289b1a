"""Servers for tests of the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.server import Server, serving


@pytest.fixture
def make_server() -> Iterator[Callable[..., Server]]:
    """Makes servers of the test's own; arguments as for `Server`."""
    made: list[Server] = []

    def factory(*options: str, **more: Any) -> Server:
        made.append(Server(*options, **more))
        return made[-1]

    yield factory
    for one in made:
        one.remove()


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Server]:
    """A server for all tests of a module, running; at the end it must stop without leaving anything."""
    with serving() as one:
        yield one
