"""Which other invokers there are and what room they have, as their pings say. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TAG: Final = "dataflow.peer="
"""In front of what an invoker tells its peers among the tags of its ping, which stock does not look at."""
SILENT_S: Final = 10.0
"""Without a ping for so long an invoker gets no more firings; stock's number."""
_FIELDS: Final = 4


@dataclass(slots=True, frozen=True)
class Told:
    """What an invoker tells its peers.

    Attributes:
        address: HOST:PORT of its pipe.
        life: Grows with each start of it.
        room_mb: Memory for containers that it has left.
    """

    address: str
    life: int
    room_mb: int

    def tag(self) -> str:
        """Return it as a tag of a ping."""
        return f"{TAG}1;{self.life};{self.room_mb};{self.address}"

    @staticmethod
    def of(tags: tuple[str, ...]) -> Told | None:
        """Read it from the tags of a ping; None: it tells nothing, or in a way that is not ours."""
        for tag in tags:
            fields = tag.removeprefix(TAG).split(";", _FIELDS - 1)
            if tag.startswith(TAG) and len(fields) == _FIELDS and fields[0] == "1":
                try:
                    return Told(fields[3], int(fields[1]), int(fields[2]))
                except ValueError:
                    return None
        return None


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
        life: Of this process; greater than that of any before.
    """

    def __init__(self, me: int, life: int) -> None:
        self.me: Final = me
        self.life: Final = life
        self._hosts: dict[int, _Host] = {}

    def pinged(self, number: int, told: Told, at: float) -> bool:
        """Take a ping; return whether it is another life of an invoker that was there before.

        Args:
            number: Of the invoker.
            told: What it says.
            at: Monotonic seconds.
        """
        if number == self.me:
            return False
        before = self._hosts.get(number)
        self._hosts[number] = _Host(told, at, told.room_mb)
        return before is not None and before.told.life != told.life

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
