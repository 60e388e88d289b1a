"""A datum in the sink: what a ref is on its own host."""

from __future__ import annotations

from typing import Protocol

from action_runtime.wire.values import Head


class Stored(Protocol):
    """A value that the sink holds: inline bytes or a sealed segment, in memory or spilled. Reference-counted.

    Whoever is handed one owns one reference and must `release()` it exactly once; `retain()` makes one more.
    """

    @property
    def head(self) -> Head:
        """What the bytes are."""

    @property
    def size_bytes(self) -> int:
        """How many."""

    @property
    def elsewhere(self) -> bool:
        """Its bytes are on another host (`lending.remote`): they can be read once they were pulled."""

    @property
    def inline(self) -> bytes | None:
        """The bytes, if they are below the knee."""

    def retain(self) -> None:
        """Add a reference."""

    def release(self) -> None:
        """Drop a reference; with the last one the bytes are gone."""

    def descriptor(self) -> int:
        """Return a read-only descriptor of the sealed segment, or of the unlinked file that it spilled to.

        Owned by the sink. Use it in this turn of the loop, or pin the datum (`Sink.pin`): an unpinned one may spill,
        which closes the segment. Either kind can be mapped; both hold exactly `size_bytes` or more.
        """

    def read(self) -> bytes:
        """Return the bytes; copies. For conditions, records and stock containers, not for the data path."""
