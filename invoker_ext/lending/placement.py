"""On which host a firing is executed. Pure, and to be replaced by whoever knows better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

SMALL_BYTES: Final = 256 * 1024
"""Inputs below are moved sooner than a firing: they cost less than the messages of one that is lent."""


@dataclass(slots=True, frozen=True)
class Ask:
    """A firing that is to be placed.

    Attributes:
        memory_mb: Of its container.
        bytes_at: Host → bytes of its inputs that are there; values that travel in messages do not count.
    """

    memory_mb: int
    bytes_at: Mapping[int, int]


class Policy(Protocol):
    """Chooses."""

    def choose(self, ask: Ask, owner: int, room_mb: Mapping[int, int]) -> int:
        """Return the host that executes a firing.

        Args:
            ask: What is to be placed.
            owner: The host that asks.
            room_mb: Memory for containers that each host has left, the owner's too; less than 0: others wait there.
        """


class MostBytes:
    """To where most of the input bytes are, if there is room; else the owner; if that is full, to who has most room.

    A host that is full of work queues what is beyond; so does the owner if everybody is.
    """

    def choose(self, ask: Ask, owner: int, room_mb: Mapping[int, int]) -> int:
        """See Policy."""
        fits = [host for host, free_mb in room_mb.items() if free_mb >= ask.memory_mb]
        here = ask.bytes_at.get(owner, 0)
        most = max(fits, key=lambda host: (ask.bytes_at.get(host, 0), host == owner, -host), default=owner)
        if ask.bytes_at.get(most, 0) - here >= SMALL_BYTES:
            return most
        if owner in fits:
            return owner
        return max(fits, key=lambda host: (room_mb[host], -host), default=owner)
