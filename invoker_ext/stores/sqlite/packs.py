"""Large results of activation records, one behind the other in files beside the database (decision I15)."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from invoker_ext.store import StoreUnavailable

PACKED_BYTES: Final = 64 * 1024
"""Results from here on lie in packs; in the database they would take twenty times as long."""
PACK_BYTES: Final = 64 * 1024 * 1024
"""A pack that reaches this is closed: small enough to go away soon after its last record, large enough to be rare."""
LOST: Final = b'{"error":"The result of this activation is not on the disk any more."}'


class Packs:
    """Results by place: `pack:offset:bytes`. Thread-safe; each process writes packs of its own and reads all."""

    def __init__(self, folder: Path, *, fsync: bool) -> None:
        """Open the folder, which is made with its first pack.

        Args:
            folder: Belongs to packs alone.
            fsync: A result survives the loss of power, not only the death of the process.
        """
        self._folder = folder
        self._fsync = fsync
        self._guard = threading.Lock()  # guards the pack that is written
        self._pack = ""
        self._descriptor = -1
        self._size_bytes = 0

    def put(self, result: bytes) -> str:
        """Append a result and return its place. Copies it once, to the system.

        Raises:
            StoreUnavailable: The disk does not take it; nothing of it is left.
        """
        return self._put(len(result), partial(_write, result))

    def copy(self, descriptor: int, size_bytes: int) -> str:
        """Do the same for a result in a file or memory, from its start; its bytes never come into this process."""
        return self._put(size_bytes, partial(_copy, descriptor, size_bytes))

    def _put(self, size_bytes: int, write: Callable[[int], None]) -> str:
        with self._guard:
            try:
                if self._descriptor >= 0 and not os.fstat(self._descriptor).st_nlink:
                    self._end()  # nothing was written here for so long that the pack has expired
                if self._descriptor < 0:
                    self._begin()
                return self._append(size_bytes, write)
            except OSError as error:
                raise _unavailable(self._folder, error) from error

    def get(self, place: str) -> bytes:
        """Return a result; if it was taken away or torn by a loss of power, a JSON object that says so. Copies once.

        Raises:
            StoreUnavailable: The disk does not give it.
        """
        pack, offset, size_bytes = place.split(":")
        try:
            descriptor = os.open(self._folder / pack, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return LOST
        except OSError as error:
            raise _unavailable(self._folder, error) from error
        try:
            result = os.pread(descriptor, int(size_bytes), int(offset))
        except OSError as error:
            raise _unavailable(self._folder, error) from error
        finally:
            os.close(descriptor)
        return result if len(result) == int(size_bytes) else LOST

    def expire(self, before_ms: int, used: Callable[[str], bool]) -> None:
        """Remove packs that were last written before; raises StoreUnavailable.

        Args:
            before_ms: Epoch milliseconds. Younger packs may hold results whose records are still to come.
            used: Whether a record refers to this pack.
        """
        try:
            for path in self._folder.iterdir() if self._folder.is_dir() else ():
                if path.stat().st_mtime * 1000 < before_ms and not used(path.name):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise _unavailable(self._folder, error) from error

    def close(self) -> None:
        """Let go of the pack that is written; idempotent."""
        with self._guard:
            self._end()

    def _begin(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._pack = secrets.token_hex(8)
        # Not to append: the system does not copy from file to file then. Nobody else writes here.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(self._folder / self._pack, flags, 0o600)
        self._size_bytes = 0
        if self._fsync:
            _sync(self._folder)

    def _append(self, size_bytes: int, write: Callable[[int], None]) -> str:
        place = f"{self._pack}:{self._size_bytes}:{size_bytes}"
        try:
            write(self._descriptor)
            if self._fsync:
                os.fdatasync(self._descriptor)
        except OSError:
            # Where its end is now is not known for sure; room on the disk is wanted most.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size_bytes)
            self._end()
            raise
        self._size_bytes += size_bytes
        if self._size_bytes >= PACK_BYTES:
            self._end()
        return place

    def _end(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _write(result: bytes, target: int) -> None:
    rest = memoryview(result)
    while rest:
        rest = rest[os.write(target, rest) :]


def _copy(source: int, size_bytes: int, target: int) -> None:
    at = 0
    while at < size_bytes:
        count = os.sendfile(target, source, at, size_bytes - at)
        if not count:
            raise OSError(errno.EIO, f"only {at} of {size_bytes} bytes are there")
        at += count


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unavailable(folder: Path, error: OSError) -> StoreUnavailable:
    if error.errno == errno.ENOSPC:
        return StoreUnavailable(f"the disk that holds {folder} is full: free space, then try again")
    return StoreUnavailable(f"{folder} cannot be used: {error.strerror}")
