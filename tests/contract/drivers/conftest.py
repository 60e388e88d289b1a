"""Every driver of containers, by one name; each test runs against all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.drivers import WORLDS, World, needs_engine


@pytest.fixture(params=sorted(WORLDS))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A way to have containers."""
    if request.param == "docker":
        needs_engine()
    return WORLDS[request.param](tmp_path / "home")
