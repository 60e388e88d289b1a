"""Control flow without processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.control_flow import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A control flow over a scripted balancer."""
    bench = Bench()
    yield bench
    bench.flow.close()
