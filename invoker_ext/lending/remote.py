"""A datum on another host: what a ref is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from invoker_ext.peers.ref import Ref
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.errors import InvalidTransition


class Remote:
    """Implements `Stored` for a value of 16 KiB or more that another host holds. Its bytes can be read once it is here.

    Attributes:
        ref: Where it is.
        owner: In whose name the sink accounts a copy: `namespace/run`.
        run: Whose it is.
        users: Hosts, beside its own, that were told to read it.
        here: Its copy in our sink, once it was pulled.
        gone: Its host does not have it any more, or is gone itself; if there is a copy here, that stands for it.
    """

    elsewhere: Final = True
    inline: Final[bytes | None] = None

    __slots__ = ("_let_go", "_references", "gone", "head", "here", "owner", "ref", "run", "size_bytes", "users")

    def __init__(self, ref: Ref, owner: str, let_go: Callable[[Remote], None]) -> None:
        """Note where it is.

        Args:
            ref: Of the datum.
            owner: `namespace/run`.
            let_go: Called with the last release.
        """
        self.ref: Final = ref
        self.owner: Final = owner
        self.run: Final = owner.rpartition("/")[2]
        self.head: Final = ref.head
        self.size_bytes: Final = ref.size_bytes
        self.users: set[int] = set()
        self.here: Stored | None = None
        self.gone = False
        self._references = 1
        self._let_go = let_go

    @property
    def held(self) -> bool:
        """Somebody has a reference."""
        return self._references > 0

    def retain(self) -> None:
        """Add a reference."""
        if not self._references:
            raise InvalidTransition("a datum of another host was used after its last reference was released")
        self._references += 1

    def release(self) -> None:
        """Drop a reference; with the last one its host is told, and the copy that is here is gone."""
        if not self._references:
            raise InvalidTransition("a datum of another host was released too often")
        self._references -= 1
        if not self._references:
            here, self.here = self.here, None
            if here is not None:
                here.release()
            self._let_go(self)

    def descriptor(self) -> int:
        """Return that of the copy that is here.

        Raises:
            InvalidTransition: It was not pulled.
        """
        return self._copy().descriptor()

    def read(self) -> bytes:
        """Return the bytes of the copy that is here; copies them.

        Raises:
            InvalidTransition: It was not pulled.
        """
        return self._copy().read()

    def _copy(self) -> Stored:
        if self.here is None:
            raise InvalidTransition(f"a datum of host {self.ref.host} was read before it was pulled")
        return self.here
