"""Which data have no run any more, and for how long. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Orphan:
    """Data whose time is over.

    Attributes:
        owner: `namespace/run`.
        size_bytes: What the sink charges for them.
    """

    owner: str
    size_bytes: int


class Orphans:
    """Remembers since when each owner of data has been without a run.

    A run lets go of all its data when it ends, so an orphan is the trace of a mistake: found late on purpose, so that
    whatever is only slow has ended by then.
    """

    def __init__(self, ttl_s: float) -> None:
        """Start with nothing known.

        Args:
            ttl_s: How long data may be without a run; > 0.
        """
        self._ttl_s = ttl_s
        self._since: dict[str, float] = {}

    def overdue(self, held: Mapping[str, int], is_live: Callable[[str], bool], at: float) -> list[Orphan]:
        """Return whose data are to be freed.

        Args:
            held: Bytes by owner that no container maps; those of an owner that names no run are the invoker's own.
            is_live: Whether a run, by its id, is accepted and has not let go of everything.
            at: Monotonic seconds; never goes back.
        """
        without = {owner for owner in held if (run := owner.partition("/")[2]) and not is_live(run)}
        self._since = {owner: self._since.get(owner, at) for owner in without}
        over = [owner for owner, since in self._since.items() if at - since >= self._ttl_s]
        return [Orphan(owner, held[owner]) for owner in sorted(over)]
