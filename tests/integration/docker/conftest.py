"""Containers of a real Docker engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import engine
from tests.support.drivers import Docker, needs_engine
from tests.support.server import Server


@pytest.fixture
def world(tmp_path: Path) -> Docker:
    """An invoker's part of the engine."""
    needs_engine()
    return Docker(tmp_path / "home")


@pytest.fixture
def make_server() -> Iterator[Callable[..., Server]]:
    """Makes servers whose containers are Docker's; arguments as for `Server`."""
    needs_engine()
    made: list[Server] = []
    kinds = f"python:3=image:{engine.image('python')},nodejs:20=image:{engine.image('nodejs')}"

    def factory(*options: str, **environ: Any) -> Server:
        environ = {"DATAFLOWER_INVOKER_KINDS": kinds, **environ}
        made.append(Server("--driver", "docker", *options, environ=environ))
        return made[-1]

    yield factory
    for one in made:
        one.remove()
