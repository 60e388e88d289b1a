"""What the pool may use, and how patient it is: one frozen value, made from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from invoker_ext.contract.manifest import Reactive

MIB: Final = 1024 * 1024
_SHARE: Final = 0.75
"""Of the memory that is available when the invoker starts; the rest is for the sink, the invoker and the page cache."""


@dataclass(slots=True, frozen=True, kw_only=True)
class StemCell:
    """Containers of a kind that are kept started before anybody asks (stock's word for it)."""

    kind: str
    memory_mb: int
    count: int
    reactive: Reactive | None = None
    """Its number follows the kind's cold starts (`stems.py`)."""


@dataclass(slots=True, frozen=True, kw_only=True)
class PoolLimits:
    """Bounds and patience of the pool."""

    memory_mb: int
    """Sum of the memory limits of all containers; see `host_memory_mb`."""
    cores: int
    """Processor cores that containers compute on; ≥ 1."""
    extra_memory_mb: int = 1024
    """Beyond `memory_mb`, for consumers whose producers are blocked in `emit`."""
    keep_alive_s: float = 600.0
    """An idle container is removed after this time. Source: stock `idle-container`."""
    undrained: int = 2
    """Firings of one container that may have returned and still be sending when it takes the next one; ≥ 1."""
    starts_at_once: int = 8
    """Containers that may be starting at the same time; more would only slow each other down."""
    pass_s: float = 1.0
    """How long jobs that fit may pass one that waits for memory."""
    fresh_s: float = 1.0
    """A container idle for less than this is not evicted so that another action may have one more."""
    start_timeout_s: float = 30.0
    """From the start of a container to its HELLO."""
    pressure: bool = True
    """Pressure-aware scaling (`invoker_ext/DESIGN.md` I14); off for comparison."""
    stem_cells: tuple[StemCell, ...] = ()

    def __post_init__(self) -> None:
        """Refuse values that no pool can keep.

        Raises:
            ValueError: A bound is below its range.
        """
        for name in ("memory_mb", "cores", "undrained", "starts_at_once"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("extra_memory_mb", "keep_alive_s", "pass_s", "fresh_s", "start_timeout_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")


def host_memory_mb(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Return how much memory containers may have on this host by default, in MB.

    Three quarters of what is available, or of the control group's limit if that is less; at least 512.

    Args:
        meminfo: The kernel's account.
        cgroup: Limit of the control group (version 2) this process is in; may not exist.
    """
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    available = int(fields["MemAvailable"].split()[0]) * 1024
    if cgroup.exists():
        limit = cgroup.read_text().strip()
        if limit.isdigit():
            available = min(available, int(limit))
    return max(512, int(available * _SHARE) // MIB)
