"""A sink on the running loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from invoker_ext.sink.reserve import SinkSettings
from invoker_ext.sink.sink import Sink
from invoker_ext.sink.terms import Limits

MIB = 1 << 20


@pytest.fixture
async def sinks(no_leaks, tmp_path) -> AsyncIterator[Callable[..., Sink]]:
    """A factory: budget in bytes, and what else differs. Closed, and checked for leaks, at the end."""
    made: list[Sink] = []

    def make(budget_bytes=64 * MIB, on_stuck=None, spill=True, spare_bytes=0, **limits) -> Sink:
        settings = SinkSettings(
            limits=Limits(
                **{"budget_bytes": budget_bytes, "segments": 500, "spill_bytes": spill and 1024 * MIB, **limits}
            ),
            spare_bytes=spare_bytes,
            spill_folder=tmp_path / "spill",
        )
        made.append(Sink(settings, asyncio.get_running_loop(), on_stuck))
        return made[-1]

    yield make
    for sink in made:
        sink.close()
