"""Who still reads which datum. The one place where a datum of a run is let go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from invoker_ext.dataflow.commands import Release
from invoker_ext.dataflow.events import Datum
from invoker_ext.dataflow.keys import DataKey


class Gone:
    """Stands for a datum that was given back."""

    __slots__ = ()
    size_bytes: Final = 0


GONE: Final = Gone()


class Held:
    """A datum the machine answers for.

    Attributes:
        key: Its name.
        datum: The ref, as it came.
        claims: Readers that are not done with it.
        fresh: One of the claims is the producing output's own: not everybody has been handed it.
        elsewhere: It lies on another host.
        lost: It is gone with that host; the datum was given back.
        kept: Of the claims, those of firings that are over and may have to be executed again.
    """

    __slots__ = ("claims", "datum", "elsewhere", "fresh", "kept", "key", "lost")

    def __init__(self, key: DataKey, datum: Datum, *, elsewhere: bool = False) -> None:
        self.key = key
        self.datum = datum
        self.claims = 1
        self.fresh = True
        self.elsewhere = elsewhere
        self.lost = False
        self.kept = 0


class Ledger:
    """Counts claims; collects what nobody claims any more for the next Release.

    Every datum that enters by `admit` or `refuse` leaves exactly once: in a Release, or by `hand_over`.
    """

    __slots__ = ("_data", "_keys", "consumed", "live", "lost")

    def __init__(self) -> None:
        self.live: set[Held] = set()
        self.lost: set[Held] = set()
        """Of those, what is gone with its host."""
        self.consumed: list[Held] = []
        """Data of other hosts that were let go of, or that only firings claim that are over."""
        self._keys: list[DataKey] = []
        self._data: list[Datum] = []

    def admit(self, key: DataKey, datum: Datum, *, elsewhere: bool = False) -> Held:
        """Take a datum over, claimed by its output until `let_go`."""
        held = Held(key, datum, elsewhere=elsewhere)
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
            elif held.elsewhere and held.claims == held.kept:
                self.consumed.append(held)

    def let_go(self, held: Held) -> None:
        """Drop the output's own claim, if it has not been dropped before."""
        if held.fresh:
            held.fresh = False
            held.claims -= 1
            if held.claims == 0:
                self._release(held)
            elif held.elsewhere and held.claims == held.kept:
                self.consumed.append(held)

    def lose(self, held: Held) -> None:
        """Give back a datum that is gone; whoever claims it waits for another one."""
        held.lost = True
        self.lost.add(held)
        self.refuse(held.key, held.datum)

    def revive(self, held: Held) -> None:
        """Take up again what was released: it is to be made anew. The caller claims it at once."""
        held.claims = held.kept = 0
        held.fresh = False
        held.lost = True
        self.live.add(held)
        self.lost.add(held)

    def restore(self, held: Held, datum: Datum, *, elsewhere: bool) -> None:
        """Take over what was made anew in place of what was lost."""
        held.datum, held.elsewhere, held.lost = datum, elsewhere, False
        self.lost.discard(held)

    def hand_over(self, held: Held) -> None:
        """Leave a datum that is claimed to the shell: that claim is never dropped, so it is not released from here."""
        self.live.remove(held)

    def settle(self, readers: Iterable[list[Held]]) -> None:
        """Forget all claims but those of `readers`; whatever they do not hold is released."""
        for held in self.live:
            held.claims = held.kept = 0
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
        if held.elsewhere:
            self.consumed.append(held)
        if held.lost:
            self.lost.discard(held)
            return
        self._keys.append(held.key)
        self._data.append(held.datum)
        held.datum = GONE  # who remembers its name does not keep its bytes
