"""Connections to one SQLite file: a bounded pool of readers and one writer, for any number of threads.

Many request threads share few connections, so that page caches and descriptors stay bounded. Every wait ends at
BUSY_S in a StoreUnavailable that says what to do.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from invoker_ext.store import StoreFull, StoreUnavailable

BUSY_S: Final = 5.0
"""How long anybody waits for a lock or a free connection: longer than a slow commit, shorter than a client."""
READERS: Final = 8
"""More readers than cores only wait for each other."""
CHECKPOINT_PAGES: Final = 8_000
"""Pages (4 KiB) in the log before they go to the file: a page that many transactions write goes there once."""
CACHE_KIB: Final = 8 * 1024
"""Of each connection; the indices of some hundred thousand records."""
_LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def unavailable(path: Path, error: sqlite3.Error) -> StoreUnavailable:
    """Return what the caller should see of an error of SQLite."""
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return StoreFull(f"the disk that holds {path} is full: free space, then try again")
    if primary in _LOCKED:
        return StoreUnavailable(f"{path} was locked by another process for {BUSY_S:.0f} s")
    return StoreUnavailable(f"{path} cannot be used: {error}")


class Connections:
    """All connections of this process to one file.

    Args:
        path: The file; made if it is missing, its folder must exist.
        schema: Statements that make the tables if they are missing.
        shrinks: The file can give back room; decided when it is made.

    Raises:
        StoreUnavailable: The file cannot be opened, or is not a database.
    """

    def __init__(self, path: Path, schema: str, *, shrinks: bool = False) -> None:
        self.path = path
        self._idle: list[sqlite3.Connection] = []
        self._slots = threading.BoundedSemaphore(READERS)
        self._guard = threading.Lock()  # guards _idle and _closed
        self._writing = threading.Lock()  # one transaction at a time in this process
        self._closed = False
        try:
            self._writer = self._open()
            if shrinks:
                self._writer.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before anything is written
            self._writer.execute("PRAGMA journal_mode = WAL")  # of the file, for good
            self._writer.executescript(schema)
        except sqlite3.Error as error:
            raise unavailable(path, error) from error

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        return connection

    def another(self) -> sqlite3.Connection:
        """Return a connection of the caller's own, for the caller to close."""
        try:
            return self._open()
        except sqlite3.Error as error:
            raise unavailable(self.path, error) from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for queries.

        Raises:
            StoreUnavailable: None got free in time, the store is closed, or a query failed.
        """
        if not self._slots.acquire(timeout=BUSY_S):
            raise StoreUnavailable(f"{self.path}: no connection got free within {BUSY_S:.0f} s")
        try:
            with self._guard:
                self._check_open()
                connection = self._idle.pop() if self._idle else None
            connection = connection or self._open()
            try:
                yield connection
            finally:
                self._give_back(connection)
        except sqlite3.Error as error:
            raise unavailable(self.path, error) from error
        finally:
            self._slots.release()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction: commits at the end, rolls back on any error.

        Raises:
            StoreUnavailable: Nothing was written.
        """
        with self.alone() as writer:
            writer.execute("BEGIN IMMEDIATE")
            try:
                yield writer
                writer.execute("COMMIT")
            finally:
                if writer.in_transaction:
                    writer.execute("ROLLBACK")

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """Lend the writer outside of a transaction, for statements that are one by themselves; raises as `writing`."""
        if not self._writing.acquire(timeout=BUSY_S):
            raise StoreUnavailable(f"{self.path}: writers queued for more than {BUSY_S:.0f} s")
        try:
            with self._guard:
                self._check_open()
            yield self._writer
        except sqlite3.Error as error:
            raise unavailable(self.path, error) from error
        finally:
            self._writing.release()

    def close(self) -> None:
        """Close what is idle now and the rest when it is given back; idempotent."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        with self._writing:
            self._writer.close()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._guard:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"{self.path} is closed")
