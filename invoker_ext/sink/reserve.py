"""Settings of the sink, a request for room, and the room that was granted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from invoker_ext.sink.terms import Limits


@dataclass(slots=True, frozen=True, kw_only=True)
class SinkSettings:
    """What an operator may choose.

    Attributes:
        limits: Bounds of the books.
        spare_bytes: Most that is kept allocated ahead; taken from what the budget leaves.
        spill_folder: Where cold data go; made if missing. None: nowhere, and `limits.spill_bytes` must be 0.
    """

    limits: Limits
    spare_bytes: int = 256 * 1024 * 1024
    spill_folder: Path | None = None

    def __post_init__(self) -> None:
        if self.limits.spill_bytes and self.spill_folder is None:
            raise ValueError("a bound for spilled data needs a folder to spill to")


@dataclass(slots=True, frozen=True)
class Segment:
    """Room that was granted: ends in `Sink.commit` or `Sink.give_back`.

    Attributes:
        key: Its name in the ledger.
        size_bytes: Of the memfd; what was asked for.
        descriptor: Writable; owned by the sink.
    """

    key: int
    size_bytes: int
    descriptor: int


class Ticket:
    """A request for room.

    Attributes:
        pending: Neither granted, refused nor cancelled yet.
        pages_later: A large segment may come without its pages.
    """

    __slots__ = ("_withdraw", "grant", "key", "owner", "pages_later", "pending", "refuse", "size_bytes")

    def __init__(
        self,
        key: int,
        owner: str,
        size_bytes: int,
        answers: tuple[Callable[[Segment], None], Callable[[str], None]],
        withdraw: Callable[[Ticket], None],
        *,
        pages_later: bool = False,
    ) -> None:
        self.key = key
        self.owner = owner
        self.size_bytes = size_bytes
        self.grant, self.refuse = answers
        self.pending = True
        self.pages_later = pages_later
        self._withdraw = withdraw

    def cancel(self) -> None:
        """Withdraw the request: neither callback is called any more. Nothing happens if it was answered."""
        self._withdraw(self)
