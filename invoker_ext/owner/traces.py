"""What a run that is at hand has come to, for who watches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from invoker_ext.owner.run import Run


def trace_of(run: Run) -> dict[str, Any]:
    """Return the firings of a run, and what is at work of them.

    Returns:
        `{"name", "kind", "accepted", "now", "ended", "ids", "live"}`: `ids` are those of all firings so far, `live` has
        the time line of each that is at work, instants are epoch milliseconds.
    """
    clock = run.host.clock
    return {
        "name": run.spec.path.rpartition("/")[2],
        "kind": run.graph.kind.value,
        "accepted": clock.epoch_ms(run.accepted),
        "now": clock.epoch_ms(clock.now()),
        "ended": run.over,
        "ids": list(run.own_tally.ids),
        "live": run.firings.time_lines(),
    }
