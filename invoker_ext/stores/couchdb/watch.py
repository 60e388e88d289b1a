"""When documents that are kept in memory may have changed (decision I21).

Two sources: a number in a file of this host, raised with each write of any of its processes, so that none of them is
ever staler than that; and CouchDB's own feed of changes, which tells what other hosts write within milliseconds.
While CouchDB is away what is kept stays in use; once it is back all is read again.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import struct
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from invoker_ext.store import StoreRefused, StoreUnavailable
from invoker_ext.stores.couchdb.client import Database, Missing, Server

_log = logging.getLogger(__name__)

WAIT_S: Final = 20.0
"""How long CouchDB waits for a change before it answers; nobody hears of a broken line before."""
FIRST_RETRY_S: Final = 0.1
LAST_RETRY_S: Final = 5.0
CLOSE_S: Final = 5.0
_AGAIN_S: Final = 0.1
_NUMBER: Final = struct.Struct("=Q")


class HostMark:
    """A number that all processes of a host share by a file; thread-safe.

    Args:
        path: The file; made if it is missing.

    Raises:
        StoreUnavailable: It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if os.fstat(self._descriptor).st_size < _NUMBER.size:
                os.ftruncate(self._descriptor, _NUMBER.size)
            self._map = mmap.mmap(self._descriptor, _NUMBER.size)
        except OSError as error:
            raise StoreUnavailable(f"{path} cannot be used: {error.strerror}") from error
        self._guard = threading.Lock()  # flock tells processes apart, not threads

    @property
    def value(self) -> int:
        """The number."""
        return int(_NUMBER.unpack_from(self._map)[0])

    def step(self) -> None:
        """Raise the number by one."""
        with self._guard:
            if self._descriptor < 0:
                return
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                _NUMBER.pack_into(self._map, 0, self.value + 1)
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file; idempotent. The number can still be read."""
        with self._guard:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1


class Feed:
    """Follows databases, a thread each, from the first moment at which they can be reached.

    Attributes:
        count: Raised with every change of any document.

    Args:
        server: Belongs to the feed, which closes it; its time-out must be above WAIT_S.
        names: Of the databases.
        ignored: What begins the ids of documents that never change once they are there.
    """

    def __init__(self, server: Server, names: Sequence[str], ignored: str) -> None:
        self._server = server
        self._ignored = ignored
        self._stopped = threading.Event()
        self._guard = threading.Lock()  # guards count and _attached
        self._attached: set[str] = set()
        self._wanted = frozenset(names)
        self.count = 0
        self._threads = [
            threading.Thread(target=self._follow, args=(server.database(name),), name=f"feed {name}", daemon=True)
            for name in names
        ]
        for thread in self._threads:
            thread.start()

    @property
    def attached(self) -> bool:
        """Whether all changes are heard of; once they are it stays so, however late they come."""
        return self._attached == self._wanted

    def close(self) -> None:
        """Stop; idempotent."""
        self._stopped.set()
        until = time.monotonic() + CLOSE_S
        for thread in self._threads:
            while thread.is_alive() and time.monotonic() < until:
                self._server.close(abort=True)  # again: one that connects just now has nothing to abort yet
                thread.join(_AGAIN_S)
        self._server.close(abort=True)

    def _follow(self, database: Database) -> None:
        since: str | None = None
        delay_s = FIRST_RETRY_S
        while not self._stopped.is_set():
            try:
                if since is None:
                    since, _ = database.changes("now", 0)
                    changed = True  # perhaps, meanwhile
                else:
                    since, ids = database.changes(since, WAIT_S)
                    changed = not all(one.startswith(self._ignored) for one in ids)
            except (StoreUnavailable, StoreRefused, Missing) as error:
                if not self._stopped.is_set() and delay_s == FIRST_RETRY_S:
                    _log.warning("changes of the store are not heard of for now", extra={"error": str(error)})
                since = None  # the next one may be another server, or another database of this name
                self._stopped.wait(delay_s)
                delay_s = min(2 * delay_s, LAST_RETRY_S)
                continue
            delay_s = FIRST_RETRY_S
            if changed:
                with self._guard:
                    self.count += 1
                    self._attached.add(database.name)
