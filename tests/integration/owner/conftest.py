"""Owners for tests, one after the other on the same folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.owning import Make, Owning, an_owner


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Makes owners, one after the other, on the same folder."""
    made: list[Owning] = []

    def factory(**more: Any) -> Owning:
        made.append(an_owner(tmp_path, **more))
        return made[-1]

    yield factory
    for one in made:
        await one.close()
