"""Everything between hosts that is bounded. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024


@dataclass(slots=True, frozen=True, kw_only=True)
class Bounds:
    """Times in seconds.

    Attributes:
        lost_s: A peer that stays away longer is lost.
        pulse_s: Between two signs of life; three that fail to come are the end of a connection.
        greeting_s: For a connection to be made, and to be authenticated: then it is closed.
        strangers: Connections at a time that are not authenticated yet; one more is closed at once.
        backlog_messages: Messages that a peer has not confirmed; one more, and it is lost.
        backlog_bytes: The same in bytes.
        bulk_connections: Transfers at a time from one peer; others wait in order.
        guests: Bulk connections at a time that one peer may have to us; one more is refused.
        credit_bytes: Of a datum that its sender may have under way.
        stall_s: A transfer of which nothing comes for so long is cut, and goes on over another connection.
        tries: Of a transfer, one after the other, that bring no byte; then it fails.
        idle_s: A bulk connection without work is closed after this time.
    """

    lost_s: float = 10.0
    pulse_s: float = 1.0
    greeting_s: float = 3.0
    strangers: int = 64
    backlog_messages: int = 65_536
    backlog_bytes: int = 64 * MIB
    bulk_connections: int = 4
    guests: int = 16
    credit_bytes: int = 16 * MIB
    stall_s: float = 5.0
    tries: int = 10
    idle_s: float = 30.0
