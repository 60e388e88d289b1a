"""How far a container's data unit stays behind its function unit, and what follows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_WEIGHT: Final = 0.2
"""Of the newest sample: five firings decide, one outlier does not."""
_LEAST_WINDOW_S: Final = 0.000_5
"""Windows below this are scheduling, not transfer: they say nothing about bandwidth."""


def blended(old: float | None, sample: float) -> float:
    """Return the exponentially weighted mean after one more sample; None: there was none before."""
    return sample if old is None else old + _WEIGHT * (sample - old)


def pressure_s(backlog_bytes: float, bandwidth_bytes_per_s: float, busy_s: float) -> float:
    """Return how much longer a data unit needs for its backlog than the function needed to produce it.

    Positive: the next firing on this container would pile its outputs on those still waiting, so reuse is
    delayed by this time and the pool is asked for another container. Zero or less: transfer keeps up.

    Args:
        backlog_bytes: Produced and not committed yet; ≥ 0.
        bandwidth_bytes_per_s: Measured; > 0.
        busy_s: Wall time of the firing that produced the backlog; ≥ 0.

    Raises:
        ValueError: An argument is out of range.

    Source: DataFlower (ASPLOS '24), pressure-aware function scaling: size over bandwidth less function time.
    Deviates: the authors' prototype assumes a bandwidth per core; this one is measured, and the backlog is
    what has not left, not all that was produced.
    """
    if backlog_bytes < 0 or bandwidth_bytes_per_s <= 0 or busy_s < 0:
        raise ValueError("backlog and time must not be negative, bandwidth must be positive")
    return backlog_bytes / bandwidth_bytes_per_s - busy_s


@dataclass(slots=True)
class Gauge:
    """What is known of the transfers of one action, over all its containers.

    The backlog is estimated: the relay sees what has arrived, and learns from earlier firings how much comes.
    """

    output_bytes: float | None = None
    """Of one firing, all outputs; mean."""
    bandwidth_bytes_per_s: float | None = None
    """Of the data unit while the function no longer disturbs it; mean."""

    def pressure_s(self, arrived_bytes: int, busy_s: float) -> float:
        """Return the pressure at the moment a function returned; 0 while nothing is known.

        Args:
            arrived_bytes: Outputs of this firing that are committed already.
            busy_s: Wall time of the function.
        """
        if self.output_bytes is None or self.bandwidth_bytes_per_s is None:
            return 0.0
        backlog = max(0.0, self.output_bytes - arrived_bytes)
        return pressure_s(backlog, self.bandwidth_bytes_per_s, busy_s)

    def drained(self, output_bytes: int, late_bytes: int, window_s: float) -> None:
        """Learn from a firing whose outputs have all left.

        Args:
            output_bytes: All that it produced.
            late_bytes: The part of it that arrived after the function had returned.
            window_s: From the return to the last commit.
        """
        self.output_bytes = blended(self.output_bytes, output_bytes)
        if late_bytes and window_s >= _LEAST_WINDOW_S:
            self.bandwidth_bytes_per_s = blended(self.bandwidth_bytes_per_s, late_bytes / window_s)
