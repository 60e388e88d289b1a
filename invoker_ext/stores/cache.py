"""What a store keeps of its documents in memory: as it was at a version, and never more than its bounds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from invoker_ext.store import Document, StoreUnavailable

_CACHED: Final = 2048
"""Documents, subjects and the like."""
_CACHED_BYTES: Final = 64 << 20
"""Of code; a host runs far fewer actions than it stores."""


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
        self._values: OrderedDict[tuple[str, str], tuple[object, Any]] = OrderedDict()  # version, value
        self._bytes = 0

    def version(self) -> object:
        """Return the version."""
        with self._guard:
            return self._look()

    def get(self, key: tuple[str, str], read: Callable[[], Any]) -> Any:
        """Return a value, read if need be; None is not kept.

        Raises:
            StoreUnavailable: It cannot be read, nor is it lasting.
        """
        with self._guard:
            version = self._look()
            kept = self._values.get(key)
            if kept is not None and kept[0] == version:
                self._values.move_to_end(key)
                return kept[1]
        try:
            found = read()
        except StoreUnavailable:
            if self._lasting and kept is not None:
                return kept[1]
            raise
        with self._guard:
            self._keep(key, version, found)
        return found

    def _keep(self, key: tuple[str, str], version: object, found: Any) -> None:
        kept = self._values.get(key)
        if kept is not None:
            # What another thread read under the present version is newer than what this one began to read before.
            if kept[0] != version and kept[0] == self._look():
                return
            del self._values[key]
            self._bytes -= _code_size(kept[1])
        if found is None:
            return
        self._values[key] = version, found
        self._bytes += _code_size(found)
        while len(self._values) > _CACHED or (self._bytes > _CACHED_BYTES and len(self._values) > 1):
            self._bytes -= _code_size(self._values.popitem(last=False)[1][1])


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
