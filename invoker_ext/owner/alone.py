"""What a run asks of other hosts, where there are none."""

from __future__ import annotations

from invoker_ext.sink.datum import Stored


def let_go(stored: Stored) -> None:
    """See `Host.let_go`."""
    stored.release()


async def copy(stored: Stored) -> Stored:
    """See `host.Copy`."""
    stored.retain()
    return stored


def release(run: str) -> None:
    """See `host.Lending.release`: nobody else has anything of it."""
