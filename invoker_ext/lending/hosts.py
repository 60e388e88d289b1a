"""Which other invokers there are and what room they have, as their pings say. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from invoker_ext.contract.told import Told

SILENT_S: Final = 10.0
"""Without a ping for so long an invoker gets no more firings; stock's number."""


@dataclass(slots=True)
class _Host:
    told: Told
    heard: float
    room_mb: int
    away: bool = False


class Hosts:
    """All invokers that tell of themselves, but this one.

    Attributes:
        me: Number of this one.
        life: Of this process; greater than that of any before (`invoker_ext.lending.lives`).
    """

    def __init__(self, me: int, life: int) -> None:
        self.me: Final = me
        self.life: Final = life
        self._hosts: dict[int, _Host] = {}

    def pinged(self, number: int, told: Told, at: float) -> bool:
        """Take a ping; return whether it is a later life of an invoker that was there before.

        Args:
            number: Of the invoker.
            told: What it says; of a life that is over (`outlived`) it must not be taken.
            at: Monotonic seconds.
        """
        if number == self.me:
            return False
        before = self._hosts.get(number)
        self._hosts[number] = _Host(told, at, told.room_mb)
        return before is not None and before.told.life < told.life

    def outlived(self, number: int, told: Told) -> bool:
        """Return whether a later life of an invoker was heard of before: what this one says holds no more."""
        known = self._hosts.get(number)
        return known is not None and told.life < known.told.life

    def left(self, number: int) -> None:
        """Give it no more firings until it pings again: it drains, or does not answer."""
        host = self._hosts.get(number)
        if host is not None:
            host.away = True

    def took(self, number: int, memory_mb: int) -> None:
        """Count what was lent since its last ping."""
        host = self._hosts.get(number)
        if host is not None:
            host.room_mb -= memory_mb

    def room_mb(self, at: float) -> dict[int, int]:
        """Return the room of those that can be given firings now.

        Args:
            at: Monotonic seconds.
        """
        return {
            number: host.room_mb
            for number, host in self._hosts.items()
            if not host.away and at - host.heard <= SILENT_S
        }

    def heard(self, number: int) -> float | None:
        """Return when an invoker was last heard of; None: never."""
        host = self._hosts.get(number)
        return None if host is None else host.heard
