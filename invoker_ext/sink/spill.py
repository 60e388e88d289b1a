"""Moving a datum to disk: unlinked files, so nothing is left when a process dies."""

from __future__ import annotations

import os
import secrets
import threading
from pathlib import Path
from typing import Final

from invoker_ext.sink.errors import SpillFailed

_STRIDE_BYTES: Final = 4 * 1024 * 1024
"""Copied at a time: how soon a stop is noticed."""
_NAME: Final = "spill-"


def sweep(folder: Path) -> None:
    """Make the folder; remove what a killed process has left there, whose last file had not lost its name yet.

    Args:
        folder: Of one sink at a time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob(f"{_NAME}*"):
        path.unlink(missing_ok=True)


def copy_to_file(source: int, size_bytes: int, folder: Path, stopping: threading.Event) -> int:
    """Copy a segment to a file without a name and return a read-only descriptor of it. Runs in the spill thread.

    The bytes go from page to page in the kernel (`sendfile`); the interpreter lock is free meanwhile.

    Args:
        source: Descriptor of the segment; closed in any case.
        size_bytes: How much.
        folder: Where; must exist. The name is ours and gone before this returns.
        stopping: Once set, the copy gives up at the next stride.

    Raises:
        SpillFailed: The disk is full or broken, or `stopping` was set; no file is left.
    """
    try:
        target, reader = _open(folder)
    except OSError as error:
        os.close(source)
        raise _failed(error) from error
    try:
        os.posix_fallocate(target, 0, size_bytes)
        at = 0
        while at < size_bytes:
            if stopping.is_set():
                raise SpillFailed("the sink is closing")
            sent = os.sendfile(target, source, at, min(_STRIDE_BYTES, size_bytes - at))
            if not sent:
                raise SpillFailed(f"a segment ended after {at} of {size_bytes} bytes")
            at += sent
    except OSError as error:
        os.close(reader)
        raise _failed(error) from error
    except SpillFailed:
        os.close(reader)
        raise
    finally:
        os.close(target)
        os.close(source)
    return reader


def _open(folder: Path) -> tuple[int, int]:
    path = folder / f"{_NAME}{os.getpid()}-{secrets.token_hex(8)}"
    target = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o400)
    try:
        return target, os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        os.close(target)
        raise
    finally:
        path.unlink()


def _failed(error: OSError) -> SpillFailed:
    # Users read it in the record of a run that finds no room: it does not name the folder.
    return SpillFailed(
        f"cannot spill to disk: {error.strerror}; the operator must free some space there or name another directory"
    )
