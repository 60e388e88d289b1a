"""Who still reads which datum. The one place where a datum of a run is let go."""

from __future__ import annotations

from collections.abc import Iterable

from invoker_ext.dataflow.commands import Release
from invoker_ext.dataflow.events import Datum
from invoker_ext.dataflow.keys import DataKey


class Held:
    """A datum the machine answers for.

    Attributes:
        key: Its name.
        datum: The ref, as it came.
        claims: Readers that are not done with it.
        fresh: One of the claims is the producing output's own: not everybody has been handed it.
    """

    __slots__ = ("claims", "datum", "fresh", "key")

    def __init__(self, key: DataKey, datum: Datum) -> None:
        self.key = key
        self.datum = datum
        self.claims = 1
        self.fresh = True


class Ledger:
    """Counts claims; collects what nobody claims any more for the next Release.

    Every datum that enters by `admit` or `refuse` leaves exactly once: in a Release, or by `hand_over`.
    """

    __slots__ = ("_data", "_keys", "live")

    def __init__(self) -> None:
        self.live: set[Held] = set()
        self._keys: list[DataKey] = []
        self._data: list[Datum] = []

    def admit(self, key: DataKey, datum: Datum) -> Held:
        """Take a datum over, claimed by its output until `let_go`."""
        held = Held(key, datum)
        self.live.add(held)
        return held

    def refuse(self, key: DataKey, datum: Datum) -> None:
        """Give a datum back at once: nobody reads it, or it is there already."""
        self._keys.append(key)
        self._data.append(datum)

    def claim(self, claims: list[Held], data: Iterable[Held]) -> None:
        """Add one reader, whose list of claims is `claims`."""
        for held in data:
            held.claims += 1
            claims.append(held)

    def unclaim(self, data: Iterable[Held]) -> None:
        """Drop one reader of each."""
        for held in data:
            held.claims -= 1
            if held.claims == 0:
                self._release(held)

    def let_go(self, held: Held) -> None:
        """Drop the output's own claim, if it has not been dropped before."""
        if held.fresh:
            held.fresh = False
            held.claims -= 1
            if held.claims == 0:
                self._release(held)

    def hand_over(self, held: Held) -> None:
        """Leave a datum that is claimed to the shell: that claim is never dropped, so it is not released from here."""
        self.live.remove(held)

    def settle(self, readers: Iterable[list[Held]]) -> None:
        """Forget all claims but those of `readers`; whatever they do not hold is released."""
        for held in self.live:
            held.claims = 0
            held.fresh = False
        for claims in readers:
            for held in claims:
                held.claims += 1
        for held in [held for held in self.live if held.claims == 0]:
            self._release(held)

    def flush(self) -> Release | None:
        """Return what may go since the last flush."""
        if not self._data:
            return None
        release = Release(tuple(self._keys), tuple(self._data))
        self._keys.clear()
        self._data.clear()
        return release

    def _release(self, held: Held) -> None:
        self.live.remove(held)
        self._keys.append(held.key)
        self._data.append(held.datum)
