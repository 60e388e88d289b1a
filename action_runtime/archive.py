"""Unpacks the archives that actions are uploaded as, and lets none of their members out of its directory."""

from __future__ import annotations

import io
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, Final

ZIP_MAGIC: Final = b"PK"
GZIP_MAGIC: Final = b"\x1f\x8b\x08"
MAX_UNPACKED_BYTES: Final = 1024 * 1024 * 1024
"""Bound of all members together: a small archive must not fill the disk."""
_COPY_BYTES: Final = 256 * 1024
_LINK_TARGET_BYTES: Final = 4096


class ArchiveRefused(Exception):
    """The archive is broken, too large, or has a member that climbs out of its directory."""


class _Member:
    """One entry: a directory, a file (`source` reads it), or a symbolic link (`target`)."""

    __slots__ = ("broken", "directory", "mode", "name", "size_bytes", "source", "target")

    def __init__(self, name: str, mode: int, broken: tuple[type[Exception], ...]) -> None:
        self.name = name
        self.broken = broken
        """What reading raises if the archive is not what it says."""
        self.mode = mode & 0o777
        self.size_bytes = 0
        self.directory = False
        self.source: IO[bytes] | None = None
        self.target: str | None = None


def is_archive(content: bytes) -> bool:
    """Return whether the bytes are a zip or a gzipped tar, by their first bytes."""
    return content.startswith((ZIP_MAGIC, GZIP_MAGIC))


def unpack(content: bytes, folder: str) -> None:
    """Unpack a zip or tar.gz into an existing, empty folder.

    Raises:
        ArchiveRefused: See there; what was unpacked so far stays in the folder.
    """
    members = _zip_members(content) if content.startswith(ZIP_MAGIC) else _tar_members(content)
    root = os.path.realpath(folder)
    links: list[tuple[str, str]] = []
    room = MAX_UNPACKED_BYTES
    for member in members:
        path = _place(root, member.name)
        room -= member.size_bytes
        if room < 0:
            raise ArchiveRefused(f"the archive unpacks to more than {MAX_UNPACKED_BYTES} bytes")
        if member.target is not None:
            links.append((path, member.target))
        elif member.directory:
            os.makedirs(path, exist_ok=True)
        else:
            _write(path, member)
    _link(root, links)


def _link(root: str, links: list[tuple[str, str]]) -> None:
    """Make the symbolic links last, when nothing can be written through them any more."""
    for path, target in links:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not _inside(root, os.path.realpath(os.path.dirname(path))):
            raise ArchiveRefused(f"the archive links out of its directory: {os.path.relpath(path, root)}")
        try:
            os.symlink(target, path)
        except OSError as error:
            raise ArchiveRefused(f"a link of the archive cannot be made: {error}") from error
    for path, target in links:
        if not _inside(root, os.path.realpath(path)):
            raise ArchiveRefused(f"the archive links out of its directory: {os.path.relpath(path, root)} -> {target}")


def _inside(root: str, path: str) -> bool:
    return path == root or path.startswith(root + os.sep)


def _place(root: str, name: str) -> str:
    path = os.path.normpath(os.path.join(root, name))
    if not name or "\0" in name or not _inside(root, path):
        raise ArchiveRefused(f"the archive climbs out of its directory: {name!r}")
    return path


def _write(path: str, member: _Member) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            for part in _parts(member):
                file.write(part)
        if member.mode:
            os.chmod(path, member.mode | 0o600)
    except OSError as error:
        raise ArchiveRefused(f"a member of the archive cannot be written: {error}") from error


def _parts(member: _Member) -> Iterator[bytes]:
    if member.source is None:
        return
    try:
        while part := member.source.read(_COPY_BYTES):
            yield part
    except member.broken as error:
        raise ArchiveRefused(f"the archive is broken: {error}") from error


def _zip_members(content: bytes) -> Iterator[_Member]:
    import zipfile  # 13 ms: only actions that are zips pay them
    import zlib

    broken = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for info in archive.infolist():
                member = _Member(info.filename, info.external_attr >> 16, broken)
                kind = (info.external_attr >> 16) & 0o170000
                member.directory = info.is_dir()
                member.size_bytes = info.file_size
                if kind == 0o120000:
                    with archive.open(info) as source:
                        member.target = os.fsdecode(source.read(_LINK_TARGET_BYTES))
                    yield member
                else:
                    with archive.open(info) as source:
                        member.source = source
                        yield member
    except broken as error:
        raise ArchiveRefused(f"the zip archive is broken: {error}") from error


def _tar_members(content: bytes) -> Iterator[_Member]:
    import tarfile
    import zlib

    broken = (tarfile.TarError, zlib.error, EOFError, OSError, KeyError)
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for info in archive:
                member = _Member(info.name, info.mode, broken)
                member.directory = info.isdir()
                if info.issym():
                    member.target = info.linkname
                elif info.isfile() or info.islnk():
                    member.source = archive.extractfile(info)
                    member.size_bytes = info.size
                elif not info.isdir():
                    raise ArchiveRefused(f"the archive holds a device or a pipe: {info.name!r}")
                yield member
    except broken as error:
        raise ArchiveRefused(f"the tar archive is broken: {error}") from error
