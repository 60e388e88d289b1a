"""How far a container's data unit stays behind its function unit, and what follows. Pure."""

from __future__ import annotations

from typing import Final

_WEIGHT: Final = 0.2
"""Of the newest sample: five decide, one outlier does not."""


def blended(old: float | None, sample: float) -> float:
    """Return the exponentially weighted mean after one more sample; None: there was none before."""
    return sample if old is None else old + _WEIGHT * (sample - old)


def pressure_s(backlog_bytes: int, bandwidth_bytes_per_s: float, busy_s: float) -> float:
    """Return how much longer a data unit needs for its backlog than the function needed to produce it.

    Positive: the next firing on this container would pile its outputs on those still waiting, so reuse is
    delayed by this time and the pool is asked for another container. Zero or less: transfer keeps up.

    Args:
        backlog_bytes: Asked for by `emit` and not committed yet; ≥ 0.
        bandwidth_bytes_per_s: Measured over the last window, not configured; > 0.
        busy_s: Wall time of the firing that produced the backlog; ≥ 0.

    Raises:
        ValueError: An argument is out of range.

    Source: DataFlower (ASPLOS '24), pressure-aware function scaling: size over bandwidth less function time.
    Deviates: the authors' prototype assumes a bandwidth per core and counts all that a function produced; here
    the bandwidth is measured, and what has left already is no backlog.
    """
    if backlog_bytes < 0 or bandwidth_bytes_per_s <= 0 or busy_s < 0:
        raise ValueError("backlog and time must not be negative, bandwidth must be positive")
    return backlog_bytes / bandwidth_bytes_per_s - busy_s


def reuse_delay_s(backlog_bytes: int, bandwidth_bytes_per_s: float | None, busy_s: float) -> float:
    """Return for how long a container must not be reused after a return; 0: take the next firing at once.

    Args:
        backlog_bytes: See `pressure_s`.
        bandwidth_bytes_per_s: See `pressure_s`; None or 0: nothing was measured, so nothing is known.
        busy_s: See `pressure_s`.
    """
    if not backlog_bytes or not bandwidth_bytes_per_s:
        return 0.0
    return max(0.0, pressure_s(backlog_bytes, bandwidth_bytes_per_s, busy_s))
