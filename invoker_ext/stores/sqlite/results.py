"""Large results of activation records, one file each, beside the database."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from invoker_ext.store import StoreUnavailable

ASIDE_BYTES: Final = 64 * 1024
"""Results from here on are files. In the database each byte is written twice and read once, to the log and on to its
file: five records of 900 KB took 20 ms of processor time, as files 1.5 ms."""
_LOST: Final = b'{"error":"The result of this activation is not on the disk any more."}'


class ResultFiles:
    """Results by activation id. A file is written once, whole, before anything refers to it.

    All in one folder: file systems index their folders, and ext4 makes a file in a new folder five times more slowly
    (0.5 against 0.1 ms), because it puts each of them somewhere else on the disk.
    """

    def __init__(self, folder: Path, *, fsync: bool) -> None:
        """Open the folder, which is made with its first file.

        Args:
            folder: Belongs to this class alone.
            fsync: A result survives the loss of power, not only the death of the process.
        """
        self._folder = folder
        self._fsync = fsync

    def put(self, activation_id: str, result: bytes, like: str | None = None) -> None:
        """Write a result; one that is there already is replaced at once or not at all. Copies once, to the system.

        Args:
            activation_id: 32 hex digits.
            result: Its bytes.
            like: An activation whose result was put and is the same: nothing is written then.

        Raises:
            StoreUnavailable: The disk does not take it; nothing of it is left.
        """
        path = self._path(activation_id)
        try:
            if like is not None and _linked(self._path(like), path):
                return
            if not self._written(path, result, os.O_EXCL):
                # Left by an execution of the same activation that a kill ended.
                other = path.with_suffix(".new")
                self._written(other, result, os.O_TRUNC)
                other.replace(path)
            if self._fsync:
                _sync(self._folder)
        except OSError as error:
            raise _unavailable(path, error) from error

    def has(self, activation_id: str, size_bytes: int) -> bool:
        """Return whether a result of this size is there."""
        try:
            return self._path(activation_id).stat().st_size == size_bytes
        except OSError:
            return False

    def get(self, activation_id: str) -> bytes:
        """Return a result; if somebody took its file away, a JSON object that says so.

        Raises:
            StoreUnavailable: The disk does not give it.
        """
        path = self._path(activation_id)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return _LOST
        except OSError as error:
            raise _unavailable(path, error) from error

    def delete(self, activation_ids: Iterable[str]) -> None:
        """Remove results; raises StoreUnavailable."""
        for one in activation_ids:
            path = self._path(one)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise _unavailable(path, error) from error

    def _path(self, activation_id: str) -> Path:
        return self._folder / activation_id

    def _written(self, path: Path, content: bytes, how: int) -> bool:
        """Write a file; False: it was to be a new one and is not."""
        try:
            descriptor = self._opened(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how)
        except FileExistsError:
            return False
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if self._fsync:
                os.fdatasync(descriptor)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        return True

    def _opened(self, path: Path, flags: int) -> int:
        try:
            return os.open(path, flags, 0o600)
        except FileNotFoundError:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return os.open(path, flags, 0o600)


def _linked(source: Path, path: Path) -> bool:
    """Give a file a second name; False: the source is gone, or the name is taken."""
    try:
        path.hardlink_to(source)
    except (FileNotFoundError, FileExistsError):
        return False
    return True


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unavailable(path: Path, error: OSError) -> StoreUnavailable:
    if error.errno == errno.ENOSPC:
        return StoreUnavailable(f"the disk that holds {path.parent} is full: free space, then try again")
    return StoreUnavailable(f"{path} cannot be used: {error.strerror}")
