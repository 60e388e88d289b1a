"""Whole deployments in containers. Their tests come last: images are built while others run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import needs
from tests.support import stack
from tests.support.cluster import Cluster
from tests.support.stack import Stack

FOLDER = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of this folder behind all others; after the plugin that shuffles them."""
    items.sort(key=lambda item: FOLDER in item.path.parents)


@pytest.fixture
def composed() -> Iterator[Stack]:
    """The compose file under a name of its own, not started."""
    needs("images of the stack", stack.available(), stack.HOW)
    one = Stack()
    try:
        yield one
    finally:
        one.remove()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A deployment in containers, for all tests of a module; stopped as its user would, it leaves nothing."""
    needs("images of the stack", stack.available(), stack.HOW)
    one = Cluster()
    try:
        yield one.start()
        one.stop()
        assert one.left() == []
    finally:
        one.remove()
