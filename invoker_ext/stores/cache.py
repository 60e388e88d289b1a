"""What a store keeps of its documents in memory: as it was at a version, and never more than its bounds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from invoker_ext.store import Document, StoreUnavailable

_CACHED: Final = 2048
"""Documents, subjects and the like."""
_CACHED_BYTES: Final = 64 << 20
"""Of code; a host runs far fewer actions than it stores."""


@dataclass(slots=True, frozen=True)
class _Kept:
    """What was read last.

    Attributes:
        number: Of the read, in the order in which they began.
        version: When it began.
        value: None: there was none, which must not be forgotten for what was read before that.
    """

    number: int
    version: object
    value: Any


class Cache:
    """Values by key, out of date as soon as the version is another one. Thread-safe.

    Args:
        look: Returns the version; called by one thread at a time, often. Must not raise.
        lasting: What is out of date stays in use where it cannot be read again: an outage stops no runs.
    """

    def __init__(self, look: Callable[[], object], *, lasting: bool = False) -> None:
        self._look = look
        self._lasting = lasting
        self._guard = threading.Lock()  # guards all below, and calls of `look`
        self._values: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._bytes = 0
        self._reads = 0

    def version(self) -> object:
        """Return the version."""
        with self._guard:
            return self._look()

    def get(self, key: tuple[str, str], read: Callable[[], Any]) -> Any:
        """Return a value, read if need be; that there is none is not kept.

        Raises:
            StoreUnavailable: It cannot be read, nor is it lasting.
        """
        with self._guard:
            version = self._look()
            kept = self._values.get(key)
            if kept is not None and kept.version == version and kept.value is not None:
                self._values.move_to_end(key)
                return kept.value
            self._reads += 1
            number = self._reads
        try:
            found = read()
        except StoreUnavailable:
            with self._guard:
                kept = self._values.get(key)  # another thread may have read it meanwhile
            if self._lasting and kept is not None and kept.value is not None:
                return kept.value
            raise
        with self._guard:
            if self._lasting or version == self._look():
                self._keep(key, _Kept(number, version, found))
        return found

    def _keep(self, key: tuple[str, str], new: _Kept) -> None:
        old = self._values.get(key)
        if old is not None:
            if old.number > new.number:  # another thread began to read later, and knows better
                return
            del self._values[key]
            self._bytes -= _code_size(old.value)
        self._values[key] = new
        self._bytes += _code_size(new.value)
        while len(self._values) > _CACHED or (self._bytes > _CACHED_BYTES and len(self._values) > 1):
            self._bytes -= _code_size(self._values.popitem(last=False)[1].value)


class Known:
    """The latest so many texts that were added. Thread-safe.

    Args:
        most: How many.
    """

    def __init__(self, most: int = _CACHED) -> None:
        self._most = most
        self._texts: dict[str, None] = {}
        self._guard = threading.Lock()  # guards _texts

    def __contains__(self, text: str) -> bool:
        return text in self._texts

    def add(self, text: str) -> None:
        """Add one; the oldest beyond the bound is forgotten."""
        with self._guard:
            self._texts[text] = None
            if len(self._texts) > self._most:
                del self._texts[next(iter(self._texts))]


def _code_size(value: object) -> int:
    exec_ = value.body.get("exec") if isinstance(value, Document) else None
    return len(exec_.get("code") or "") if isinstance(exec_, dict) else 0
