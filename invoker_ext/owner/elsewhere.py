"""Data of one run that other hosts hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from invoker_ext.dataflow.keys import DataKey
from invoker_ext.sink.datum import Stored


class Elsewhere:
    """Which datum has which name, as long as the run may read it. Empty for a run that never left its host."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[Stored, DataKey] = {}

    def note(self, key: DataKey, stored: Stored) -> None:
        """Take a datum that was committed on another host."""
        self._keys[stored] = key

    def forget(self, data: Iterable[Stored]) -> None:
        """The run has let go of data, of any host."""
        if self._keys:
            for stored in data:
                self._keys.pop(stored, None)

    def lost(self, data: Collection[Stored]) -> tuple[DataKey, ...]:
        """Return the names of those among lost data that are this run's and that it still holds."""
        return tuple(self._keys.pop(stored) for stored in data if stored in self._keys)
