"""How many stem cells of each runtime and size are kept started: so many as cold starts call for. Pure.

Of a runtime with *reactive* stem cells the manifest's count holds at the start. Each minute it becomes, as in stock,
the cold starts since the last check, divided by `threshold` and multiplied by `increment`, within `min_count` and
`max_count`; those above it go once nobody has used them for `ttl_s`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

from invoker_ext.contract.manifest import Reactive

CHECK_S: Final = 60.0
"""Between two checks. Source: stock `prewarm-expiration-check-interval`."""

Kind = tuple[str, int]
"""Runtime and memory in MB."""


class Stems:
    """Counts that the pool keeps.

    Attributes:
        wanted: Kind → how many are to be there.
        check_at: When the next check is due; infinite: never.
    """

    def __init__(self, counts: Mapping[Kind, int], reactive: Mapping[Kind, Reactive]) -> None:
        """Begin with the counts.

        Args:
            counts: At the start.
            reactive: Of those that follow cold starts.
        """
        self.wanted = dict(counts)
        self.check_at = math.inf
        self._reactive = dict(reactive)
        self._colds: Counter[Kind] = Counter()

    def begin(self, at: float) -> None:
        """Count from here on."""
        if self._reactive:
            self.check_at = at + CHECK_S

    def cold(self, runtime: str, memory_mb: int) -> None:
        """An action found no stem cell and had a container started."""
        if (runtime, memory_mb) in self._reactive:
            self._colds[runtime, memory_mb] += 1

    def check(self, at: float) -> bool:
        """Set the counts by what happened since the last check; False: none is due."""
        if at < self.check_at:
            return False
        for kind, one in self._reactive.items():
            self.wanted[kind] = one.wanted(self._colds[kind])
        self._colds.clear()
        self.check_at = at + CHECK_S
        return True

    def ttl_s(self, runtime: str, memory_mb: int) -> float | None:
        """Return how long one that is too many may wait for use; None: as long as any container."""
        one = self._reactive.get((runtime, memory_mb))
        return None if one is None else one.ttl_s
