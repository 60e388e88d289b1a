"""What a store keeps of its documents in memory: all of it until something changes, and never more than its bounds."""

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
    """Values by key, dropped as soon as the version is another one. Thread-safe.

    Args:
        look: Returns the version; called by one thread at a time, often. Must not raise.
        lasting: What was dropped last stays in use where it cannot be read again: an outage stops no runs.
    """

    def __init__(self, look: Callable[[], object], *, lasting: bool = False) -> None:
        self._look = look
        self._lasting = lasting
        self._guard = threading.Lock()  # guards all below, and calls of `look`
        self._version: object = None
        self._values: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._older: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._bytes = 0

    def version(self) -> object:
        """Return the version; drops what is older."""
        with self._guard:
            return self._current()

    def get(self, key: tuple[str, str], read: Callable[[], Any]) -> Any:
        """Return a value, read if need be; None is not kept.

        Raises:
            StoreUnavailable: It cannot be read, nor is it lasting.
        """
        with self._guard:
            version = self._current()
            found = self._values.get(key)
            if found is not None:
                self._values.move_to_end(key)
                return found
        try:
            found = read()
        except StoreUnavailable:
            with self._guard:
                found = self._older.get(key)
            if found is None:
                raise
            return found
        with self._guard:
            self._older.pop(key, None)
        if found is not None:
            with self._guard:
                # What was read under an older version may be stale: it is returned, but not kept.
                if self._current() == version and key not in self._values:
                    self._values[key] = found
                    self._bytes += _code_size(found)
                    self._trim()
        return found

    def _current(self) -> object:
        version = self._look()
        if version != self._version:
            self._version = version
            if self._lasting and self._values:
                self._older = self._values
            self._values = OrderedDict()
            self._bytes = 0
        return version

    def _trim(self) -> None:
        while len(self._values) > _CACHED or (self._bytes > _CACHED_BYTES and len(self._values) > 1):
            self._bytes -= _code_size(self._values.popitem(last=False)[1])


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
