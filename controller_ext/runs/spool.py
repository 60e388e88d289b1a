"""Parameters above the inline bound: a file a run, written by a worker, pulled at the balancer's door by the owner."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from invoker_ext.contract.messages import Spool
from invoker_ext.door.body import at_hand
from invoker_ext.store import StoreFull, StoreUnavailable

logger = logging.getLogger(__name__)

_NAME: Final = re.compile(r"[0-9a-f]{32}")
_UNFINISHED: Final = ".part"


class Spooler:
    """Writes spool files. Thread-safe: each file has a name of its own.

    Attributes:
        door: Address of the balancer's peer door.
    """

    def __init__(self, directory: Path, door_address: str) -> None:
        """Write below a directory.

        Args:
            directory: Exists; closed to others; on the disk of the balancer.
            door_address: Of the balancer's peer door.
        """
        self._directory = directory
        self.door = door_address

    def put(self, members: Mapping[str, bytes]) -> Spool:
        """Write a JSON object, given as the JSON text of each member.

        The file is whole on the disk, or not there at all.

        Raises:
            StoreFull: The disk is full.
            StoreUnavailable: It is broken.
        """
        places: dict[str, tuple[int, int]] = {}
        name, size, digest = self._write(_object(members), places)
        return Spool(self.door, name, size, digest, places)

    def put_text(self, content: bytes) -> Spool:
        """See `ports.Spooler`; raises as `put`."""
        return Spool(self.door, *self._write(((None, content),), {}), None)

    def _write(
        self, pieces: Iterable[tuple[str | None, bytes]], places: dict[str, tuple[int, int]]
    ) -> tuple[str, int, str]:
        """Write pieces to a file; return its name, size and digest, and put in where those are that have a name."""
        name = secrets.token_hex(16)
        path = self._directory / name
        part = path.with_suffix(f".{os.getpid()}{_UNFINISHED}")
        digest = hashlib.sha256()
        size = 0
        try:
            with part.open("xb", buffering=0) as file:
                os.fchmod(file.fileno(), 0o600)
                for member, piece in pieces:
                    _write(file.fileno(), piece)
                    digest.update(piece)
                    if member is not None:
                        places[member] = (size, len(piece))
                    size += len(piece)
            part.rename(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            trouble = StoreFull if error.errno == errno.ENOSPC else StoreUnavailable
            raise trouble(f"parameters cannot be spooled: {error.strerror}") from error
        return name, size, digest.hexdigest()


class SpoolShelf:
    """The same directory as the balancer sees it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def open(self, name: str) -> int | None:
        """Return a descriptor for reading, owned by the caller; None: there is no such file."""
        if not _NAME.fullmatch(name):
            return None
        try:
            return os.open(self._directory / name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None

    def at_hand(self, name: str, most_bytes: int) -> memoryview | None:
        """Return the bytes of a file that is not larger and in the system's memory; copies them once."""
        descriptor = self.open(name)
        if descriptor is None:
            return None
        try:
            size_bytes = os.fstat(descriptor).st_size
            return at_hand(descriptor, 0, size_bytes) if size_bytes <= most_bytes else None
        finally:
            os.close(descriptor)

    def remove(self, name: str) -> None:
        """Remove a file; it may be gone."""
        if _NAME.fullmatch(name):
            (self._directory / name).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what writers left unfinished that are no more: a worker that was killed."""
        for path in self._directory.glob(f"*{_UNFINISHED}"):
            if not Path("/proc", path.suffixes[0].removeprefix(".")).exists():
                path.unlink(missing_ok=True)

    def expire(self, ttl_s: float) -> int:
        """Remove files, unfinished ones too, that are older than `ttl_s`; return how many."""
        self.sweep()
        before = time.time() - ttl_s
        removed = 0
        for path in self._directory.iterdir():
            try:
                if path.stat().st_mtime < before:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue
        if removed:
            logger.info("old spools removed", extra={"count": removed})
        return removed


def _object(members: Mapping[str, bytes]) -> Iterator[tuple[str | None, bytes]]:
    """Yield the text of a JSON object in pieces: the value of a member with its name, what is between with None."""
    between = b"{"
    for name, value in members.items():
        yield None, between + json.dumps(name, ensure_ascii=False).encode() + b":"
        yield name, value
        between = b","
    yield None, b"}" if members else b"{}"


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
